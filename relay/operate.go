package relay

import (
	"context"
	"errors"
	"io"
	"time"

	"zegorelay/dispatch"
)

// This file is what an operator, or a program for one, can see and do. None of it
// waits for a peer.

// ErrNoStream says that no stream has the name.
var ErrNoStream = errors.New("there is no such stream")

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
// return code, "http_500", "timeout", "network" or "answer".
type DispatchCount struct {
	Direction dispatch.Direction
	Code      string
	Requests  uint64
	Took      time.Duration // in all
}

// Kick closes the connection of the encoder that publishes a stream, or of the
// players of a pulled one. Most encoders come back by themselves. The error is
// ErrNoStream if nobody is there.
func (s *Server) Kick(name string, direction dispatch.Direction) error { return ErrNoStream }

// Redispatch has a stream ask ZEGO for another node now: also one that waits for its
// next try.
func (s *Server) Redispatch(name string, direction dispatch.Direction) error { return ErrNoStream }

// Totals returns what is counted for the process.
func (s *Server) Totals() Totals { return Totals{} }

// Events subscribes to what happens from now on. The channel has room for some; who
// is slower misses events, which Totals counts. It is closed when ctx ends.
func (s *Server) Events(ctx context.Context) <-chan Event { return nil }

// ObserveDispatch has f called with the direction and the duration of every dispatch
// that got an answer. It must be set before Run, and f must not block.
func (s *Server) ObserveDispatch(f func(d dispatch.Direction, took time.Duration)) {}

// ObserveRestore has f called with the time for which a stream had an encoder and no
// node, whenever that is over. It must be set before Run, and f must not block.
func (s *Server) ObserveRestore(f func(took time.Duration)) {}

// WriteFLV writes a stream as an FLV file, from its newest keyframe on, until ctx or
// the stream ends, or w fails. Each write is a few whole tags. It blocks for all that
// time.
func (s *Server) WriteFLV(ctx context.Context, name string, direction dispatch.Direction, w io.Writer) error {
	return ErrNoStream
}
