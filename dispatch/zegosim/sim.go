package zegosim

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"zegorelay/relay/rtmp"
)

// Options tune a Sim. AppID and Secret are required; any other zero field means
// the default in brackets.
type Options struct {
	AppID     uint32
	Secret    string
	Nodes     int              // media nodes [2]
	Now       func() time.Time // clock of the signature and of the two hours [time.Now]
	Linger    time.Duration    // how long a StreamId stays taken after an unclean end [0]
	RecordDir string           // records every session as STREAMID-N.flv [no recording]
	Observe   func(Event)      // is told of everything, in order for one session; must not block [nobody]
}

// EventKind tells events apart.
type EventKind int

// Events of a publish session.
const (
	SessionStarted EventKind = iota + 1
	MessageReceived
	SessionEnded
)

// Event is something that happened to a publish session.
type Event struct {
	Kind     EventKind
	StreamID string
	Node     string       // host:port
	Session  int          // counts all sessions of the Sim from 1
	Message  rtmp.Message // of MessageReceived; its payload may be kept
	Clean    bool         // of SessionEnded: there was a goodbye
}

// Sim is a running stand-in.
type Sim struct {
	o        Options
	registry *registry
	nodes    []*Node
	api      *http.Server
	url      string
	wg       sync.WaitGroup
}

// Start opens the API and the nodes on free ports of 127.0.0.1. The caller
// closes the Sim.
func Start(o Options) (*Sim, error) {
	if o.Nodes == 0 {
		o.Nodes = 2
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observe == nil {
		o.Observe = func(Event) {}
	}
	s := &Sim{o: o, registry: newRegistry(o)}
	for range o.Nodes {
		node := newNode(s)
		if err := node.Revive(); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.nodes = append(s.nodes, node)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("zegosim: %w", err), s.Close())
	}
	s.url = "http://" + ln.Addr().String() + "/"
	s.api = &http.Server{Handler: newGateway(s).handler(), ReadHeaderTimeout: 5 * time.Second}
	s.wg.Go(func() { _ = s.api.Serve(ln) })
	return s, nil
}

// Close ends API, nodes and sessions. All goroutines have ended when it
// returns.
func (s *Sim) Close() error {
	var err error
	if s.api != nil {
		err = s.api.Close()
	}
	for _, n := range s.nodes {
		n.Kill()
	}
	s.wg.Wait()
	return err
}

// URL is the address of the API.
func (s *Sim) URL() string { return s.url }

// Nodes returns all media nodes, dead ones included.
func (s *Sim) Nodes() []*Node { return s.nodes }

// NodeAt finds a node by its host:port, nil if there is none.
func (s *Sim) NodeAt(addr string) *Node {
	for _, n := range s.nodes {
		if n.addr == addr {
			return n
		}
	}
	return nil
}

// Requests returns every API call so far.
func (s *Sim) Requests() []Request { return s.registry.allRequests() }

// Sessions returns every publish session so far.
func (s *Sim) Sessions() []Session { return s.registry.allSessions() }

// Violations returns, in words, everything that a strict ZEGO could object to.
func (s *Sim) Violations() []string { return s.registry.allViolations() }

// SetAPIFault makes the API misbehave from the next call on; nil ends it.
func (s *Sim) SetAPIFault(f APIFault) { s.registry.setFault(f) }

// record opens the FLV file of a session, nil if nothing is recorded.
func (s *Sim) record(streamID string, n int) (*recording, error) {
	if s.o.RecordDir == "" {
		return nil, nil //nolint:nilnil // a nil recording records nothing
	}
	file, err := os.Create(fmt.Sprintf("%s/%s-%d.flv", s.o.RecordDir, streamID, n))
	if err != nil {
		return nil, err
	}
	flv, err := rtmp.NewFLVWriter(file)
	return &recording{file: file, flv: flv}, err
}

// recording is the FLV file of one session. A nil recording is one of nothing.
type recording struct {
	file *os.File
	flv  *rtmp.FLVWriter
}

func (r *recording) write(m rtmp.Message) error {
	if r == nil {
		return nil
	}
	return r.flv.Write(m)
}

func (r *recording) close() error {
	if r == nil {
		return nil
	}
	return r.file.Close()
}
