package zegosim

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
)

// The two actions that name nodes: the first as URLs, the older one as host:port.
const (
	actionDispatchV2 = "RTMPDispatchV2"
	actionDispatch   = "RTMPDispatch"
)

// gateway is ZEGO's API over HTTP.
type gateway struct {
	sim      *Sim
	streamID *regexp.Regexp
	nonce    *regexp.Regexp
}

func newGateway(s *Sim) *gateway {
	return &gateway{
		sim:      s,
		streamID: regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`),
		nonce:    regexp.MustCompile(`^[0-9a-f]{16}$`),
	}
}

func (g *gateway) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", g.serve)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" { // a browser that looks around has none
			g.sim.registry.violate("a call of the path %q", r.URL.Path)
		}
		http.NotFound(w, r)
	})
	mux.HandleFunc("GET /_emu/faults", show(Scenarios))
	mux.HandleFunc("POST /_emu/fault", g.plant)
	mux.HandleFunc("GET /_emu/streams", show(g.sim.Sessions))
	mux.HandleFunc("GET /_emu/plays", show(g.sim.Plays))
	mux.HandleFunc("GET /_emu/requests", show(g.sim.Requests))
	mux.HandleFunc("GET /_emu/violations", show(g.sim.Violations))
	return mux
}

// show serves a list as JSON. An empty one is [] and not null.
func show[T any](list func() []T) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(append([]T{}, list()...))
	}
}

// call is one request of a dispatch on its way through the checks.
type call struct {
	g     *gateway
	r     *http.Request
	q     url.Values
	noted *Request
	code  int // what the checks say
}

// serve judges a call, notes it and answers. A fault changes the answer only:
// the witness looks at every call.
func (g *gateway) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		g.sim.registry.violate("a call by %s", r.Method)
		http.Error(w, "use GET", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Date", g.sim.o.Now().UTC().Format(http.TimeFormat))
	c := &call{g: g, r: r, q: r.URL.Query()}
	// Noted before it is answered: who has the answer finds the call.
	c.noted = g.sim.registry.note(requestOf(c.q, g.sim.o.Now()))
	var why string
	c.code, why = c.verify()
	if blames(c.code) {
		g.sim.registry.violate("dispatch of %q: %d, %s", c.q.Get("StreamId"), c.code, why)
	}
	if fault := g.sim.registry.currentFault(); fault != nil {
		fault.serve(c, w)
		return
	}
	nodes, code := c.dispatch()
	c.answer(w, code, nodes)
}

// dispatch names a node if the checks passed: in a list, as a URL or, for the
// older action, as host:port. Else it returns what the checks say.
func (c *call) dispatch() (nodes []string, code int) {
	if c.code != codeOK {
		return nil, c.code
	}
	direction := c.q.Get("Type")
	node, ok := c.g.sim.registry.assign(c.q.Get("StreamId"), direction, c.g.sim.nodes)
	switch {
	case ok:
		return []string{c.place(node.addr)}, codeOK
	case direction == typePush:
		return nil, codeNoPushNode
	default:
		return nil, codeNoPullNode
	}
}

// place is the node at addr in the form that the action asks for.
func (c *call) place(addr string) string {
	if c.q.Get("Action") == actionDispatch {
		return addr
	}
	return fmt.Sprintf("rtmp://%s/%d/%s", addr, c.g.sim.o.AppID, c.q.Get("StreamId"))
}

// envelope is the frame of every answer, good or bad.
type envelope struct {
	Code      int    `json:"Code"`
	Message   string `json:"Message"`
	RequestID string `json:"RequestId"`
	Data      any    `json:"Data"`
}

// answer writes an envelope; a failure's Data is null.
func (c *call) answer(w http.ResponseWriter, code int, data any) {
	if code != codeOK {
		data = nil
	}
	c.g.sim.registry.answered(c.noted, code)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(envelope{
		Code: code, Message: meaning(code), Data: data,
		// Larger than 2^53: no number for a client that reads it as a float.
		RequestID: strconv.FormatUint(1<<62+rand.Uint64N(1<<62), 10),
	})
}
