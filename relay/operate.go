package relay

import (
	"context"
	"errors"
	"time"

	"zegorelay/dispatch"
)

// This file is what an operator, or a program for one, can see and do. None of it
// waits for a peer.

var (
	// ErrNoStream says that no stream has the name.
	ErrNoStream = errors.New("there is no such stream")

	// ErrNobody says that no encoder, or player, is there.
	ErrNobody = errors.New("nobody is there")

	errKicked     = errors.New("an operator ended the connection")
	errRedispatch = errors.New("an operator asked for another node")
)

// Totals are what is counted for the process, not for a stream. A map that is
// returned is the caller's.
type Totals struct {
	Publishers, Players       int               // connections now
	PublishersEver, PlaysEver uint64            // so far
	Rejects                   map[string]uint64 // by reason: bad_key, auth, conflict, limit, protocol, handshake, zego
	Dispatches                []DispatchCount
	Throttled                 uint64 // dispatches that ZEGO called too many
	Memory                    int64  // bytes that the backlogs hold
	EventsDropped             uint64 // that a subscriber was too slow for
}

// DispatchCount is what came of the dispatches of one direction, by code: "0", ZEGO's
// return code, "http_500", "timeout", "network", "answer" for one that nobody can read,
// or "unknown" for a code that ZEGO doesn't document.
type DispatchCount struct {
	Direction dispatch.Direction
	Code      string
	Requests  uint64
	Took      time.Duration // in all
}

// named returns the stream of a name and a direction.
func (s *Server) named(name string, direction dispatch.Direction) (*Stream, error) {
	for _, stream := range s.all() {
		if stream.direction == direction && *stream.name.Load() == name {
			return stream, nil
		}
	}
	return nil, ErrNoStream
}

// Kick closes the connection of the encoder that publishes a stream, or of the
// players of a pulled one. Most come back by themselves. The error matches
// ErrNoStream or ErrNobody.
func (s *Server) Kick(name string, direction dispatch.Direction) error {
	stream, err := s.named(name, direction)
	if err != nil {
		return err
	}
	if !stream.errand.kick() {
		return ErrNobody
	}
	stream.log.Info().Msg("an operator kicked who was there")
	stream.tell(EventCommand, levelInfo, "an operator kicked who was there", "")
	return nil
}

// Redispatch has a stream ask ZEGO for another node now: one that has a node leaves
// it in order, one that waits for its next try waits no longer. The error matches
// ErrNoStream.
func (s *Server) Redispatch(name string, direction dispatch.Direction) error {
	stream, err := s.named(name, direction)
	if err != nil {
		return err
	}
	stream.log.Info().Msg("an operator asked for another node")
	stream.tell(EventCommand, levelInfo, "an operator asked for another node", "")
	stream.mu.Lock()
	moveOn := stream.moveOn
	stream.mu.Unlock()
	if moveOn != nil {
		moveOn()
		return nil
	}
	stream.askAgain()
	return nil
}

// RetryRefused has streams that wait because of something that only an operator could
// mend ask ZEGO for a node now: it may have been mended. It doesn't wait for them.
func (s *Server) RetryRefused() {
	for _, stream := range s.all() {
		if v := dispatch.VerdictOf(stream.lastVerdict()); v == dispatch.Operator {
			stream.askAgain()
		}
	}
}

// askAgain ends the stream's wait before its next dispatch.
func (s *Stream) askAgain() {
	select {
	case s.again <- struct{}{}:
	default: // it has been asked already
	}
}

// mayMoveOn has leave called when an operator wants the stream's session with a node
// to end, until done is called.
func (s *Stream) mayMoveOn(leave func()) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moveOn = leave
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.moveOn = nil
	}
}

// Totals returns what is counted for the process.
func (s *Server) Totals() Totals {
	all := s.tally.totals()
	all.Memory, all.EventsDropped = s.memory.used.Load(), s.news.missed.Load()
	return all
}

// Events subscribes to what happens from now on. The channel has room for some; who
// is slower misses events, which Totals counts. It is closed when ctx ends.
func (s *Server) Events(ctx context.Context) <-chan Event { return s.news.subscribe(ctx) }

// ObserveDispatch has f called with the direction and the duration of every dispatch
// that got a node. It must be set before Run, and f must not block.
func (s *Server) ObserveDispatch(f func(d dispatch.Direction, took time.Duration)) {
	s.tally.onDispatch = f
}

// ObserveRestore has f called with the time for which a stream had somebody who needs
// a node, and none, whenever that is over. It must be set before Run, and f must not
// block.
func (s *Server) ObserveRestore(f func(took time.Duration)) { s.tally.onRestore = f }
