package zegosim

import (
	"io"
	"net/http"
)

// APIFault is a way for the API to misbehave. All of them come after the call
// was noted.
type APIFault interface {
	serve(g *gateway, w http.ResponseWriter, r *http.Request)
}

// AnswerCode answers every call with one of ZEGO's codes.
type AnswerCode int

func (c AnswerCode) serve(g *gateway, w http.ResponseWriter, _ *http.Request) {
	g.answer(w, int(c), nil)
}

// AnswerHTTP answers every call with a status and a body as they are.
type AnswerHTTP struct {
	Status int
	Body   string
}

func (a AnswerHTTP) serve(_ *gateway, w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body)
}

// AnswerData answers every call with Code 0 and this Data, whatever it is.
type AnswerData struct{ Data any }

func (a AnswerData) serve(g *gateway, w http.ResponseWriter, _ *http.Request) {
	g.answer(w, codeOK, a.Data)
}

// DeadNodeFirst names an address where nobody listens before the right node.
type DeadNodeFirst struct{ Addr string }

func (d DeadNodeFirst) serve(g *gateway, w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("StreamId")
	_, urls := g.dispatch(r.URL.Query())
	g.answer(w, codeOK, append([]string{g.nodeURL(d.Addr, id)}, urls...))
}

// Hang never answers.
type Hang struct{}

func (Hang) serve(_ *gateway, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// Drop closes the connection without an answer.
type Drop struct{}

func (Drop) serve(*gateway, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// NodeFault is a way for a media node to misbehave towards new connections.
type NodeFault int

// Faults of a media node.
const (
	Healthy         NodeFault = iota
	SilentHandshake           // takes the connection and says nothing
	SilentPublish             // never answers the publish
	RefusePublish             // answers it with NetStream.Publish.BadName
	ResetOnStart              // says Publish.Start and resets the connection
	StopReading               // says Publish.Start and takes no more bytes
)
