package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// Accept errors, such as no descriptor left, pass: the listener backs off
	// between these and never ends for them.
	acceptWaitMin = 5 * time.Millisecond
	acceptWaitMax = time.Second
)

// errShutdown is the cause with which everything ends when the program does.
var errShutdown = errors.New("zegorelay is shutting down")

// errDrainTimeout ends what could not be drained in time.
var errDrainTimeout = errors.New("the drain timeout passed")

// Server takes encoders in and holds the table of streams.
type Server struct {
	o  Options
	wg sync.WaitGroup // connections and streams

	mu          sync.Mutex
	connections int
	streams     map[string]*Stream // by StreamId
}

// New returns a Server that does nothing until Run.
func New(o Options) *Server {
	return &Server{o: o.withDefaults(), streams: make(map[string]*Stream)}
}

// Run serves encoders on ln until ctx ends, then ends every stream in order:
// encoders are closed, what they sent is delivered, nodes are told goodbye.
// That takes at most the drain timeout. Run closes ln, and everything it
// started has ended when it returns. Its error is nil after a shutdown, else
// why the listener failed.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	asked := ctx
	ctx, stop := context.WithCancelCause(context.WithoutCancel(asked))
	defer context.AfterFunc(asked, func() { stop(errShutdown) })()
	// Streams outlive ctx by the drain timeout.
	life, kill := context.WithCancelCause(context.WithoutCancel(ctx))
	defer kill(nil)
	context.AfterFunc(ctx, func() {
		_ = ln.Close()
		time.AfterFunc(s.o.DrainTimeout, func() { kill(errDrainTimeout) })
	})

	s.o.Log.Info().Str(logListen, ln.Addr().String()).Msg("listening for encoders")
	err := s.accept(ctx, life, ln)
	stop(errShutdown)
	s.wg.Wait()
	return err
}

// accept starts a goroutine for every connection. It returns when ln is closed.
func (s *Server) accept(ctx, life context.Context, ln net.Listener) error {
	wait := acceptWaitMin
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			wait = acceptWaitMin
			s.wg.Go(func() { s.serve(ctx, life, nc) })
		case ctx.Err() != nil:
			return nil //nolint:nilerr // Run closed the listener
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept: %w", err)
		default:
			s.o.Log.Warn().Err(err).Stringer(logNextTry, rounded(wait)).Msg("connection not accepted")
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
			wait = min(2*wait, acceptWaitMax)
		}
	}
}

// serve holds the bound on connections and keeps one connection's bug its own.
func (s *Server) serve(ctx, life context.Context, nc net.Conn) {
	defer nc.Close()
	remote := nc.RemoteAddr().String()
	if !s.enlist() {
		s.o.Log.Warn().Str(logRemote, remote).Int("most", s.o.MaxConnections).Msg("connection closed: too many")
		return
	}
	defer s.discharge()
	err := guarded(func() error { s.handle(ctx, life, nc); return nil })
	if err != nil {
		s.o.Log.Error().Str(logRemote, remote).Err(err).Msg("connection ended by a bug: please report it")
	}
}

func (s *Server) enlist() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connections == s.o.MaxConnections {
		return false
	}
	s.connections++
	return true
}

func (s *Server) discharge() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connections--
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

// Streams returns the state of all streams, sorted by StreamId.
func (s *Server) Streams() []Status {
	s.mu.Lock()
	streams := make([]*Stream, 0, len(s.streams))
	for _, st := range s.streams {
		streams = append(streams, st)
	}
	s.mu.Unlock()

	all := make([]Status, 0, len(streams))
	for _, st := range streams {
		all = append(all, st.Status())
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.StreamID, b.StreamID) })
	return all
}
