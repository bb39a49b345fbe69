package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// ErrNotAccepting says that a listener's accept loop has ended.
var ErrNotAccepting = errors.New("connections are not accepted any more")

// acceptLoop is the loop of one listener, and how it is asked whether it comes
// round.
//
// The other way to know, a connection to ourselves, would tell less and cost more: it
// takes a descriptor when there is none, a place that an encoder could have had, and a
// way through firewalls and full queues, so that a flood of connections would look like
// a deadlock. A listener's deadline wakes its loop whatever it is bound to and whoever
// opened it, and is seen by nobody else.
type acceptLoop struct {
	net.Listener
	questions chan chan<- struct{} // each is closed for an answer
	ended     chan struct{}
}

// alarm is what of a listener wakes its loop.
type alarm interface{ SetDeadline(t time.Time) error }

func newAcceptLoop(ln net.Listener) *acceptLoop {
	return &acceptLoop{Listener: ln, questions: make(chan chan<- struct{}, 1), ended: make(chan struct{})}
}

// ask has the loop come round once. It waits for that until ctx ends.
func (l *acceptLoop) ask(ctx context.Context) error {
	bell, ok := l.Listener.(alarm)
	if !ok {
		return nil
	}
	answer := make(chan struct{})
	select {
	case l.questions <- answer:
	case <-l.ended:
		return ErrNotAccepting
	case <-ctx.Done(): // nobody has taken the question before this one
		return fmt.Errorf("the accept loop of %v doesn't come round: %w", l.Addr(), context.Cause(ctx))
	}
	// Only now: a loop that is woken looks for questions, and never without need.
	if err := bell.SetDeadline(time.Unix(1, 0)); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("wake the accept loop of %v: %w", l.Addr(), err)
	}
	select {
	case <-answer:
		return nil
	case <-l.ended:
		return ErrNotAccepting
	case <-ctx.Done():
		return fmt.Errorf("the accept loop of %v doesn't come round: %w", l.Addr(), context.Cause(ctx))
	}
}

// isWoken reports whether an error of Accept is the alarm, and then turns that off.
func (l *acceptLoop) isWoken(err error) bool {
	bell, ok := l.Listener.(alarm)
	if !ok || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	// Before the questions are looked for: who asks after that sets it anew.
	_ = bell.SetDeadline(time.Time{}) // fails if the listener is closed, as Accept will
	return true
}

// answer answers all who ask.
func (l *acceptLoop) answer() {
	for {
		select {
		case q := <-l.questions:
			close(q)
		default:
			return
		}
	}
}

// Alive returns nil once every accept loop has come round, from the call on, and on its
// way has passed through what a new connection passes through: the lobby and the table
// of streams. If one of them hangs it waits until ctx ends; its error then says so. It
// waits for Run to begin, too. After a listener is closed its error matches
// ErrNotAccepting. It is for a watchdog: nothing is counted or logged for it, and no
// peer can make it wait. A listener that has no SetDeadline is not asked.
func (s *Server) Alive(ctx context.Context) error {
	select {
	case <-s.begun:
	case <-ctx.Done():
		return fmt.Errorf("no accept loop has begun: %w", context.Cause(ctx))
	}
	for _, l := range s.loops {
		if err := l.ask(ctx); err != nil {
			return err
		}
	}
	return nil
}

// comeRound goes an accept loop's way without a connection, for Alive: it hangs where
// the next encoder would hang.
func (s *Server) comeRound(l *acceptLoop) {
	s.lobby.size()
	s.published("")
	l.answer()
}
