package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"zegorelay/relay/handover"
	"zegorelay/relay/rtmp"
)

const (
	// Accept errors, such as no descriptor left, pass: the listener backs off
	// between these and never ends for them.
	acceptWaitMin = 5 * time.Millisecond
	acceptWaitMax = time.Second

	// waitingShare is the part of all connections that one address may hold
	// without publishing or playing: one in so many.
	waitingShare = 4
)

// errShutdown is the cause with which everything ends when the program does.
var errShutdown = errors.New("zegorelay is shutting down")

// errDrainTimeout ends what could not be drained in time.
var errDrainTimeout = errors.New("the drain timeout passed")

// shared is what all streams of a Server have in common.
type shared struct {
	memory *memory // what they hold
	news   *news
	tally  *tally
}

// Server takes encoders and players in and holds the table of streams.
type Server struct {
	*shared

	o  Options
	wg sync.WaitGroup // connections and streams

	lobby   *lobby
	rules   atomic.Pointer[rulebook] // nil: any StreamId may be published
	gate    *rtmp.Gate
	guesses *guesses
	loops   []*acceptLoop // set before begun is closed
	begun   chan struct{}

	leaving chan struct{}    // closed when another process is to go on
	kept    *handover.Bundle // what it gets; set by Run
	revived []func(ctx, life context.Context)
	putOff  []*client // wait for the answer of another process; guarded by mu

	mu      sync.Mutex
	streams table
}

// New returns a Server that does nothing until Run.
func New(o Options) *Server {
	o = o.withDefaults()
	s := &Server{
		shared:  &shared{memory: newMemory(o.MemoryBytes), news: newNews(), tally: newTally()},
		o:       o,
		lobby:   newLobby(o.MaxConnections, max(1, o.MaxConnections/waitingShare)),
		streams: newTable(),
		begun:   make(chan struct{}),
		leaving: make(chan struct{}),
		guesses: newGuesses(),
	}
	s.gate = rtmp.NewGate(rtmp.Door{
		IsLocked:      s.needsLogin,
		Password:      func(user string) (string, bool) { return s.rules.Load().password(user) },
		BeforeJudging: func(ctx context.Context, who net.Addr) error { return s.guesses.wait(ctx, addrOf(who)) },
	})
	if o.Rules != nil {
		s.rules.Store(newRulebook(o.Rules, o.App))
	}
	s.o.Dispatch = s.tally.measured(o.Dispatch)
	return s
}

// Run serves encoders on listeners until ctx ends, then ends every stream in order:
// encoders are closed, what they sent is delivered, nodes are told goodbye.
// That takes at most the drain timeout. Run closes the listeners, and everything it
// started has ended when it returns. Its error is nil after a shutdown, or after
// HandOver, else why a listener failed. It is called once.
func (s *Server) Run(ctx context.Context, listeners ...net.Listener) error {
	asked := ctx
	ctx, stop := context.WithCancelCause(context.WithoutCancel(asked))
	defer context.AfterFunc(asked, func() { stop(errShutdown) })()
	// Streams outlive ctx by the drain timeout.
	life, kill := context.WithCancelCause(context.WithoutCancel(ctx))
	defer kill(nil)
	context.AfterFunc(ctx, func() {
		if isLeaving(ctx) {
			return // all stays as it is
		}
		for _, ln := range listeners {
			_ = ln.Close()
		}
		for _, stream := range s.all() {
			stream.errand.end() // but for those with an encoder: they end with it
		}
		time.AfterFunc(s.o.DrainTimeout, func() { kill(errDrainTimeout) })
	})

	observing, rest := context.WithCancel(context.WithoutCancel(ctx))
	var observer sync.WaitGroup
	observer.Go(func() { s.observe(observing) })

	var accepting errgroup.Group
	for _, ln := range listeners {
		s.loops = append(s.loops, newAcceptLoop(ln))
	}
	close(s.begun)
	for _, start := range s.revived {
		start(ctx, life)
	}
	s.revived = nil // they hold all that was handed over
	s.wg.Go(func() {
		s.leaveWhenAsked(ctx, func() {
			if stop(errLeaving); isLeaving(ctx) { // and nobody was quicker
				kill(errLeaving)
			}
		})
	})
	for _, l := range s.loops {
		accepting.Go(func() error {
			defer close(l.ended)
			err := s.accept(ctx, life, l)
			if !s.isLeaving() {
				stop(errShutdown) // one listener less is a program that has failed
			}
			return err
		})
	}
	err := accepting.Wait()
	s.wg.Wait()
	rest()
	observer.Wait()
	if isLeaving(ctx) {
		s.kept = s.keep()
	}
	return err
}

// accept starts a goroutine for every connection. It returns when l is closed.
func (s *Server) accept(ctx, life context.Context, l *acceptLoop) error {
	wait := acceptWaitMin
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			wait = acceptWaitMin
			s.receive(ctx, life, nc)
		case l.isWoken(err):
			s.comeRound(l)
			if s.isLeaving() { // after the alarm is off: who leaves sets it anew
				return nil
			}
		case ctx.Err() != nil:
			return nil //nolint:nilerr // Run closed the listener
		case errors.Is(err, net.ErrClosed) && s.isLeaving():
			return nil // it could not be woken otherwise
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept: %w", err)
		default:
			s.o.Log.Warn().Err(err).Stringer(logNextTry, rounded(wait)).Msg("connection not accepted")
			select {
			case <-time.After(wait):
			case <-s.leaving:
				return nil
			case <-ctx.Done():
			}
			wait = min(2*wait, acceptWaitMax)
		}
	}
}

// receive starts a connection's goroutine if there is a place for it, and keeps
// one connection's bug its own. Places are given in the order of the accepts.
func (s *Server) receive(ctx, life context.Context, nc net.Conn) {
	ctx, leave := context.WithCancelCause(ctx)
	visit, ok := s.lobby.enter(nc.RemoteAddr(), leave)
	if !ok {
		s.tally.reject(rejectLimit)
		const full = "all places are taken by encoders and players"
		if times, tell := s.lobby.refused.count(addrOf(nc.RemoteAddr()), full); tell {
			s.o.Log.Warn().Stringer(logRemote, nc.RemoteAddr()).Int(logMost, s.o.MaxConnections).Int(logTries, times).
				Msg("connection closed: " + full)
		}
		leave(nil)
		_ = nc.Close()
		return
	}
	s.serve(nc, visit, leave, func() { s.handle(ctx, life, nc, visit) })
}

// keepOn goes on with a connection that another process has had: it has its place,
// whoever else is there.
func (s *Server) keepOn(ctx context.Context, nc net.Conn, serve func(ctx context.Context, visit *visit)) {
	ctx, leave := context.WithCancelCause(ctx)
	visit := s.lobby.admit(nc.RemoteAddr(), leave)
	s.serve(nc, visit, leave, func() { serve(ctx, visit) })
}

// serve starts a connection's goroutine, and closes the connection in the end.
func (s *Server) serve(nc net.Conn, visit *visit, leave context.CancelCauseFunc, f func()) {
	s.wg.Go(func() {
		defer nc.Close()
		defer leave(nil)
		defer visit.exit()
		err := guarded(func() error { f(); return nil })
		if err != nil {
			s.o.Log.Error().Stringer(logRemote, nc.RemoteAddr()).Err(err).Msg("connection ended by a bug: please report it")
		}
	})
}

// guarded turns a panic in f into an error: what one peer sets off must not end
// the others.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}
