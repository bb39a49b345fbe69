package relay

import (
	"time"

	"zegorelay/dispatch"
	"zegorelay/relay/media"
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
	Name      string // what operators call the stream: its configured name, or the StreamId
	StreamID  string
	App       string // RTMP application that it is published to or played from
	Direction dispatch.Direction
	Since     time.Time // of the first encoder's publish or player's play

	Health      Health
	Reason      string    // in words; empty while all is well
	HealthSince time.Time // when Health became what it is

	Publisher *Publisher // nil while there is none, and for a pull
	Remote    string     // address of the encoder that is there or was last
	Away      time.Time  // since when the stream waits for its encoder's return; zero while it has one
	Publishes uint64     // encoders so far

	State     State
	StateFor  time.Duration // how long it has been in State
	Node      string        // host:port of the node, where there is one
	NodeSince time.Time     // when ZEGO named it; zero without a node that has the stream
	LastError string        // why the last node was lost or not had; empty while all is well
	Failure   *Failure      // the same in parts; nil while all is well
	Attempt   int           // failures in a row since the last healthy node
	NextTry   time.Time     // while Waiting

	media.Figures
	RateOut float64 // bits a second, of payload, to nodes or, for a pull, to players, over the last seconds

	BytesIn, MessagesIn   uint64 // from encoders, or from nodes
	BytesOut, MessagesOut uint64 // to nodes, replays and repeated headers included
	Replayed              uint64 // messages sent to one more node
	Dropped               uint64 // messages given up to a bound of the backlog
	Drops                 []Drop // the same by track and reason
	Dispatches, Sessions  uint64
	Outage                time.Duration // in all: an encoder was there, and no node
	OutFor                time.Duration // of it, the outage that there is now

	Players     int    // now
	Plays       uint64 // players so far
	BytesPlayed uint64 // to players
	Skipped     uint64 // messages that players were too slow for

	BacklogBytes int
	BacklogAge   time.Duration     // of the oldest message
	Lag          time.Duration     // age of the oldest message that the node isn't known to have; 0 if that can't be known
	RTT          time.Duration     // of the node's TCP connection; 0: not known
	Stood        time.Duration     // for which the node has acknowledged nothing although it should; 0 while that is not long
	Silence      time.Duration     // for which the encoder, or the node of a pull, has sent nothing
	Disconnects  map[string]uint64 // encoders that left, by reason: eof, reset, timeout, takeover, kick, protocol, goodbye, shutdown
	NodesLost    map[string]uint64 // by reason: stall, status, eof, reset, timeout, protocol, redispatch, no_farewell
	NodesMissed  map[string]uint64 // ways to a node that led nowhere, by Stage

	Advice []Advice // what is wrong now that a person can mend
	Events []Event  // the newest, oldest first
}

// Health is a stream's state for people: whether it reaches those it is for.
type Health string

// Healths. Only a stream whose node acknowledges what it is sent is OK.
const (
	OK       Health = "ok"
	Degraded Health = "degraded" // it gets there, but not as it should
	Down     Health = "down"     // an encoder, or a player, is there, and nothing gets through
	Away     Health = "idle"     // no encoder, or no player, is there
)

// Publisher is the encoder that has a stream now.
type Publisher struct {
	ID     uint64 // of its connection, for this process
	Remote string
	Since  time.Time
	Client string // what it calls itself, cut and unchecked
	Secure bool   // RTMPS
}

// Failure is why a stream's last node was lost or not had.
type Failure struct {
	At     time.Time
	Stage  Stage
	Code   string // ZEGO's return code, or the node's status code; may be empty
	Text   string // without secrets
	Advice string // what to do; may be empty
}

// Stage is how far a way to a node has come.
type Stage string

// Stages of the way to a node.
const (
	AtDispatch  Stage = "dispatch"
	AtDial      Stage = "dial"
	AtHandshake Stage = "handshake"
	AtConnect   Stage = "connect"
	AtPublish   Stage = "publish" // or play
	AtIO        Stage = "io"      // it was there, and is lost
)

// What a Status has from media, under names for those who import relay only.
type (
	// Track is what is measured of any track.
	Track = media.Track
	// VideoTrack is a picture.
	VideoTrack = media.VideoTrack
	// AudioTrack is sound.
	AudioTrack = media.AudioTrack
	// Advice is something wrong with a stream that a person can mend.
	Advice = media.Advice
)

// Drop counts messages of one track that were given up for one reason.
type Drop struct {
	Track    string // audio, video or data
	Reason   string // age, bytes or memory: a bound of the backlog; slow: the node
	Messages uint64
}

// phase is the part of a Status that changes as a whole.
type phase struct {
	state     State
	since     time.Time
	node      string
	nodeSince time.Time
	lastError string
	failure   *Failure
	attempt   int
	nextTry   time.Time
}

// enter marks a new state.
func (s *Stream) enter(state State, node string) {
	now := time.Now()
	s.mu.Lock()
	s.now.state, s.now.since, s.now.node, s.now.nextTry = state, now, node, time.Time{}
	if state != Draining {
		s.now.nodeSince = time.Time{}
	}
	if state == s.onAir() {
		s.now.nodeSince = s.remembered.at
		s.now.lastError, s.now.failure, s.now.attempt = "", nil, 0
	}
	s.outage.onAir = state == s.onAir() || state == Draining
	restored := s.outage.reckon(now)
	s.mu.Unlock()
	if restored > 0 {
		s.tally.onRestore(restored)
	}
}

// enterWaiting marks the wait after a loss.
func (s *Stream) enterWaiting(lost *loss, attempt int, nextTry time.Time) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = phase{
		state:     Waiting,
		since:     now,
		node:      lost.node,
		lastError: lost.what + ": " + lost.err.Error(),
		failure:   lost.failure(now),
		attempt:   attempt,
		nextTry:   nextTry,
	}
	s.outage.onAir = false
	s.outage.reckon(now)
	select {
	case <-s.again: // it was for the session that is lost
	default:
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
	now := time.Now()
	st := s.snapshot(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health.settle(&st, now)
	return st
}

// snapshot is a Status without the judgement on it.
func (s *Stream) snapshot(now time.Time) Status {
	remote, away := s.errand.remote()
	bytes, age := s.backlog.held(now)
	c := &s.counters
	st := Status{
		Name:         *s.name.Load(),
		StreamID:     s.id,
		App:          s.o.App,
		Direction:    s.direction,
		Since:        s.since,
		Publisher:    s.errand.publisher(),
		Remote:       remote,
		Away:         away,
		Publishes:    c.publishes.Load(),
		BytesIn:      c.bytesIn.Load(),
		MessagesIn:   c.messagesIn.Load(),
		BytesOut:     c.bytesOut.Load(),
		MessagesOut:  c.messagesOut.Load(),
		Replayed:     c.replayed.Load(),
		Dropped:      c.dropped.Load(),
		Drops:        s.backlog.losses(),
		Dispatches:   c.dispatches.Load(),
		Sessions:     c.sessions.Load(),
		Players:      s.audience.size(),
		Plays:        c.plays.Load(),
		BytesPlayed:  c.bytesPlayed.Load(),
		Skipped:      c.skipped.Load(),
		BacklogBytes: bytes,
		BacklogAge:   age,
		RTT:          time.Duration(s.link.rtt.Load()),
		Stood:        s.standstill(),
		Silence:      s.errand.silence(),
		Disconnects:  s.departures.read(),
		NodesLost:    s.lostBy.read(),
		NodesMissed:  s.missedAt.read(),
		Events:       s.diary.read(),
		Figures:      s.meter.Figures(now),
	}
	st.RateOut, st.Advice = s.observed.read()
	switch {
	case s.direction == dispatch.Pull:
		st.App = s.o.PullApp
	case s.link.tells.Load():
		st.Lag = s.backlog.lag(now)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.State, st.StateFor, st.Node, st.NodeSince = s.now.state, max(now.Sub(s.now.since), 0), s.now.node, s.now.nodeSince
	st.LastError, st.Failure, st.Attempt, st.NextTry = s.now.lastError, s.now.failure, s.now.attempt, s.now.nextTry
	st.OutFor = s.outage.present(now)
	st.Outage = s.outage.total + st.OutFor
	return st
}
