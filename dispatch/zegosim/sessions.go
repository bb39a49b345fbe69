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

// place is a node for a stream in one direction, push or pull.
type place struct{ streamID, direction, node string }

// grant is the permission to publish, or play, that dispatches gave for a place.
type grant struct {
	at     time.Time // of the last dispatch
	unused int       // dispatches that no session has used yet
}

// assign names a node for a stream: the next one behind that which was named
// last, the living first. False: no node lives.
func (r *registry) assign(streamID, direction string, nodes []*Node) (*Node, bool) {
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
		r.grantLocked(place{streamID, direction, node.addr})
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
	at := place{streamID, typePush, node}
	if refused := r.refusalLocked(at, "published to"); refused != "" {
		return Session{}, refused
	}
	now := r.now()
	if r.taken[streamID] || now.Before(r.heldUntil[streamID]) {
		return Session{}, alreadyPublished
	}
	r.useLocked(at, "published to")
	r.taken[streamID] = true
	r.count[streamID]++
	s = Session{
		Number: len(r.sessions) + 1, Nth: r.count[streamID],
		StreamID: streamID, Node: node, Started: now,
	}
	r.sessions = append(r.sessions, s)
	return s, ""
}

// refusalLocked is why a stream may not be taken up at a place, "" if it may.
func (r *registry) refusalLocked(p place, doing string) string {
	switch g := r.grants[p]; {
	case g == nil:
		r.violateLocked("%s was %s %s, which was not named for it", p.streamID, doing, p.node)
		return "not dispatched to this node"
	case r.now().Sub(g.at) > goodFor:
		r.violateLocked("%s was %s %s more than two hours after the dispatch", p.streamID, doing, p.node)
		return "the dispatch is too old"
	default:
		return ""
	}
}

// useLocked uses a dispatch up. ZEGO wants one before every push and every pull.
// It can't want one of an API that is not there.
func (r *registry) useLocked(p place, doing string) {
	g := r.grants[p]
	if g.unused == 0 && !r.apiInTrouble(r.now()) {
		r.violateLocked("%s was %s %s again without a new dispatch", p.streamID, doing, p.node)
	}
	g.unused = max(0, g.unused-1)
}

// view uses a dispatch of a pull up, or says why not.
func (r *registry) view(streamID, node string) (refused string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := place{streamID, typePull, node}
	if refused := r.refusalLocked(at, "played from"); refused != "" {
		return refused
	}
	r.useLocked(at, "played from")
	return ""
}

// beginPlay notes a play session, and returns its number for endPlay.
func (r *registry) beginPlay(streamID, node string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plays = append(r.plays, Play{StreamID: streamID, Node: node, Started: r.now()})
	return len(r.plays) - 1
}

func (r *registry) sent(number int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plays[number].Messages++
}

func (r *registry) endPlay(number int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plays[number].Ended = r.now()
}

func (r *registry) allPlays() []Play {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.plays)
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
