package zegosim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"zegorelay/relay/rtmp"
)

const (
	// idleTimeout is how long a publisher may send no media.
	idleTimeout = 30 * time.Second

	// helloTimeout is how long a connection may take to publish.
	helloTimeout = 10 * time.Second

	// farewellTimeout is how long a publisher may take to close after its goodbye:
	// one that waits for us to close must not wait long.
	farewellTimeout = 200 * time.Millisecond
)

// EventKind tells events apart.
type EventKind int

// Events of a publish session.
const (
	SessionStarted EventKind = iota + 1 // before the publisher is told
	MessageReceived
	SessionEnded // after the StreamId was freed
)

// Event is something that happened to a publish session.
type Event struct {
	Kind     EventKind
	StreamID string
	Node     string       // host:port
	Session  int          // counts all sessions of the Sim from 1
	Message  rtmp.Message // of MessageReceived; its payload may be kept
	Clean    bool         // of SessionEnded: there was a goodbye
	Err      string       // of SessionEnded: why, if it was not clean
}

var errSilent = errors.New("no media for too long")

// serve takes one connection from its handshake to its end.
func (n *Node) serve(l *life, nc net.Conn, fault NodeFault) {
	if fault == SilentHandshake || fault == Blackhole {
		l.hold()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), helloTimeout)
	session, err := rtmp.Accept(ctx, nc, rtmp.Limits{}, rtmp.Timeouts{Write: idleTimeout})
	cancel()
	if err != nil {
		return
	}
	switch fault {
	case SilentPublish:
		l.hold()
		return
	}
	isPlay, code, doing, refusal := false, rtmp.CodePublishBadName, "published to", "the stream is already being published"
	if session.Action == rtmp.Play {
		isPlay, code, doing, refusal = true, rtmp.CodePlayFailed, "played from", "this node plays nothing"
	}
	app := fmt.Sprint(n.sim.o.AppID)
	switch {
	case fault == RefusePublish:
		session.Refuse(code, refusal)
	case session.App != app:
		n.sim.registry.violate("%s application %q, want %s", doing, session.App, app)
		session.Refuse(code, "unknown application")
	case isPlay:
		n.show(l, nc, session, fault)
	default:
		n.take(l, nc, session, fault)
	}
}

// take serves a publisher from its publish to its end.
func (n *Node) take(l *life, nc net.Conn, session *rtmp.Session, fault NodeFault) {
	claimed, refused := n.sim.registry.claim(session.Name, n.addr)
	if refused == alreadyPublished && n.sim.o.Second != BadName {
		l.refuseSecond(n.sim.o.Second, nc, session)
		return
	}
	if refused != "" {
		session.Refuse(rtmp.CodePublishBadName, refused)
		return
	}
	p := &publication{sim: n.sim, life: l, nc: nc, session: session, of: claimed, stalled: make(chan struct{}), channel: n.sim.channel(session.Name)}
	n.enlist(p)
	defer n.delist(p)
	p.run(fault)
}

// resetAfter is how long a second publisher is kept in the belief that it is on
// air.
const resetAfter = 500 * time.Millisecond

// refuseSecond ends a second publisher's session in the ways that don't say why.
func (l *life) refuseSecond(style SecondStyle, nc net.Conn, session *rtmp.Session) {
	if style == ResetLater && session.Start() == nil {
		select {
		case <-time.After(resetAfter):
		case <-l.over:
		}
		reset(nc)
	}
	_ = nc.Close()
}

// hold keeps a connection, reading nothing, until its node dies or loses
// patience.
func (l *life) hold() {
	timer := time.NewTimer(idleTimeout)
	defer timer.Stop()
	select {
	case <-l.over:
	case <-timer.C:
	}
}

// publication is one publish session while it lasts.
type publication struct {
	sim     *Sim
	life    *life
	nc      net.Conn
	session *rtmp.Session
	of      Session
	stalled chan struct{} // closed when the node reads no more
	channel *channel

	mu   sync.Mutex // held while it is observed, so that nothing comes behind its end
	over bool
}

// run blocks from Publish.Start to the end of the session.
func (p *publication) run(fault NodeFault) {
	p.observe(Event{Kind: SessionStarted})
	p.channel.begin()
	err := p.begin(fault)
	if err == nil {
		err = p.take()
	}
	clean, reason := errors.Is(err, rtmp.ErrUnpublished), ""
	if !clean {
		reason = err.Error()
	}
	p.mu.Lock()
	p.finish(clean, reason)
	p.mu.Unlock()
	switch {
	case clean:
		p.farewell()
	case errors.Is(err, errEnded):
		p.linger()
	}
}

func (p *publication) observe(e Event) {
	e.StreamID, e.Node, e.Session = p.of.StreamID, p.of.Node, p.of.Number
	p.sim.o.Observe(e)
}

func (p *publication) violate(format string, args ...any) {
	p.sim.registry.violate("%s, session %d: %s", p.of.StreamID, p.of.Number, fmt.Sprintf(format, args...))
}

// begin says Publish.Start. Some faults end the session with that.
func (p *publication) begin(fault NodeFault) error {
	if err := p.session.Start(); err != nil {
		return err
	}
	switch fault {
	case ResetOnStart:
		reset(p.nc)
		return errors.New("reset on start")
	case CloseOnStart:
		_ = p.nc.Close()
		return errors.New("closed on start")
	case StopReading:
		p.life.hold()
		return errors.New("stopped reading")
	}
	return nil
}

// take reads the stream to its end. Its error says how that came.
func (p *publication) take() error {
	file, err := p.sim.record(p.of)
	if err != nil {
		p.violate("recording: %v", err)
	}
	defer func() {
		if err := file.close(); err != nil {
			p.violate("recording: %v", err)
		}
	}()
	var silent atomic.Bool
	idle := time.AfterFunc(idleTimeout, func() {
		silent.Store(true)
		_ = p.nc.Close()
	})
	defer idle.Stop()
	check := newCheck(p.violate)
	for {
		m, err := p.session.Read()
		switch {
		case err != nil && silent.Load():
			return errSilent
		case err != nil:
			return err
		}
		idle.Reset(idleTimeout)
		if !p.note(m) {
			return errEnded
		}
		check.message(m)
		if err := file.write(m); err != nil {
			p.violate("recording: %v", err)
		}
	}
}

// farewell reads what comes behind a goodbye, until the publisher closes: to
// close over bytes that are not read would reset the connection.
func (p *publication) farewell() {
	defer time.AfterFunc(farewellTimeout, func() { _ = p.nc.Close() }).Stop()
	for {
		if _, err := p.session.Read(); err != nil && !errors.Is(err, rtmp.ErrUnpublished) {
			return
		}
	}
}
