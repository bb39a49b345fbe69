package zegosim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// anyPort is where the API and the nodes listen first; whoever comes back from
// the dead does so on the port that it had.
const anyPort = "127.0.0.1:0"

// Options tune a Sim. AppID and Secret are required; any other zero field means
// the default in brackets.
type Options struct {
	AppID     uint32
	Secret    string
	Nodes     int              // media nodes [2]
	Now       func() time.Time // clock of the API and of the two hours [time.Now]
	Linger    time.Duration    // how long a StreamId stays taken after an unclean end [0]
	Hosts     []string         // names that the API is called by; others get 100000000 [all]
	Second    SecondStyle      // how a StreamId's second publisher is refused [BadName]
	Clip      []byte           // FLV that pull nodes play where nobody publishes [they find nothing]
	RecordDir string           // records every session as STREAMID-N.flv [no recording]
	Observe   func(Event)      // is told of everything, in order for one session; must not block [nobody]

	// Listen opens a listener at 127.0.0.1:0, or again at the address that its
	// listener had [net.Listen].
	Listen func(network, addr string) (net.Listener, error)
}

// Sim is a running stand-in. It may be used by many goroutines at once.
type Sim struct {
	o        Options
	registry *registry
	nodes    []*Node
	apiAddr  string // host:port, kept over death and revival
	wg       sync.WaitGroup

	mu       sync.Mutex
	api      *http.Server // nil while the API is down
	closed   bool
	channels map[string]*channel // by StreamId
}

var errClosed = errors.New("zegosim: closed")

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
	if o.Listen == nil {
		o.Listen = net.Listen
	}
	s := &Sim{o: o, registry: newRegistry(o), apiAddr: anyPort, channels: make(map[string]*channel)}
	for range o.Nodes {
		node := newNode(s)
		if err := node.Revive(); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.nodes = append(s.nodes, node)
	}
	if err := s.ReviveAPI(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close ends API, nodes and sessions for good. All goroutines have ended when
// it returns.
func (s *Sim) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	err := s.closeAPI()
	for _, n := range s.nodes {
		n.Kill()
	}
	s.wg.Wait()
	return err
}

// spawn runs f in a goroutine that Close waits for. It reports false, and runs
// nothing, once Close was called: a demo may revive a node too late.
func (s *Sim) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.wg.Go(f)
	}
	return !s.closed
}

// ReviveAPI opens the API again, on the port that it had.
func (s *Sim) ReviveAPI() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errClosed
	case s.api != nil:
		return nil
	}
	ln, err := s.o.Listen("tcp", s.apiAddr)
	if err != nil {
		return fmt.Errorf("zegosim: API: %w", err)
	}
	s.apiAddr = ln.Addr().String()
	api := s.newServer()
	s.api = api
	s.registry.setAPIDown(false)
	s.wg.Go(func() { _ = api.Serve(ln) })
	return nil
}

// connKey is where a call's context holds its connection, for faults that treat
// it badly.
type connKey struct{}

func (s *Sim) newServer() *http.Server {
	return &http.Server{
		Handler:           newGateway(s).handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, nc)
		},
		// A Server's Close doesn't wait for its connections; ours does. New comes
		// from the goroutine of Serve, Closed is the last word of the connection's.
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				s.wg.Add(1)
			case http.StateClosed:
				s.wg.Done()
			}
		},
	}
}

// KillAPI takes the API down: its port is closed and calls under way are cut
// off. From then on calls are refused by TCP.
func (s *Sim) KillAPI() { _ = s.closeAPI() }

func (s *Sim) closeAPI() error {
	s.mu.Lock()
	api := s.api
	s.api = nil
	s.mu.Unlock()
	if api == nil {
		return nil
	}
	s.registry.setAPIDown(true)
	return api.Close()
}

// SetAPIFault makes the API misbehave from the next call on; nil ends it.
func (s *Sim) SetAPIFault(f APIFault) { s.registry.setFault(f) }

// URL is the address of the API, http://127.0.0.1:port/.
func (s *Sim) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return "http://" + s.apiAddr + "/"
}

// Nodes returns all media nodes, dead ones included.
func (s *Sim) Nodes() []*Node { return slices.Clone(s.nodes) }

// NodeAt finds a node by its host:port, nil if there is none.
func (s *Sim) NodeAt(addr string) *Node {
	for _, n := range s.nodes {
		if n.addr == addr {
			return n
		}
	}
	return nil
}

// Requests returns the API calls so far, of very many the newest.
func (s *Sim) Requests() []Request { return s.registry.allRequests() }

// Sessions returns every publish session so far, as it stands.
func (s *Sim) Sessions() []Session { return s.registry.allSessions() }

// Plays returns every play session so far, as it stands.
func (s *Sim) Plays() []Play { return s.registry.allPlays() }

// Violations returns, in words, everything that a strict ZEGO could object to;
// of very many the oldest, and how many more there are.
func (s *Sim) Violations() []string { return s.registry.allViolations() }
