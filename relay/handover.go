package relay

import (
	"context"
	"errors"
	"os"
	"time"

	"zegorelay/relay/handover"
	"zegorelay/relay/rtmp"
)

const (
	// lobbyPatience is how long clients that have not said yet what they want may
	// take to do so when another process is about to go on: nothing stands still
	// meanwhile.
	lobbyPatience = 200 * time.Millisecond
	lobbyTick     = 5 * time.Millisecond

	// messagePatience is how long a connection may take to the end of a message.
	// Those that take longer stop in the middle.
	messagePatience = 200 * time.Millisecond
)

// errLeaving is the cause with which everything stops, and nothing ends, when another
// process is to go on with it.
var errLeaving = errors.New("zegorelay hands over to its successor")

// HandOver ends Run as the end of its context would, but so that another process, or
// another Server, can go on with what is there: connections stay open, and nobody on
// their far sides learns of it. Listeners stay open, too. It doesn't wait for Run, and
// does nothing once Run is to end otherwise. What can't be handed over, RTMPS above all,
// is closed: what came by it is kept, and its stream waits for its return.
func (s *Server) HandOver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isLeaving() {
		close(s.leaving)
	}
}

// Kept is what Run has left after HandOver: the caller owns it. It is nil after any
// other end, and before. Listeners are not in it: they are the caller's.
func (s *Server) Kept() *handover.Bundle { return s.kept }

func (s *Server) isLeaving() bool {
	select {
	case <-s.leaving:
		return true
	default:
		return false
	}
}

// leaveWhenAsked has everything stop when another process is to go on, by stop. No
// connection is accepted from then on: who connects waits for that process.
func (s *Server) leaveWhenAsked(ctx context.Context, stop func()) {
	select {
	case <-s.leaving:
	case <-ctx.Done():
		return
	}
	for _, l := range s.loops {
		l.stop()
	}
	s.lobby.empty(ctx, lobbyPatience)
	stop()
}

// stop ends an accept loop for good, once the server is leaving.
func (l *acceptLoop) stop() {
	if bell, ok := l.Listener.(alarm); ok && bell.SetDeadline(time.Unix(1, 0)) == nil {
		return
	}
	_ = l.Close()
}

// empty waits until all who came have said what they want, but not for long.
func (l *lobby) empty(ctx context.Context, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(lobbyTick)
	defer tick.Stop()
	for l.waits() && ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func (l *lobby) waits() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting.Len() > 0
}

// client is one that another process is to answer.
type client struct {
	session *rtmp.Session
	file    *os.File // its connection
}

// leaveUnanswered leaves a client to another process, if that can be.
func (s *Server) leaveUnanswered(session *rtmp.Session) bool {
	file, err := session.File()
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putOff = append(s.putOff, &client{session, file})
	return true
}

// isLeaving reports whether ctx ended because another process goes on.
func isLeaving(ctx context.Context) bool {
	return ctx.Err() != nil && errors.Is(context.Cause(ctx), errLeaving)
}

// isShutdown reports whether ctx ended for good.
func isShutdown(ctx context.Context) bool { return ctx.Err() != nil && !isLeaving(ctx) }

// session is one with an encoder, a player or a node.
type session interface {
	Pause(by time.Time) bool
	Close() error
}

// stopWith ends a session when ctx ends: it is closed, or, if another process is to go
// on with it, paused. The caller stops that.
func stopWith(ctx context.Context, s session) (cancel func() bool) {
	return context.AfterFunc(ctx, func() {
		node, isNode := s.(interface{ Abandon() })
		switch {
		case isLeaving(ctx) && s.Pause(time.Now().Add(messagePatience)):
		case isLeaving(ctx) && isNode:
			node.Abandon() // so that it frees the stream's name for who goes on
		default:
			_ = s.Close()
		}
	})
}
