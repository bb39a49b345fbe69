package zegosim

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// goodFor is how long a node may be used after the dispatch that named it.
	goodFor = 2 * time.Hour

	// callsASecond is ZEGO's limit for one AppID.
	callsASecond = 40

	maxViolations = 100
)

// Request is one call of the API.
type Request struct {
	At       time.Time
	StreamID string
	Type     string
	Nonce    string
	Sequence int64
	Code     int // answered
}

// Session is one publish session at a node.
type Session struct {
	Number   int // counts all sessions of the Sim from 1
	StreamID string
	Node     string
	Started  time.Time
	Ended    time.Time // zero while it lasts
	Clean    bool      // it ended with a goodbye
	Messages int
}

// registry is what API and nodes know together.
type registry struct {
	now    func() time.Time
	linger time.Duration

	mu         sync.Mutex
	issued     map[issue]time.Time
	turn       map[string]int // which node a StreamId is given next
	taken      map[string]int // StreamId → session that publishes it
	heldUntil  map[string]time.Time
	nonces     map[string]bool
	sequences  map[string]int64
	calls      []time.Time // of the last second
	refusals   int
	requests   []Request
	sessions   []Session
	violations []string
	fault      APIFault
}

// issue is a node named for a stream.
type issue struct{ streamID, node string }

func newRegistry(o Options) *registry {
	return &registry{
		now:       o.Now,
		linger:    o.Linger,
		issued:    make(map[issue]time.Time),
		turn:      make(map[string]int),
		taken:     make(map[string]int),
		heldUntil: make(map[string]time.Time),
		nonces:    make(map[string]bool),
		sequences: make(map[string]int64),
	}
}

func (r *registry) violate(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.violateLocked(format, args...)
}

func (r *registry) violateLocked(format string, args ...any) {
	if len(r.violations) < maxViolations {
		r.violations = append(r.violations, fmt.Sprintf(format, args...))
	}
}

// overLimit counts a call and reports whether it is one too many in a second.
func (r *registry) overLimit(at time.Time) (code int, over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = slices.DeleteFunc(r.calls, func(t time.Time) bool { return at.Sub(t) >= time.Second })
	r.calls = append(r.calls, at)
	if len(r.calls) <= callsASecond {
		return codeOK, false
	}
	r.refusals++
	if r.refusals%2 == 0 {
		return codeTooOftenToo, true
	}
	return codeTooOften, true
}

// note keeps a call and what is odd about it.
func (r *registry) note(q Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, q)
	if q.Nonce != "" {
		if r.nonces[q.Nonce] {
			r.violateLocked("nonce %s was used twice", q.Nonce)
		}
		r.nonces[q.Nonce] = true
	}
	if q.Sequence != 0 {
		if last, ok := r.sequences[q.StreamID]; ok && q.Sequence <= last {
			r.violateLocked("sequence %d of %s doesn't rise", q.Sequence, q.StreamID)
		}
		r.sequences[q.StreamID] = q.Sequence
	}
}

// assign names a node for a stream: another one than the last time if there is
// another, a living one if one lives.
func (r *registry) assign(streamID string, nodes []*Node) (*Node, bool) {
	alive := slices.DeleteFunc(slices.Clone(nodes), func(n *Node) bool { return !n.Alive() })
	if len(alive) == 0 {
		return nil, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	turn := r.turn[streamID]
	node := alive[turn%len(alive)]
	r.turn[streamID] = turn + 1
	r.issued[issue{streamID, node.addr}] = r.now()
	return node, true
}

// claim begins a session, or says why not.
func (r *registry) claim(streamID, node string) (session, nth int, refused string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	issued, ok := r.issued[issue{streamID, node}]
	switch {
	case !ok:
		r.violateLocked("%s was published to %s, which was not named for it", streamID, node)
		return 0, 0, "not dispatched to this node"
	case r.now().Sub(issued) > goodFor:
		r.violateLocked("%s was published to %s more than two hours after the dispatch", streamID, node)
		return 0, 0, "the dispatch is too old"
	case r.taken[streamID] != 0 || r.now().Before(r.heldUntil[streamID]):
		return 0, 0, "already being published"
	}
	nth = 1
	for _, s := range r.sessions {
		if s.StreamID == streamID {
			nth++
		}
	}
	session = len(r.sessions) + 1
	r.taken[streamID] = session
	r.sessions = append(r.sessions, Session{Number: session, StreamID: streamID, Node: node, Started: r.now()})
	return session, nth, ""
}

// count notes a message of a session.
func (r *registry) count(session int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions[session-1].Messages++
}

// release ends a session. Without a goodbye the name stays held for a while.
func (r *registry) release(session int, clean bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.sessions[session-1]
	s.Ended, s.Clean = r.now(), clean
	delete(r.taken, s.StreamID)
	if !clean {
		r.heldUntil[s.StreamID] = r.now().Add(r.linger)
	}
}

func (r *registry) allRequests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

func (r *registry) allSessions() []Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sessions)
}

func (r *registry) allViolations() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.violations)
}

func (r *registry) setFault(f APIFault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = f
}

func (r *registry) currentFault() APIFault {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fault
}
