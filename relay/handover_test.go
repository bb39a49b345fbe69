package relay_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"zegorelay/relay"
	"zegorelay/relay/handover"
	"zegorelay/relay/rtmp"
)

// succeed has another server go on where the rig's stops.
func (r *rig) succeed() { r.succeedWith(func(*handover.Bundle) {}) }

// succeedWith is succeed, with what happens to the bundle on its way.
func (r *rig) succeedWith(change func(*handover.Bundle)) {
	r.t.Helper()
	if err := r.trySucceed(change); err != nil {
		r.t.Fatal(err)
	}
}

// trySucceed is succeed for goroutines that must not end the test.
func (r *rig) trySucceed(change func(*handover.Bundle)) error {
	r.srv.HandOver()
	r.wait()
	bundle := r.srv.Kept()
	if bundle == nil {
		return errors.New("nothing is handed over")
	}
	change(bundle)
	file, err := bundle.State.Seal()
	if err != nil {
		return err
	}
	defer file.Close()
	state, problems, err := handover.Unseal(file, 1<<30)
	if err = errors.Join(append(problems, err)...); err != nil {
		return err
	}
	bundle.State = state
	next := relay.New(r.options)
	next.GoOn(bundle)
	r.run(next, r.lns...)
	return nil
}

func onlyLinux(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can hand connections over")
	}
}

// Streams go from server to server while their encoders send and they are watched:
// nobody notices.
func TestHandOver(t *testing.T) {
	onlyLinux(t)
	const streams, moves = 5, 12
	r := newRig(t, setup{tune: playable})
	var encoders []*encoder
	for i := range streams {
		encoders = append(encoders, r.publishAs(fmt.Sprintf("cam%d", i)))
	}
	done := make(chan struct{})
	var sending sync.WaitGroup
	failed := make([]error, streams)
	for i, e := range encoders {
		e.size = 100 + 5000*i
		sending.Go(func() {
			tick := time.NewTicker(3 * time.Millisecond)
			defer tick.Stop()
			for failed[i] == nil {
				select {
				case <-tick.C:
					failed[i] = e.try(e.frame()...)
				case <-done:
					return
				}
			}
		})
	}
	for range moves {
		<-time.After(rand.N(100 * time.Millisecond))
		r.succeed()
	}
	close(done)
	sending.Wait()
	if err := errors.Join(failed...); err != nil {
		t.Fatalf("an encoder was disturbed: %v\n%s", err, r.log)
	}
	for _, e := range encoders {
		r.waitFor("all of "+e.key, func() bool { return r.streamStatus(e.key).MessagesIn == uint64(e.sent) })
		st := r.streamStatus(e.key)
		if st.MessagesIn != uint64(e.sent) || st.Publishes != 1 || st.Sessions != 1 || st.Replayed != 0 || st.Publisher == nil || st.Publisher.ID == 0 {
			t.Errorf("%s: %d of %d messages counted, %d encoders, %d sessions, %d replayed, %v", e.key, st.MessagesIn, e.sent, st.Publishes, st.Sessions, st.Replayed, st.Publisher)
		}
		e.goodbye()
	}
	r.checkAll()
	if n := len(r.sim.Sessions()); n != streams {
		t.Errorf("%d sessions with nodes for %d streams", n, streams)
	}
}

// Players of what is published here, and of what ZEGO has, see all of it, once and in
// order.
func TestHandOverWithPlayers(t *testing.T) {
	onlyLinux(t)
	r := newRig(t, setup{tune: playable})
	e := r.publish()
	e.size = 5000
	sent := e.stream(10)
	near, far := r.play("live/cam1", nil), r.play("pull/cam1", nil)
	near.waitFrames(2)
	far.waitFrames(2)
	for range 6 {
		sent = append(sent, e.stream(6)...)
		r.succeed()
	}
	sent = append(sent, e.stream(3)...)
	for _, v := range []*viewer{near, far} {
		v.waitFrame(sent[len(sent)-1])
		v.checkSame(sent)
		v.checkWatchable()
	}
	if push, pull := r.streamStatus("cam1"), r.pullStatus("cam1"); push.Players != 1 || pull.Players != 1 || pull.Sessions != 1 || pull.Plays != 1 {
		t.Errorf("%d and %d players, %d sessions of a pull, %d plays", push.Players, pull.Players, pull.Sessions, pull.Plays)
	}
	near.up.Close()
	far.up.Close()
	r.waitFor("the end of the pull", func() bool { return r.pullStatus("cam1").State == relay.Closed })
	e.goodbye()
	r.checkCalm()
}

// A message that is longer than anybody waits for is handed over in the middle: on the
// encoder's side, on the node's, and on both again and again.
func TestHandOverWithinAMessage(t *testing.T) {
	onlyLinux(t)
	r := newRig(t, setup{tune: func(o *relay.Options) { o.StallTimeout, o.DrainTimeout = 5*time.Second, 10*time.Second }})
	r.options.Nodes.Dial = thinLink(t, r.sim.Nodes()[0].Addr(), 400_000)
	r.listenAnew()
	slow := thinLink(t, r.addr, 1_000_000)
	up, err := rtmp.Dialer{Dial: slow}.Publish(t.Context(), rtmp.Target{Addr: r.addr, TCURL: "rtmp://" + r.addr + "/live", App: "live", Name: "cam1"})
	if err != nil {
		t.Fatal(err)
	}
	e := r.encoder("cam1", up)
	e.frames(1)
	e.size = 700_000
	sending := make(chan error, 1)
	go func() { sending <- e.try(append(e.frame(), e.frame()...)...) }()
	unfinished, unsent := 0, 0
	for range 8 {
		<-time.After(50 * time.Millisecond)
		r.succeedWith(func(b *handover.Bundle) {
			for _, st := range b.State.Streams {
				if st.Publisher == nil || st.Node == nil {
					t.Fatalf("a connection is lost\n%s", r.log)
				}
				for _, cs := range st.Publisher.Session.Conn.ChunkStreams {
					if cs.Begun {
						unfinished++
					}
				}
				if len(st.Node.Upstream.Conn.Unsent) > 0 {
					unsent++
				}
			}
		})
	}
	if err := <-sending; err != nil {
		t.Fatal(err)
	}
	if unfinished == 0 || unsent == 0 {
		t.Errorf("%d messages unfinished, %d not written: it was no test", unfinished, unsent)
	}
	e.size = 100
	e.frames(1)
	e.goodbye()
	r.waitFor("the rest to come through", func() bool { return e.audit.Report().Pending == 0 })
	r.checkAll()
	if n := len(r.sim.Sessions()); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// A stream that waits for its encoder waits on, and its node with it.
func TestHandOverWhileTheEncoderIsAway(t *testing.T) {
	onlyLinux(t)
	r := newRig(t, setup{tune: func(o *relay.Options) { o.Grace = 2 * time.Second }})
	e := r.publish()
	e.frames(60)
	e.up.Close()
	r.waitFor("the encoder's end", func() bool { return r.status().Publisher == nil })
	before := r.status()
	r.succeed()
	r.succeed()
	if st := r.status(); st.Away.Sub(before.Away).Abs() > 5*time.Millisecond || st.Health != relay.Away || st.Remote != before.Remote {
		t.Errorf("it is away since %v, was since %v; %v", st.Away, before.Away, st.Health)
	}
	e.comeBack()
	r.waitFor("all of it", func() bool { return e.audit.Report().Pending == 0 })
	e.up.Close()
	r.waitFor("the encoder's end", func() bool { return r.status().Publisher == nil })
	r.succeed()
	r.waitFor("the end of the grace time", func() bool { return r.status().State == relay.Closed })
	if n := len(r.sim.Sessions()); n != 1 {
		t.Errorf("%d sessions", n)
	}
	r.checkAll()
}

// What an encoder has sent before its goodbye arrives, whoever brings it.
func TestHandOverWhileItDrains(t *testing.T) {
	onlyLinux(t)
	r := newRig(t, setup{tune: func(o *relay.Options) { o.StallTimeout, o.DrainTimeout = 5*time.Second, 10*time.Second }})
	r.options.Nodes.Dial = thinLink(t, r.sim.Nodes()[0].Addr(), 800_000)
	r.listenAnew()
	e := r.publish()
	e.frames(1)
	e.size = 100_000
	for range 8 {
		e.frames(1)
	}
	if err := e.up.Unpublish(); err != nil {
		t.Fatal(err)
	}
	r.waitFor("the goodbye", func() bool { return r.status().Publisher == nil })
	for range 3 {
		r.succeed()
		<-time.After(20 * time.Millisecond)
	}
	r.waitFor("the end of the stream", func() bool { return r.status().State == relay.Closed })
	r.waitFor("the rest to come through", func() bool { return e.audit.Report().Pending == 0 })
	r.checkAll()
	if n := len(r.sim.Sessions()); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// A stream that has no node is handed over, too, with what it holds.
func TestHandOverWithoutANode(t *testing.T) {
	onlyLinux(t)
	r := newRig(t, setup{})
	e := r.publish()
	e.frames(10)
	r.waitFor("the node", func() bool { return e.audit.Report().Pending == 0 })
	r.sim.KillAPI()
	for _, node := range r.sim.Nodes() {
		node.Kill()
	}
	r.waitFor("the loss", func() bool { return r.status().State == relay.Waiting })
	for range 3 {
		e.frames(5)
		r.succeed()
	}
	e.frames(5)
	for _, node := range r.sim.Nodes() {
		if err := node.Revive(); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.sim.ReviveAPI(); err != nil {
		t.Fatal(err)
	}
	r.waitFor("the rest to come through", func() bool { return e.audit.Report().Pending == 0 })
	e.goodbye()
	r.checkAll()
}

// Who connects while one server stops and another has not begun is served by that.
func TestConnectDuringAHandOver(t *testing.T) {
	onlyLinux(t)
	r := newRig(t, setup{})
	var connecting sync.WaitGroup
	var encoders [10]*encoder
	r.succeedWith(func(*handover.Bundle) {
		for i := range encoders {
			connecting.Go(func() {
				up, err := r.dial(fmt.Sprintf("cam%d", i))
				if err != nil {
					t.Error(err)
					return
				}
				encoders[i] = r.encoder(fmt.Sprintf("cam%d", i), up)
			})
		}
		<-time.After(50 * time.Millisecond)
	})
	connecting.Wait()
	for _, e := range encoders {
		e.frames(5)
		e.goodbye()
	}
	r.checkAll()
}

// Who has connected and said nothing yet holds nobody up, and who is about to say what
// it wants may still do so.
func TestHandOverWithIdleConnections(t *testing.T) {
	onlyLinux(t)
	r := newRig(t, setup{})
	e := r.publish()
	e.frames(5)
	idle := r.raw().shake()
	begun := time.Now()
	r.succeed()
	if took := time.Since(begun); took > 700*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	if !idle.closed(patience) {
		t.Error("who has said nothing stays")
	}
	e.frames(5)
	e.goodbye()
	r.checkAll()
}

// A connection that doesn't arrive is one end less, and nothing else: its stream goes
// on with what there is.
func TestHandOverLosesConnections(t *testing.T) {
	onlyLinux(t)
	lose := func(b *handover.Bundle, s handover.Socket) {
		if f, ok := b.Take(s); ok {
			f.Close()
		}
	}
	t.Run("a node's", func(t *testing.T) {
		r := newRig(t, setup{})
		e := r.publish()
		e.frames(60)
		r.waitFor("all of it", func() bool { return e.audit.Report().Pending == 0 })
		r.succeedWith(func(b *handover.Bundle) { lose(b, b.State.Streams[0].Node.Socket) })
		e.frames(60)
		r.waitFor("the rest to come through", func() bool { return e.audit.Report().Pending == 0 })
		e.goodbye()
		r.checkAll()
		if n := len(r.sim.Sessions()); n != 2 {
			t.Errorf("%d sessions", n)
		}
	})
	t.Run("an encoder's", func(t *testing.T) {
		r := newRig(t, setup{})
		e := r.publish()
		e.frames(60)
		r.waitFor("all of it", func() bool { return e.audit.Report().Pending == 0 })
		r.succeedWith(func(b *handover.Bundle) { lose(b, b.State.Streams[0].Publisher.Socket) })
		if err := <-e.over; err == nil {
			t.Error("the encoder doesn't notice")
		}
		e.comeBack()
		e.goodbye()
		r.checkAll()
		if n := len(r.sim.Sessions()); n != 1 {
			t.Errorf("%d sessions", n)
		}
	})
	t.Run("all", func(t *testing.T) {
		r := newRig(t, setup{})
		r.publish().frames(60)
		r.succeedWith(func(b *handover.Bundle) { b.Close() })
		r.waitFor("the end of the grace time", func() bool { return r.status().State == relay.Closed })
	})
}

// awakeable is a listener for TLS that a deadline can wake.
type awakeable struct {
	net.Listener
	plain *net.TCPListener
}

func (l awakeable) SetDeadline(t time.Time) error { return l.plain.SetDeadline(t) }

// RTMPS can't be handed over: the encoder is closed, its stream and node wait for it.
func TestHandOverOfRTMPS(t *testing.T) {
	onlyLinux(t)
	ca := newAuthority(t)
	r := newRig(t, setup{tune: func(o *relay.Options) { o.Grace = 2 * time.Second }})
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = open.Addr().String()
	cert := ca.forHost("localhost", time.Now().Add(time.Hour))
	r.listen(open, awakeable{tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}}), ln.(*net.TCPListener)})
	up, err := rtmp.Dialer{TLS: &tls.Config{RootCAs: ca.roots()}}.Publish(t.Context(), rtmp.Target{
		Secure: true, Host: "localhost", Addr: ln.Addr().String(), TCURL: "rtmps://localhost/live", App: "live", Name: "cam1",
	})
	if err != nil {
		t.Fatal(err)
	}
	plain, secure := r.publishAs("cam2"), r.encoder("cam1", up)
	plain.frames(5)
	secure.frames(60)
	r.waitFor("all of it", func() bool { return secure.audit.Report().Pending == 0 })
	r.succeed()
	if err := <-secure.over; err == nil {
		t.Error("the encoder doesn't notice")
	}
	plain.frames(5)
	r.waitFor("the node to be there still", func() bool { return r.status().State == relay.Publishing })
	if st := r.status(); st.Publisher != nil || st.Disconnects["shutdown"] != 1 {
		t.Errorf("%v, %v", st.Publisher, st.Disconnects)
	}
	secure.comeBack()
	secure.goodbye()
	plain.goodbye()
	r.checkAll()
	if n := len(r.sim.Sessions()); n != 2 {
		t.Errorf("%d sessions", n)
	}
}
