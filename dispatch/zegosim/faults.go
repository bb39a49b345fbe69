package zegosim

import (
	"io"
	"net"
	"net/http"
)

// APIFault is a way for the API to misbehave. It changes what is answered; the
// call has been checked and noted before. To take the API down altogether, use
// KillAPI.
type APIFault interface {
	serve(c *call, w http.ResponseWriter)
}

// AnswerCode answers every call with one of ZEGO's codes.
type AnswerCode int

func (a AnswerCode) serve(c *call, w http.ResponseWriter) { c.answer(w, int(a), nil) }

// AnswerHTTP answers every call with a status and a body as they are: an error
// of a proxy, HTML, JSON that breaks off, nothing.
type AnswerHTTP struct {
	Status     int
	Body       string
	RetryAfter string // header of the same name, if not empty
}

func (a AnswerHTTP) serve(_ *call, w http.ResponseWriter) {
	if a.RetryAfter != "" {
		w.Header().Set("Retry-After", a.RetryAfter)
	}
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body)
}

// AnswerData answers every call with Code 0 and this Data, whatever it is.
type AnswerData struct{ Data any }

func (a AnswerData) serve(c *call, w http.ResponseWriter) { c.answer(w, codeOK, a.Data) }

// Reshape dispatches as usual and answers with the Data that it makes of the
// node's URL, which comes in a list of one.
type Reshape func(urls []string) (data any)

func (f Reshape) serve(c *call, w http.ResponseWriter) {
	urls, code := c.dispatch()
	if code != codeOK {
		c.answer(w, code, nil)
		return
	}
	c.answer(w, codeOK, f(urls))
}

// DeadNodeFirst names an address where nobody listens before the right node.
type DeadNodeFirst struct{ Addr string } // host:port

func (d DeadNodeFirst) serve(c *call, w http.ResponseWriter) {
	Reshape(func(urls []string) any { return append([]string{c.place(d.Addr)}, urls...) }).serve(c, w)
}

// Hang gives no answer for as long as the client waits.
type Hang struct{}

func (Hang) serve(c *call, _ http.ResponseWriter) { <-c.r.Context().Done() }

// Drop closes the connection in order, without an answer.
type Drop struct{}

func (Drop) serve(*call, http.ResponseWriter) { panic(http.ErrAbortHandler) }

// Reset resets the connection without an answer.
type Reset struct{}

func (Reset) serve(c *call, _ http.ResponseWriter) {
	if nc, ok := c.r.Context().Value(connKey{}).(net.Conn); ok {
		reset(nc)
	}
	panic(http.ErrAbortHandler)
}

// NodeFault is a way for a media node to misbehave towards new connections. One
// that refuses TCP is a killed one.
type NodeFault int

// Faults of a media node.
const (
	Healthy         NodeFault = iota
	SilentHandshake           // takes the connection and says nothing
	SilentPublish             // never answers the publish
	RefusePublish             // answers it with NetStream.Publish.BadName
	ResetOnStart              // says Publish.Start and resets the connection
	CloseOnStart              // says Publish.Start and closes it in order
	StopReading               // says Publish.Start and takes no more bytes
	Blackhole                 // answers not even TCP (on Linux; elsewhere as SilentHandshake)
)

// SecondStyle is how a node treats the second publisher of a StreamId. ZEGO does
// not say; other networks do all of these.
type SecondStyle int

// Styles of refusing a second publisher.
const (
	BadName    SecondStyle = iota // answers the publish with NetStream.Publish.BadName
	ResetLater                    // says Publish.Start, takes what comes for nothing, and resets after a while
	CloseMute                     // closes without a word
)
