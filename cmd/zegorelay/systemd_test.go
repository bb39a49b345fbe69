package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"zegorelay/relay"
)

// told is a manager's end of the conversation: what it was told, and when.
type told struct {
	net.Conn
	begun time.Time

	mu   sync.Mutex
	said []string // "after message", lines of a message joined by spaces
}

func (c *told) Write(message []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	after := time.Since(c.begun).Round(time.Millisecond).String()
	c.said = append(c.said, after+" "+strings.ReplaceAll(string(message), "\n", " "))
	return len(message), nil
}

func (c *told) SetWriteDeadline(time.Time) error { return nil }
func (c *told) Close() error                     { return nil }

// all is what was told, but for what begins with one of some words.
func (c *told) all(but ...string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.said), func(line string) bool {
		_, message, _ := strings.Cut(line, " ")
		return slices.ContainsFunc(but, func(word string) bool { return strings.HasPrefix(message, word) })
	})
}

func newTold(log zerolog.Logger) (*serviceManager, *told) {
	c := &told{begun: time.Now()}
	return &serviceManager{socket: "in memory", conn: c, log: log}, c
}

// fakeRelay is a relay as the manager's side sees it.
type fakeRelay struct {
	mu      sync.Mutex
	streams []relay.Status
	alive   chan struct{} // closed, or as many as there are answers
}

func (p *fakeRelay) Alive(ctx context.Context) error {
	select {
	case <-p.alive:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *fakeRelay) Streams() []relay.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.streams
}

func (p *fakeRelay) set(healths ...relay.Health) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.streams = nil
	for _, h := range healths {
		p.streams = append(p.streams, relay.Status{Health: h})
	}
}

// supervising holds the conversation about a relay that is alive until stop is called.
// It drains until drained is closed.
func supervising(m *serviceManager, p *fakeRelay, most time.Duration) (stop func(), drained chan struct{}, ended chan struct{}) {
	ctx, stop := context.WithCancel(context.Background())
	drained, ended = make(chan struct{}), make(chan struct{})
	go func() { defer close(ended); supervise(ctx, ctx, m, p, drained, most+drainSlack) }()
	return stop, drained, ended
}

// pass lets the bubble's time pass, and what happens at its end.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("told\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestServiceManagerIsToldOfALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newTold(zerolog.Nop())
		p := &fakeRelay{alive: make(chan struct{})}
		stop, drained, ended := supervising(m, p, 10*time.Second)
		pass(3 * time.Second)
		same(t, c.all()) // no loop has come round yet
		close(p.alive)
		pass(2500 * time.Millisecond)
		p.set(relay.OK, relay.Degraded, relay.OK, relay.Down)
		pass(4 * time.Second)
		p.set(relay.OK, relay.Away)
		pass(time.Second)
		stop()
		pass(2500 * time.Millisecond)
		close(drained)
		<-ended
		same(t, c.all(),
			"3s READY=1 STATUS=0 live",
			"6s STATUS=3 live, 1 not reaching ZEGO",
			"10s STATUS=1 live, 1 held for their encoders or players",
			"10.5s STOPPING=1 EXTEND_TIMEOUT_USEC=5000000 STATUS=stopping",
			"11.5s EXTEND_TIMEOUT_USEC=5000000 WATCHDOG=1",
			"12.5s EXTEND_TIMEOUT_USEC=5000000 WATCHDOG=1",
		)
	})
}

func TestWatchdogIsFedByAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		m, c := newTold(zerolog.New(&log))
		m.watchdog = 8 * time.Second
		p := &fakeRelay{alive: make(chan struct{}, 4)}
		for range 4 { // one is for READY
			p.alive <- struct{}{}
		}
		stop, drained, ended := supervising(m, p, time.Second)
		pass(30 * time.Second)
		same(t, c.all("READY"), "0s WATCHDOG=1", "4s WATCHDOG=1", "8s WATCHDOG=1")
		if n := strings.Count(log.String(), "don't come round"); n != 1 {
			t.Errorf("%d lines of the log, want one:\n%s", n, &log)
		}
		p.alive <- struct{}{} // late
		synctest.Wait()
		if said := c.all("READY"); said[len(said)-1] != "30s WATCHDOG=1" {
			t.Errorf("told %q", said)
		}
		stop()
		close(drained)
		<-ended
	})
}

// A drain that hangs is ended by the manager: it isn't asked for patience for ever.
func TestDrainIsExcusedForItsTimeOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newTold(zerolog.Nop())
		p := &fakeRelay{alive: make(chan struct{})}
		stop, _, ended := supervising(m, p, 3*time.Second)
		stop()
		<-ended
		if took := time.Since(c.begun); took != 5*time.Second {
			t.Errorf("excused for %v", took)
		}
		if said := c.all("EXTEND"); len(said) != 1 || !strings.HasPrefix(said[0], "0s STOPPING=1 ") {
			t.Errorf("told %q, and it was never ready", said)
		}
	})
}

func TestReloading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newTold(zerolog.Nop())
		bad := errors.New("a bad file")
		fails := func() error { return bad }
		if err := m.reloading(fails); !errors.Is(err, bad) { // too early to tell of
			t.Errorf("got %v", err)
		}
		m.isReady("0 live")
		if err := m.reloading(fails); !errors.Is(err, bad) {
			t.Errorf("got %v", err)
		}
		_ = m.reloading(func() error { m.isStopping(time.Second); return nil })
		_ = m.reloading(fails)
		m.isReady("late")
		said := c.all()
		for i, want := range []string{
			"READY=1 STATUS=0 live", "RELOADING=1 MONOTONIC_USEC=", "READY=1",
			"RELOADING=1 MONOTONIC_USEC=", "STOPPING=1 ",
		} {
			if i >= len(said) || !strings.HasPrefix(said[i], "0s "+want) {
				t.Fatalf("told %q", said)
			}
		}
		if len(said) != 5 {
			t.Errorf("told %q, want nothing after STOPPING=1", said)
		}
	})
}

func TestServiceManagerThatIsNotThere(t *testing.T) {
	for what, socket := range map[string]string{"none": "", "one that is gone": filepath.Join(t.TempDir(), "notify")} {
		var log bytes.Buffer
		m := &serviceManager{socket: socket, log: zerolog.New(&log)}
		m.isReady("0 live")
		m.isNow("1 live")
		m.isStopping(time.Second)
		m.close()
		if n := strings.Count(log.String(), "could not be told"); (n == 1) != (socket != "") || n > 1 {
			t.Errorf("%s: the log says\n%s", what, &log)
		}
	}
}

// A manager that starts anew opens its socket again.
func TestServiceManagerStartsAnew(t *testing.T) {
	addr := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
	m := &serviceManager{socket: addr.Name}
	defer m.close()
	for _, status := range []string{"before", "after"} {
		conn, err := net.ListenUnixgram("unixgram", addr)
		if err != nil {
			t.Fatal(err)
		}
		m.isNow(status)
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		message := make([]byte, 100)
		if n, err := conn.Read(message); err != nil || string(message[:n]) != "STATUS="+status {
			t.Errorf("%s: read %q, %v", status, message[:n], err)
		}
		conn.Close()
		os.Remove(addr.Name)
	}
}

// FDSTORE that is no number is as good as none, but for a word of it.
func TestStoreSize(t *testing.T) {
	for _, tc := range []struct {
		text string
		want int
		says string
	}{{"", 0, ""}, {"32", 32, ""}, {"0", 0, ""}, {"many", 0, "FDSTORE is no number"}, {"99999999999999999999", 0, "FDSTORE is no number"}} {
		t.Setenv("FDSTORE", tc.text)
		var log bytes.Buffer
		if got := storeSize(zerolog.New(&log)); got != tc.want || !strings.Contains(log.String(), tc.says) || (tc.says == "") != (log.Len() == 0) {
			t.Errorf("%q: %d descriptors, want %d; the log says %s", tc.text, got, tc.want, &log)
		}
	}
}
