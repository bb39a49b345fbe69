package relay_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"zegorelay/dispatch"
	"zegorelay/relay"
	"zegorelay/relay/handover"
	"zegorelay/relay/rtmp"
)

// Moments at which a hand-over comes at odds with something else. (Most were found by
// somebody who had not written it.)

// longGrace waits for encoders long enough for a test.
func longGrace(o *relay.Options) { o.Grace = 5 * time.Second }

// An encoder that resets its connection while nobody runs is one that is lost: its
// stream waits for it, with its node.
func TestAnEncoderIsResetDuringAHandOver(t *testing.T) {
	onlyLinux(t)
	r := newRig(t, setup{tune: longGrace})
	var nc net.Conn
	dial := func(ctx context.Context, network, addr string) (_ net.Conn, err error) {
		nc, err = new(net.Dialer).DialContext(ctx, network, addr)
		return nc, err
	}
	up, err := rtmp.Dialer{Dial: dial}.Publish(t.Context(), rtmp.Target{Addr: r.addr, TCURL: "rtmp://" + r.addr + "/live", App: "live", Name: "cam1"})
	if err != nil {
		t.Fatal(err)
	}
	e := r.encoder("cam1", up)
	e.frames(60)
	r.waitFor("all of it", func() bool { return e.audit.Report().Pending == 0 })
	r.succeedWith(func(*handover.Bundle) {
		_ = nc.(*net.TCPConn).SetLinger(0)
		nc.Close()
	})
	r.waitFor("the stream to wait", func() bool { st := r.status(); return st.Publisher == nil && st.State == relay.Publishing })
	e.comeBack()
	e.goodbye()
	r.checkAll()
	if n := len(r.sim.Sessions()); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// comeBack has an encoder that was cut off connect anew.
func (e *encoder) comeBack() {
	e.r.t.Helper()
	up, err := e.r.dial(e.key)
	if err != nil {
		e.r.t.Fatal(err)
	}
	e.audit.Rejoin()
	e.n = 0
	e.attach(up)
	e.headers()
	e.frames(60)
}

// Encoders of one address keep their places, however many they are.
func TestHandOverOfManyFromOneAddress(t *testing.T) {
	onlyLinux(t)
	r := newRig(t, setup{tune: func(o *relay.Options) { longGrace(o); o.MaxConnections = 40 }})
	var encoders []*encoder
	for i := range 35 {
		encoders = append(encoders, r.publishAs(fmt.Sprintf("cam%d", i)))
	}
	r.options.MaxConnections = 20 // it is for those who come, not for those who are there
	for range 4 {
		r.succeed()
	}
	for _, e := range encoders {
		e.frames(2)
		e.goodbye()
	}
	r.checkAll()
}

// A shutdown that comes while a hand-over waits for those who have said nothing is a
// shutdown.
func TestShutdownDuringAHandOver(t *testing.T) {
	onlyLinux(t)
	r := newRig(t, setup{tune: func(o *relay.Options) { o.DrainTimeout, o.StallTimeout = 5*time.Second, 5*time.Second }})
	r.options.Nodes.Dial = thinLink(t, r.sim.Nodes()[0].Addr(), 800_000)
	r.listenAnew()
	e := r.publish()
	e.frames(1)
	e.size = 100_000
	e.frames(8)
	r.waitFor("all of it", func() bool { return r.status().MessagesIn == uint64(e.sent) })
	r.raw().shake() // who says nothing
	<-time.After(20 * time.Millisecond)
	r.srv.HandOver()
	r.stop()
	if r.srv.Kept() != nil {
		t.Error("it hands over")
	}
	r.waitFor("the rest to come through", func() bool { return e.audit.Report().Pending == 0 })
}

// An encoder that can't be written down is one that is lost.
func TestHandOverWithoutTheEncoder(t *testing.T) {
	onlyLinux(t)
	r := newRig(t, setup{tune: longGrace})
	e := r.publish()
	e.frames(60)
	r.waitFor("all of it", func() bool { return e.audit.Report().Pending == 0 })
	r.succeedWith(func(b *handover.Bundle) { b.State.Streams[0].Publisher, b.State.Streams[0].Grace = nil, time.Second })
	<-time.After(100 * time.Millisecond)
	e.comeBack()
	e.goodbye()
	r.checkAll()
}

// An encoder that waits for ZEGO's first word doesn't learn of it.
func TestHandOverBeforeTheVerdict(t *testing.T) {
	onlyLinux(t)
	var isSlow atomic.Bool
	isSlow.Store(true)
	r := newRig(t, setup{tune: func(o *relay.Options) {
		ask := o.Dispatch
		o.Dispatch = func(ctx context.Context, q dispatch.Request) (dispatch.Answer, error) {
			if isSlow.Load() {
				<-ctx.Done()
				return dispatch.Answer{}, context.Cause(ctx)
			}
			return ask(ctx, q)
		}
	}})
	begun := make(chan *encoder, 1)
	go func() {
		up, err := r.dial("cam1")
		if err != nil {
			t.Error(err)
			close(begun)
			return
		}
		begun <- r.encoder("cam1", up)
	}()
	r.waitFor("the encoder", func() bool { return r.status().State == relay.Dispatching })
	r.succeedWith(func(*handover.Bundle) { isSlow.Store(false) })
	if e := <-begun; e != nil {
		e.frames(5)
		e.goodbye()
		r.checkAll()
	}
}

// Of two encoders that contend for a stream at that moment the second one gets it, if it
// would have otherwise.
func TestHandOverDuringATakeover(t *testing.T) {
	onlyLinux(t)
	r := newRig(t, setup{tune: longGrace})
	e := r.publish()
	e.frames(5)
	second := make(chan error, 1)
	go func() { _, err := r.dial("cam1"); second <- err }()
	<-time.After(30 * time.Millisecond)
	r.succeed()
	if err := <-second; err != nil {
		t.Errorf("the second: %v\n%s", err, r.log)
	}
	if err := <-e.over; err == nil {
		t.Error("the first one stays")
	}
}

// Who asks at that moment, and has no answer yet, is answered by the next server.
func TestHandOverOfWhoAsks(t *testing.T) {
	onlyLinux(t)
	r := newRig(t, setup{tune: func(o *relay.Options) { longGrace(o); o.Conflict = relay.Reject }})
	e := r.publish()
	e.frames(60)
	r.waitFor("all of it", func() bool { return e.audit.Report().Pending == 0 })
	asked := make(chan error, 1)
	go func() { _, err := r.dial("cam1"); asked <- err }() // waits for the first one's goodbye
	<-time.After(30 * time.Millisecond)
	r.succeedWith(func(b *handover.Bundle) {
		if n := len(b.State.Clients); n != 1 {
			t.Errorf("%d wait for an answer", n)
		}
	})
	var refused *rtmp.StatusError
	if err := <-asked; !errors.As(err, &refused) || refused.Code != rtmp.CodePublishBadName {
		t.Errorf("the answer: %v\n%s", err, r.log)
	}
	e.frames(5)
	e.goodbye()
	r.checkAll()
}

// What was handed over isn't held for longer than the stream itself does.
func TestTheStateIsNotHeld(t *testing.T) {
	onlyLinux(t)
	r := newRig(t, setup{})
	e := r.publish()
	e.frames(60)
	r.waitFor("all of it", func() bool { return e.audit.Report().Pending == 0 })
	var isFreed atomic.Bool
	r.succeedWith(func(*handover.Bundle) {})
	r.srv.HandOver()
	r.wait()
	next := relay.New(r.options)
	func() {
		bundle := r.srv.Kept()
		runtime.AddCleanup(&bundle.State.Streams[0], func(struct{}) { isFreed.Store(true) }, struct{}{})
		next.GoOn(bundle)
	}()
	r.srv = nil
	r.run(next, r.lns...)
	r.waitFor("the state to be freed", func() bool { runtime.GC(); return isFreed.Load() })
	e.frames(5)
	e.goodbye()
	r.checkAll()
}

// deaf is a listener that no deadline can wake.
type deaf struct{ net.Listener }

// A listener that can't be woken is closed, which is no failure.
func TestHandOverWithADeafListener(t *testing.T) {
	onlyLinux(t)
	r := newRig(t, setup{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	r.listen(deaf{ln})
	e := r.publish()
	e.frames(3)
	r.srv.HandOver()
	r.wait()
	if r.srv.Kept() == nil {
		t.Error("nothing is handed over")
	}
}
