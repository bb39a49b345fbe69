package relay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"zegorelay/relay"
	"zegorelay/relay/rtmp"
)

func TestE4ReconnectStorm(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	begun := time.Now()
	for range 100 {
		c := r.raw().shake().publish("storm")
		_, _ = c.nc.Read(make([]byte, 1))
		c.say(command("FCUnpublish", 4.0, nil, "storm"))
		c.nc.Close()
	}
	took := time.Since(begun)
	n := 0
	for _, q := range r.sim.Requests() {
		if q.StreamID == "storm" {
			n++
		}
	}
	if most := 2 + int(took/time.Second); n > most {
		t.Errorf("%d dispatches in %v for one stream, at most %d", n, took, most)
	}
	stop()
}

func TestE17Slowloris(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) {
		o.Limits = rtmp.Limits{HandshakeTime: 300 * time.Millisecond, PublishTime: 600 * time.Millisecond}
	}})
	stop := r.neighbour()
	for what, c := range map[string]*raw{
		"silence":           r.raw(),
		"half a handshake":  r.raw().say(append([]byte{3}, make([]byte, 700)...)),
		"no connect":        r.raw().shake(),
		"half a command":    r.raw().shake().say(command("connect", 1.0, map[string]any{"app": "live"})[:20]),
		"connect, no more":  r.raw().shake().say(command("connect", 1.0, map[string]any{"app": "live"})),
		"pings, no publish": r.raw().shake().say(append(header(2, rtmp.TypeUserControl, 0, 6, 0), 0, 6, 0, 0, 0, 0)),
	} {
		if !c.closed(2 * time.Second) {
			t.Errorf("%s: still open", what)
		}
	}
	slow := r.raw()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := slow.nc.Write([]byte{3}); err != nil {
				return
			}
			<-time.After(10 * time.Millisecond)
		}
	}()
	select {
	case <-ended:
	case <-time.After(2 * time.Second):
		t.Error("a handshake byte by byte goes on for ever")
	}
	stop()
}

func TestE18IdleConnections(t *testing.T) {
	const idle = 2000
	r := newRig(t, setup{tune: func(o *relay.Options) {
		o.MaxConnections = 4 * idle // of which one address gets a quarter
		o.Limits.HandshakeTime = time.Minute
	}})
	stop := r.neighbour()
	for i := range idle {
		c := r.raw()
		if i%2 == 1 {
			c.say([]byte{3, 0, 0})
		}
	}
	begun := time.Now()
	e := r.publish()
	if took := time.Since(begun); took > time.Second {
		t.Errorf("a publish beside %d idle connections took %v", idle, took)
	}
	e.frames(60)
	e.goodbye()
	stop()
	r.checkAll()
}

func TestE18PublishersKeepTheirPlace(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) { o.MaxConnections = 3 }})
	stop := r.neighbour()
	a, b := r.publishAs("cam1"), r.publishAs("cam2")
	_, err := r.dial("cam3")
	if err == nil {
		t.Error("a fourth publisher was let in where there are three places")
	}
	r.waitLog("connection closed: all places are taken by encoders and players")
	a.frames(60)
	a.goodbye()
	for range 20 {
		r.raw()
	}
	c := r.publishAs("cam3")
	c.frames(60)
	c.goodbye()
	b.frames(60)
	b.goodbye()
	stop()
	r.checkAll()
}

// starved is a listener that has no descriptors for a while.
type starved struct {
	net.Listener
	tries atomic.Int32
	until time.Time
}

func (s *starved) Accept() (net.Conn, error) {
	if time.Now().Before(s.until) {
		s.tries.Add(1)
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return s.Listener.Accept()
}

func TestE19NoDescriptors(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &starved{Listener: ln, until: time.Now().Add(time.Second)}
	log := &logBuffer{changed: make(chan struct{})}
	srv := relay.New(relay.Options{Log: zerolog.New(log)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx, s) }()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	begun := time.Now()
	_ = nc.SetDeadline(time.Now().Add(patience))
	if _, err := nc.Write([]byte("GET")); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection was not served: %v", err)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("served %v after the accept failed first", took)
	}
	if n := s.tries.Load(); n > 20 {
		t.Errorf("%d tries in a second", n)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if line, _ := log.find("connection not accepted", "too many open files"); line == "" {
		t.Errorf("log:\n%s", log.String())
	}
}

func TestE20ClientThatNeverReads(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	before := heap()
	c := r.raw().shake().publish("deaf").say(control(rtmp.TypeWindowAckSize, 1))
	ping := append(header(2, rtmp.TypeUserControl, 0, 6, 0), 0, 6, 0, 0, 0, 0)
	flood := bytes.Repeat(ping, 1000)
	for range 500 {
		c.say(flood)
	}
	r.grown(before, 16<<20)
	c.nc.Close()
	r.waitFor("the end", func() bool { return len(r.srv.Streams()) <= 1 })
	stop()
}
