package relay

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// aLittle is how long a test waits for what must not come.
const aLittle = 50 * time.Millisecond

// secure is a listener for TLS that can be woken, as the program makes one.
type secure struct {
	net.Listener
	alarm
}

// serve runs a server on a wildcard address, one on loopback, and one with TLS.
func serve(t *testing.T) (s *Server, log *bytes.Buffer, stop func() error) {
	t.Helper()
	log = &bytes.Buffer{}
	s = New(Options{Log: zerolog.New(zerolog.SyncWriter(log))})
	listeners := make([]net.Listener, 3)
	for i, addr := range []string{":0", "127.0.0.1:0", "127.0.0.1:0"} {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		listeners[i] = ln
	}
	listeners[2] = secure{tls.NewListener(listeners[2], &tls.Config{}), listeners[2].(*net.TCPListener)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, listeners...) }()
	return s, log, func() error { cancel(); return <-ended }
}

// hangs asks a server that must not answer.
func hangs(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), aLittle)
	defer cancel()
	if err := s.Alive(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Alive returned %v, want that it doesn't come round", err)
	}
}

func TestAlive(t *testing.T) {
	s, log, stop := serve(t)
	for range 100 {
		if err := s.Alive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for what, lock := range map[string]func() (unlock func()){
		"the table": func() func() { s.mu.Lock(); return s.mu.Unlock },
		"the lobby": func() func() { s.lobby.mu.Lock(); return s.lobby.mu.Unlock },
	} {
		t.Run(what+" is locked", func(t *testing.T) {
			unlock := lock()
			hangs(t, s)
			hangs(t, s) // behind the first question
			unlock()
			if err := s.Alive(t.Context()); err != nil {
				t.Errorf("with the lock free again: %v", err)
			}
		})
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := s.Alive(t.Context()); !errors.Is(err, ErrNotAccepting) {
		t.Errorf("after the end: %v", err)
	}
	if log.Len() > 0 {
		t.Errorf("the log has\n%s", log)
	}
	if totals := s.Totals(); len(totals.Rejects) > 0 {
		t.Errorf("counted: %v", totals.Rejects)
	}
}

func TestAliveBeforeRun(t *testing.T) { hangs(t, New(Options{})) }

// Many ask while connections come: everybody is answered, and every connection taken.
func TestAliveUnderConnections(t *testing.T) {
	s, _, stop := serve(t)
	if err := s.Alive(t.Context()); err != nil {
		t.Fatal(err)
	}
	const each = 50
	failed := make(chan error)
	for range 4 {
		go func() {
			var err error
			for range each {
				err = errors.Join(err, s.Alive(t.Context()))
			}
			failed <- err
		}()
	}
	for range each {
		nc, err := net.Dial("tcp", s.loops[0].Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		// The answer to C0 and C1 shows that somebody took it.
		hello := make([]byte, 1+1536)
		hello[0] = 3
		nc.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := nc.Write(hello); err != nil {
			t.Error(err)
		}
		if _, err := nc.Read(hello); err != nil {
			t.Error(err)
		}
		nc.Close()
	}
	for range 4 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
