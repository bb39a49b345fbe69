package relay_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
	"zegorelay/relay"
	"zegorelay/relay/rtmp"
)

// silentListener takes connections and says nothing, as a node that hangs.
func silentListener(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.Addr().String()
}

// The next node of an answer doesn't wait for one that hangs, be it mute or
// behind a blackhole, and only one of them is published to.
func TestFirstNodeHangs(t *testing.T) {
	for what, first := range map[string]func(r *rig) string{
		"mute": func(*rig) string { return silentListener(t) },
		"blackholed": func(r *rig) string {
			r.sim.Nodes()[1].SetFault(zegosim.Blackhole)
			return r.sim.Nodes()[1].Addr()
		},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, setup{tune: func(o *relay.Options) { o.ConnectTimeout = patience }})
			r.sim.SetAPIFault(zegosim.DeadNodeFirst{Addr: first(r)})
			begun := time.Now()
			e := r.publish()
			e.frames(60)
			r.waitFor("publishing", func() bool { return r.status().State == relay.Publishing })
			if took := time.Since(begun); took > 1500*time.Millisecond {
				t.Errorf("publishing after %v", took)
			}
			e.goodbye()
			r.checkAll()
			if n, m := len(r.sim.Requests()), len(r.sim.Sessions()); n != 1 || m != 1 {
				t.Errorf("%d dispatches and %d sessions, want 1 of each", n, m)
			}
		})
	}
}

// A node that answers first and then doesn't take the stream leaves it to those
// that were called off.
func TestWinnerOfTheRaceRefuses(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) { o.ConnectTimeout = patience }})
	bad, good := r.sim.Nodes()[1], r.sim.Nodes()[0] // ZEGO names the first
	bad.SetFault(zegosim.RefusePublish)
	dial := r.options.Nodes.Dial
	r.options.Nodes.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		slow := 700 * time.Millisecond
		if addr == good.Addr() {
			slow = time.Second // it runs, but it doesn't win
		}
		select {
		case <-time.After(slow):
			return dial(ctx, network, addr)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	r.listenAnew()
	r.sim.SetAPIFault(zegosim.Reshape(func(urls []string) any {
		own := hostOf(urls[0])
		return []string{strings.Replace(urls[0], own, bad.Addr(), 1), strings.Replace(urls[0], own, good.Addr(), 1)}
	}))
	e := r.publish()
	e.frames(60)
	r.waitFor("publishing", func() bool { return r.status().State == relay.Publishing })
	if n := len(r.sim.Requests()); n != 1 || r.status().Node != good.Addr() {
		t.Errorf("%d dispatches, and the stream is on %s; want 1 and %s", n, r.status().Node, good.Addr())
	}
	r.sim.SetAPIFault(nil)
	e.goodbye()
}

// While a node takes our own lost session for somebody else's, its name is asked
// for again, not more than once a second.
func TestGhostOfOurOwnSession(t *testing.T) {
	r := newRig(t, setup{linger: 2500 * time.Millisecond})
	e := r.publish()
	e.frames(60)
	r.waitFor("publishing", func() bool { return r.status().State == relay.Publishing })
	before := len(r.sim.Requests())
	r.killNode()
	e.frames(60)
	r.waitLog("BadName", "our own lost session")
	r.waitFor("publishing", func() bool { return r.status().State == relay.Publishing && r.status().Sessions == 2 })
	if n := len(r.sim.Requests()) - before; n > 5 {
		t.Errorf("%d dispatches in 2.5 s", n)
	}
	e.goodbye()
	r.checkAll()
}

// A node that closes right after Publish.Start, again and again, is met with a
// growing wait.
func TestU14ClosesRightAfterStart(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) {
		o.RetryMin, o.RetryMax, o.DrainTimeout = 50*time.Millisecond, 5*time.Second, patience
	}})
	for _, n := range r.sim.Nodes() {
		n.SetFault(zegosim.ResetOnStart)
	}
	e := r.publish()
	e.frames(60)
	<-time.After(3 * time.Second)
	// Full jitter under 50, 100, 200 … ms: 3 s hold 6 tries on average.
	if n := len(r.sim.Requests()); n > 14 {
		t.Errorf("%d dispatches in 3 s", n)
	}
	for _, n := range r.sim.Nodes() {
		n.SetFault(zegosim.Healthy)
	}
	e.goodbye()
	r.checkAll()
}

// A redirect in answer to connect is followed once, under the checks that a
// dispatched address meets.
func TestU8Redirect(t *testing.T) {
	for what, tc := range map[string]struct {
		to   func(r *rig, own string) string // where the first node sends us
		want []string                        // of the log
	}{
		"to a good node": {func(r *rig, _ string) string { return r.sim.Nodes()[0].Addr() }, nil},
		"to itself":      {func(_ *rig, own string) string { return own }, []string{"node not reached", "Rejected"}},
		"to an address that no node may have": {
			func(*rig, string) string { return "169.254.169.254:1935" },
			[]string{"node not reached", "169.254.169.254"}},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, setup{})
			var own string
			own, asked := r.redirector(func() string { return tc.to(r, own) })
			r.sim.SetAPIFault(zegosim.Reshape(func(urls []string) any {
				return []string{strings.Replace(urls[0], hostOf(urls[0]), own, 1)}
			}))
			e := r.publish()
			e.frames(60)
			if tc.want == nil {
				r.waitFor("publishing", func() bool { return r.status().State == relay.Publishing })
				if n := asked(); n != 1 {
					t.Errorf("the redirector was asked %d times", n)
				}
				e.goodbye()
				r.checkAll()
				return
			}
			r.waitLog(tc.want...)
			if dispatches := len(r.sim.Requests()); asked() > 2*dispatches {
				t.Errorf("%d connects for %d dispatches", asked(), dispatches)
			}
			r.sim.SetAPIFault(nil)
			e.goodbye()
			r.checkAll()
		})
	}
}

func hostOf(rawURL string) string {
	target, err := rtmp.ParseTarget(rawURL)
	if err != nil {
		return err.Error()
	}
	return target.Addr
}

// The API is gone and so is the node: when the API is back, so is the stream,
// soon; the encoder notices nothing.
func TestAPIDownWhileTheNodeIsLost(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) { o.RetryMin, o.RetryMax = 200*time.Millisecond, time.Minute }})
	e := r.publish()
	e.frames(60)
	r.waitFor("publishing", func() bool { return r.status().State == relay.Publishing })
	r.sim.KillAPI()
	r.killNode()
	e.frames(60)
	<-time.After(6 * time.Second) // long enough for a back-off of many seconds
	if err := r.sim.ReviveAPI(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	r.waitFor("publishing", func() bool { return r.status().State == relay.Publishing })
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("live %v after the API's return", took)
	}
	e.goodbye()
	r.checkAll()
}

// The API is gone, and the node's connection breaks, but the node lives: it takes
// the stream again, by the last answer.
func TestAPIDownWhileTheNodeIsWell(t *testing.T) {
	r := newRig(t, setup{})
	e := r.publish()
	e.frames(60)
	r.waitFor("publishing", func() bool { return r.status().State == relay.Publishing })
	node := r.sim.NodeAt(r.status().Node)
	r.sim.KillAPI()
	node.End("cam1", zegosim.ResetSession)
	r.waitFor("the same node", func() bool { return r.status().Sessions == 2 && r.status().State == relay.Publishing })
	if got := r.status().Node; got != node.Addr() {
		t.Errorf("the stream is on %s, want %s", got, node.Addr())
	}
	e.frames(60)
	e.goodbye()
	r.checkAll()
	r.waitLog("its last answer had to do")
}

// All streams together stay under the bound of the process; what goes is
// counted.
func TestMemoryOfAllStreams(t *testing.T) {
	const most = 3 << 20
	r := newRig(t, setup{tune: func(o *relay.Options) { o.MemoryBytes = most }})
	r.sim.KillAPI()
	var encoders []*encoder
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		e := r.publishAs(key)
		e.size = 5000
		encoders = append(encoders, e)
	}
	for range 10 {
		for _, e := range encoders {
			e.frames(50)
		}
		held := 0
		for _, s := range r.srv.Streams() {
			held += s.BacklogBytes
		}
		if held > most+most/8 {
			t.Fatalf("the backlogs hold %d bytes, the bound is %d", held, most)
		}
	}
	for _, e := range encoders {
		r.waitFor("all to be read", func() bool { return r.streamStatus(e.key).MessagesIn == uint64(e.sent) })
	}
	if err := r.sim.ReviveAPI(); err != nil {
		t.Fatal(err)
	}
	for _, e := range encoders {
		r.waitFor("publishing", func() bool {
			return r.streamStatus(e.key).State == relay.Publishing && r.streamStatus(e.key).Dropped > 0
		})
		dropped := r.streamStatus(e.key).Dropped
		e.goodbye()
		if got := e.audit.Report(); uint64(got.Missing) != dropped || got.Pending > 0 || len(got.Violations) > 0 {
			t.Errorf("%s: %d missing and %d pending, %d are counted as dropped; %v", e.key, got.Missing, got.Pending, dropped, got.Violations)
		}
	}
}

// A node that is slower than the stream gets the newest GOPs, and the operator
// gets the figures.
func TestU6NodeSlowerThanTheStream(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) {
		o.Backlog, o.StallTimeout, o.DrainTimeout = 2*time.Second, 4*time.Second, patience
	}})
	r.options.Nodes.Dial = thinLink(t, r.sim.Nodes()[0].Addr(), 100_000)
	r.listenAnew()
	e := r.publish()
	e.size = 4000 // at 50 a second twice what the link carries
	for range 350 {
		e.frames(1)
		<-time.After(20 * time.Millisecond)
	}
	r.waitLog("media dropped", "the uplink carries ", " the stream needs ")
	if s := r.status(); s.Sessions != 1 || s.BacklogAge > 3500*time.Millisecond {
		t.Errorf("got %d sessions and a backlog of %v, want 1 and little over 2s", s.Sessions, s.BacklogAge)
	}
	e.goodbye()
	r.waitFor("the newest frames to come", func() bool { return e.audit.Report().Pending == 0 })
	report := e.audit.Report()
	if report.Missing == 0 || len(report.Violations) > 0 {
		t.Errorf("%d missing, %v", report.Missing, report.Violations)
	}
	if !rising(r.times("cam1")) {
		t.Error("time goes back")
	}
}

// A node that hangs is noticed while its kernel still takes bytes, by what it
// no longer acknowledges.
func TestNodeThatHangs(t *testing.T) {
	r := newRig(t, setup{})
	e := r.publish()
	e.size = 4000
	e.frames(60)
	r.waitFor("publishing", func() bool { return r.status().State == relay.Publishing })
	hung := r.sim.NodeAt(r.status().Node)
	r.waitFor("an acknowledgement", func() bool { return r.status().BacklogBytes < 300_000 })
	if !hung.End("cam1", zegosim.StallSession) {
		t.Fatal("there is no session")
	}
	begun := time.Now()
	for r.status().Sessions < 2 && time.Since(begun) < patience {
		e.frames(1)
		<-time.After(20 * time.Millisecond)
	}
	if took := time.Since(begun); took > r.options.StallTimeout+3*time.Second {
		t.Errorf("the next node had the stream after %v", took)
	}
	e.goodbye()
	r.checkAll()
	r.waitLog("node lost", "no progress")
}

// A node that never answers a goodbye may not have read what came before it:
// another one gets that.
func TestGoodbyeToANodeThatHangs(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) { o.DrainTimeout = patience }})
	e := r.publish()
	e.frames(60)
	r.waitFor("all to arrive", func() bool { return e.audit.Report().Arrived == 120 })
	if !r.sim.NodeAt(r.status().Node).End("cam1", zegosim.StallSession) {
		t.Fatal("there is no session")
	}
	e.frames(10)
	e.goodbye()
	r.checkAll()
	r.waitLog("node lost", "doesn't answer our goodbye")
}

// A node that asks us to go on elsewhere is told goodbye first, so that the name
// is free there; ZEGO is not asked.
func TestNodeMoves(t *testing.T) {
	r := newRig(t, setup{})
	e := r.publish()
	e.frames(60)
	r.waitFor("publishing", func() bool { return r.status().State == relay.Publishing })
	r.sim.NodeAt(r.status().Node).End("cam1", zegosim.MoveSession)
	r.waitFor("the other node", func() bool { return r.status().Sessions == 2 })
	e.frames(60)
	e.goodbye()
	r.checkAll()
	if n := len(r.sim.Requests()); n != 1 {
		t.Errorf("%d dispatches", n)
	}
	for _, s := range r.sim.Sessions() {
		if !s.Clean {
			t.Errorf("session %+v was not ended in order", s)
		}
	}
}
