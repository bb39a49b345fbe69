package zegosim

import (
	"slices"
	"time"
)

// goodFor is how long a node may be used after the dispatch that named it; this
// much passes.
const goodFor = 2 * time.Hour

// troubleEcho is how long after the API's trouble a publisher may act on a call
// that failed.
const troubleEcho = 10 * time.Second

// alreadyPublished is why a StreamId's second publisher is refused.
const alreadyPublished = "already being published"

// Session is one publish session at a node.
type Session struct {
	Number   int // counts all sessions of the Sim from 1
	Nth      int // counts those of the StreamId from 1
	StreamID string
	Node     string    // host:port
	Started  time.Time // by Options.Now
	Ended    time.Time // zero while it lasts
	Clean    bool      // it ended with a goodbye: FCUnpublish or deleteStream
	Err      string    // why it ended if it didn't end clean
	Messages int       // audio, video and data
	Bytes    int64     // of their payloads
}

// place is a node for a stream.
type place struct{ streamID, node string }

// grant is the permission to publish that dispatches gave for a place.
type grant struct {
	at     time.Time // of the last dispatch
	unused int       // dispatches that no session has used yet
}

// assign names a node for a stream: the next one behind that which was named
// last, the living first. False: no node lives. Only a push may publish there.
func (r *registry) assign(streamID string, isPush bool, nodes []*Node) (*Node, bool) {
	alive := make(map[*Node]bool, len(nodes))
	for _, n := range nodes {
		alive[n] = n.Alive() // takes the node's lock: not under ours
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	behind := slices.Index(nodes, r.lastNode[streamID]) + 1
	for i := range nodes {
		node := nodes[(behind+i)%len(nodes)]
		if !alive[node] {
			continue
		}
		r.lastNode[streamID] = node
		if isPush {
			r.grantLocked(place{streamID, node.addr})
		}
		return node, true
	}
	return nil, false
}

func (r *registry) grantLocked(p place) {
	g := r.grants[p]
	if g == nil {
		g = &grant{}
		r.grants[p] = g
	}
	g.at = r.now()
	g.unused++
}

// claim begins a session of a stream at a node, or says why not.
func (r *registry) claim(streamID, node string) (s Session, refused string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	g := r.grants[place{streamID, node}]
	switch {
	case g == nil:
		r.violateLocked("%s was published to %s, which was not named for it", streamID, node)
		return Session{}, "not dispatched to this node"
	case now.Sub(g.at) > goodFor:
		r.violateLocked("%s was published to %s more than two hours after the dispatch", streamID, node)
		return Session{}, "the dispatch is too old"
	case r.taken[streamID] || now.Before(r.heldUntil[streamID]):
		return Session{}, alreadyPublished
	}
	// ZEGO wants a dispatch before every push. It can't want one of an API that
	// is not there.
	if g.unused == 0 && !r.apiInTrouble(now) {
		r.violateLocked("%s was published to %s again without a new dispatch", streamID, node)
	}
	g.unused = max(0, g.unused-1)
	r.taken[streamID] = true
	r.count[streamID]++
	s = Session{
		Number: len(r.sessions) + 1, Nth: r.count[streamID],
		StreamID: streamID, Node: node, Started: now,
	}
	r.sessions = append(r.sessions, s)
	return s, ""
}

// apiInTrouble reports whether the API is, or has been a moment ago, in no state
// to answer. The caller holds the lock.
func (r *registry) apiInTrouble(now time.Time) bool {
	return r.fault != nil || r.apiDown || now.Sub(r.troubleEnded) < troubleEcho
}

// received counts a message of a session.
func (r *registry) received(number, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.sessions[number-1]
	s.Messages++
	s.Bytes += int64(bytes)
}

// release ends a session. Without a goodbye the name stays held for a while.
func (r *registry) release(number int, clean bool, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.sessions[number-1]
	s.Ended, s.Clean, s.Err = r.now(), clean, reason
	delete(r.taken, s.StreamID)
	delete(r.heldUntil, s.StreamID)
	if !clean {
		r.heldUntil[s.StreamID] = s.Ended.Add(r.linger)
	}
}

func (r *registry) allSessions() []Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sessions)
}
