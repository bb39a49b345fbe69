package relay

import (
	"time"

	"zegorelay/dispatch"
)

// State is where a stream's code is.
type State string

// States of a stream on its way to a node.
const (
	Idle        State = "idle"
	Dispatching State = "dispatching" // asking ZEGO for a node
	Connecting  State = "connecting"  // dial to Publish.Start or Play.Start
	Publishing  State = "publishing"  // a node takes the stream
	Playing     State = "playing"     // a node gives the stream
	Waiting     State = "waiting"     // before the next dispatch
	Draining    State = "draining"    // the encoder is gone, the rest is on its way
	Closed      State = "closed"
)

// Status is what is known of one stream at one moment. Counters count from the
// first encoder's publish, or the first player's play, on.
type Status struct {
	StreamID  string
	Direction dispatch.Direction
	Since     time.Time // of the first encoder's publish or player's play
	Remote    string    // the encoder's address
	Away      time.Time // since when the stream waits for its encoder's return; zero while it has one
	Publishes uint64    // encoders so far

	State     State
	StateFor  time.Duration // how long it has been in State
	Node      string        // host:port of the node, where there is one
	LastError string        // why the last node was lost or not had; empty while all is well
	NextTry   time.Time     // while Waiting

	BytesIn, MessagesIn   uint64 // from encoders, or from nodes
	BytesOut, MessagesOut uint64 // to nodes, replays and repeated headers included
	Replayed              uint64 // messages sent to one more node
	Dropped               uint64 // messages given up to a bound of the backlog
	Dispatches, Sessions  uint64

	Players     int    // now
	Plays       uint64 // players so far
	BytesPlayed uint64 // to players
	Skipped     uint64 // messages that players were too slow for

	BacklogBytes int
	BacklogAge   time.Duration
}

// phase is the part of a Status that changes as a whole.
type phase struct {
	state     State
	since     time.Time
	node      string
	lastError string
	nextTry   time.Time
}

// enter marks a new state.
func (s *Stream) enter(state State, node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.state, s.now.since, s.now.node, s.now.nextTry = state, time.Now(), node, time.Time{}
	if state == s.onAir() {
		s.now.lastError = ""
	}
}

// enterWaiting marks the wait after a loss.
func (s *Stream) enterWaiting(lost *loss, nextTry time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = phase{
		state:     Waiting,
		since:     time.Now(),
		node:      lost.node,
		lastError: lost.what + ": " + lost.err.Error(),
		nextTry:   nextTry,
	}
}

// onAir is the state of a stream that has a node.
func (s *Stream) onAir() State {
	if s.direction == dispatch.Pull {
		return Playing
	}
	return Publishing
}

// Status returns a snapshot. It doesn't wait for I/O.
func (s *Stream) Status() Status {
	s.mu.Lock()
	now := s.now
	s.mu.Unlock()
	remote, away := s.errand.remote()
	bytes, age := s.backlog.held(time.Now())
	c := &s.counters
	return Status{
		StreamID:     s.id,
		Direction:    s.direction,
		Since:        s.since,
		Remote:       remote,
		Away:         away,
		Publishes:    c.publishes.Load(),
		State:        now.state,
		StateFor:     time.Since(now.since),
		Node:         now.node,
		LastError:    now.lastError,
		NextTry:      now.nextTry,
		BytesIn:      c.bytesIn.Load(),
		MessagesIn:   c.messagesIn.Load(),
		BytesOut:     c.bytesOut.Load(),
		MessagesOut:  c.messagesOut.Load(),
		Replayed:     c.replayed.Load(),
		Dropped:      c.dropped.Load(),
		Dispatches:   c.dispatches.Load(),
		Sessions:     c.sessions.Load(),
		Players:      s.audience.size(),
		Plays:        c.plays.Load(),
		BytesPlayed:  c.bytesPlayed.Load(),
		Skipped:      c.skipped.Load(),
		BacklogBytes: bytes,
		BacklogAge:   age,
	}
}
