package relay_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"zegorelay/dispatch"
	"zegorelay/dispatch/zegosim"
	"zegorelay/relay"
	"zegorelay/relay/rtmp"
)

func TestPlayersOfAPull(t *testing.T) {
	r := newRig(t, setup{tune: playable})
	e := r.publish()
	sent := e.stream(30)
	first := r.play("pull/cam1", nil)
	sent = append(sent, e.stream(30)...)
	second := r.play("pull/cam1?token=1", nil)
	sent = append(sent, e.stream(30)...)
	for _, v := range []*viewer{first, second} {
		v.waitFrames(80)
		v.checkWatchable()
		v.checkSame(sent)
	}
	s := r.pullStatus("cam1")
	if s.State != relay.Playing || s.Players != 2 || s.Dispatches != 1 || s.Sessions != 1 || s.Node == "" {
		t.Errorf("status of the pull: %+v", s)
	}
	if plays := r.sim.Plays(); len(plays) != 1 {
		t.Errorf("%d play sessions at nodes, want 1", len(plays))
	}
	e.goodbye0()
	// The stream has ended for good: players are held, then told.
	for _, v := range []*viewer{first, second} {
		err := <-v.over
		if status := new(rtmp.StatusError); !errors.As(err, &status) || status.Code != "NetStream.Play.UnpublishNotify" {
			t.Errorf("the player's end: %v", err)
		}
	}
	r.waitLog("player gone", "the stream isn't there")
	r.waitFor("the end of the pull", func() bool { return r.pullStatus("cam1").State == relay.Closed })
	r.checkCalm()
}

// goodbye0 says goodbye and waits for nothing.
func (e *encoder) goodbye0() { _ = e.up.Unpublish() }

// However the node's session ends, players get every frame once, at its own
// time: what the next node repeats is left out.
func TestPullNodeLost(t *testing.T) {
	for _, how := range zegosim.Endings() {
		t.Run(how.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, setup{tune: playable, nodes: 3})
			e := r.publish()
			sent := e.stream(20)
			v := r.play("pull/cam1", nil)
			for range 3 {
				v.waitFrame(sent[len(sent)-1])
				before := r.pullStatus("cam1").Sessions // the next may be there before we look again
				if n := r.sim.NodeAt(r.pullStatus("cam1").Node).EndPlays("cam1", how); n != 1 {
					t.Fatalf("%d play sessions at the node", n)
				}
				var more []rtmp.Message
				for r.pullStatus("cam1").Sessions == before {
					more = append(more, e.stream(1)...)
				}
				sent = append(sent, more...)
				sent = append(sent, e.stream(10)...)
			}
			v.waitFrame(sent[len(sent)-1])
			v.checkWatchable()
			if how == zegosim.StallSession || how == zegosim.BlackholeSession {
				return // no node keeps as long as the stall time: something is lost
			}
			v.checkSame(sent)
			r.checkCalm()
		})
	}
}

// The stream itself begins anew, elsewhere: players go on, their time does, too.
func TestPullOfAStreamThatBeginsAnew(t *testing.T) {
	r := newRig(t, setup{tune: playable, nodes: 3})
	e := r.publish()
	e.stream(30)
	v := r.play("pull/cam1", nil)
	v.waitFrames(50)
	r.killNode()
	e.stream(80)
	v.waitFrames(150)
	v.checkWatchable()
	if s := r.pullStatus("cam1"); s.Players != 1 || s.Sessions < 2 {
		t.Errorf("status: %+v", s)
	}
	e.goodbye0()
	e2 := r.publishAfter("cam1")
	e2.stream(60)
	v.waitFrames(220)
	v.checkWatchable()
}

// publishAfter publishes as soon as the stream before has ended.
func (r *rig) publishAfter(key string) *encoder {
	r.t.Helper()
	r.waitFor("the end of "+key, func() bool {
		for _, s := range r.srv.Streams() {
			if s.StreamID == key && s.Direction == dispatch.Push {
				return false
			}
		}
		return true
	})
	return r.publishAs(key)
}

func TestPullOfNothing(t *testing.T) {
	r := newRig(t, setup{tune: playable})
	begun := time.Now()
	_, err := r.tryPlay("pull/nobody")
	var status *rtmp.StatusError
	if !errors.As(err, &status) || status.Code != rtmp.CodePlayNotFound {
		t.Fatalf("the player sees %v", err)
	}
	if !strings.Contains(status.Description, "nobody publishes it") {
		t.Errorf("it is told %q", status.Description)
	}
	if held := time.Since(begun); held < 2*time.Second || held > 3*time.Second {
		t.Errorf("held for %v", held)
	}
	// Nobody waits any more: nobody is asked.
	n := len(r.sim.Requests())
	r.waitFor("the end of the pull", func() bool { return r.pullStatus("nobody").State == relay.Closed })
	if more := len(r.sim.Requests()) - n; more > 1 {
		t.Errorf("%d calls for nobody", more)
	}
	r.checkCalm()
}

// A player that comes before the stream is held until it is there.
func TestPlayerWaits(t *testing.T) {
	r := newRig(t, setup{tune: playable})
	type result struct {
		up  *rtmp.Upstream
		err error
	}
	played := make(chan result, 1)
	go func() {
		up, err := r.tryPlay("pull/cam1")
		played <- result{up, err}
	}()
	r.waitFor("a play that finds nothing", func() bool { return r.pullStatus("cam1").LastError != "" })
	e := r.publish()
	e.stream(10)
	if got := <-played; got.err != nil {
		t.Fatal(got.err)
	}
	r.checkCalm()
}

func TestPullVerdicts(t *testing.T) {
	for _, c := range []struct {
		fault zegosim.APIFault
		code  string
		says  string
		fast  bool
	}{
		{zegosim.AnswerCode(1003), rtmp.CodePlayNotFound, "1003", false},
		{zegosim.AnswerCode(100000004), rtmp.CodePlayFailed, "100000004", true},
		{zegosim.AnswerCode(30009), rtmp.CodePlayFailed, "30009", true},
		{zegosim.AnswerHTTP{Status: 500}, rtmp.CodePlayNotFound, "500", false},
	} {
		t.Run(fmt.Sprint(c.fault), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, setup{tune: playable})
			r.sim.SetAPIFault(c.fault)
			begun := time.Now()
			_, err := r.tryPlay("pull/cam1")
			var status *rtmp.StatusError
			if !errors.As(err, &status) || status.Code != c.code || !strings.Contains(status.Description, c.says) {
				t.Errorf("the player sees %v", err)
			}
			if fast := time.Since(begun) < time.Second; fast != c.fast {
				t.Errorf("told after %v", time.Since(begun))
			}
		})
	}
}

func TestPullNodeFaults(t *testing.T) {
	for _, fault := range []zegosim.NodeFault{zegosim.SilentHandshake, zegosim.SilentPublish, zegosim.RefusePublish,
		zegosim.ResetOnStart, zegosim.CloseOnStart, zegosim.StopReading, zegosim.Blackhole} {
		t.Run(fmt.Sprint(fault), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, setup{tune: func(o *relay.Options) { playable(o); o.PullWait = 5 * time.Second }})
			e := r.publish()
			e.stream(10)
			publishes := r.sim.NodeAt(r.status().Node)
			for _, n := range r.sim.Nodes() {
				if n != publishes {
					n.SetFault(fault)
				}
			}
			v := r.play("pull/cam1", nil)
			sent := e.stream(10)
			v.waitFrames(len(sent))
			v.checkWatchable()
			r.checkCalm()
		})
	}
}

func TestPullIdle(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) { playable(o); o.PullIdle = time.Second }})
	e := r.publish()
	e.stream(10)
	v := r.play("pull/cam1", nil)
	v.waitFrames(10)
	v.up.Unplay()
	r.waitLog("player gone", "the player has left")
	e.stream(10)
	if s := r.pullStatus("cam1"); s.Players != 0 || s.State != relay.Playing {
		t.Errorf("just after the last player: %+v", s)
	}
	v = r.play("pull/cam1", nil)
	v.waitFrames(10)
	if s := r.pullStatus("cam1"); s.Dispatches != 1 || s.Sessions != 1 || s.Plays != 2 {
		t.Errorf("a player that came back in time: %+v", s)
	}
	_ = v.up.Close()
	begun := time.Now()
	r.waitFor("the end of the pull", func() bool {
		return r.pullStatus("cam1").State == relay.Closed && !r.sim.Plays()[0].Ended.IsZero()
	})
	if took := time.Since(begun); took < 900*time.Millisecond || took > 2*time.Second {
		t.Errorf("ended after %v", took)
	}
	r.checkCalm()
}

// A player that takes nothing costs the others nothing, and is given up.
func TestStalledPlayer(t *testing.T) {
	r := newRig(t, setup{tune: playable})
	e := r.publish()
	e.size = 20_000
	e.stream(10)
	stalled, err := r.tryPlay("pull/cam1") // reads no more
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Close()
	v := r.play("pull/cam1", nil)
	sent := e.stream(10)
	late, frames := time.Duration(0), len(v.frames())
	for range 300 {
		begun := time.Now()
		sent = append(sent, e.stream(1)...)
		frames += 2
		v.waitFrames(frames - 2)
		late = max(late, time.Since(begun)-20*time.Millisecond)
	}
	v.checkWatchable()
	if late > 500*time.Millisecond { // the stalled one blocks for ten seconds
		t.Errorf("the other player had a frame %v late", late)
	}
	if s := r.pullStatus("cam1"); s.Players == 2 && s.Skipped == 0 {
		t.Logf("the stalled one has not missed anything yet: %+v", s)
	}
	r.waitLog("player gone", "takes nothing")
	r.checkCalm()
}

func TestPlayersOfAPush(t *testing.T) {
	r := newRig(t, setup{tune: playable})
	if _, err := r.tryPlay("live/cam1"); err == nil || !strings.Contains(err.Error(), "not being published here") {
		t.Errorf("before it is published: %v", err)
	}
	e := r.publish()
	sent := e.stream(70)
	v := r.play("live/cam1", nil)
	r.killNode() // is nothing to those who play here
	sent = append(sent, e.stream(60)...)
	v.waitFrames(120)
	v.checkWatchable()
	v.checkSame(sent)
	if s := r.status(); s.Players != 1 || s.BytesPlayed == 0 {
		t.Errorf("status: %+v", s)
	}

	// Another encoder, with other tracks, goes on: so does the player.
	e.goodbye()
	var status *rtmp.StatusError
	if err := <-v.over; !errors.As(err, &status) || status.Code != "NetStream.Play.UnpublishNotify" {
		t.Errorf("the player's end: %v", err)
	}
	r.checkAll()
}

func TestPlayRefused(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) { playable(o); o.PlayAllow = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }})
	if _, err := r.tryPlay("pull/cam1"); err == nil || !strings.Contains(err.Error(), "ZEGORELAY_PLAY_ALLOW") {
		t.Errorf("from an address that may not: %v", err)
	}
	r = newRig(t, setup{tune: playable})
	for url, says := range map[string]string{
		"other/cam1":   "unknown application",
		"pull/a b":     "can't be a ZEGO StreamId",
		"pull/?a=1":    "no StreamId",
		"live/?a=1":    "no stream key",
		"pull/x/cam+1": "unknown application",
	} {
		_, err := r.tryPlay(url)
		var status *rtmp.StatusError
		if !errors.As(err, &status) || status.Code != rtmp.CodePlayFailed || !strings.Contains(status.Description, says) {
			t.Errorf("%s: the player sees %v", url, err)
		}
	}
	if _, err := r.dial("../pull/cam1"); err == nil || !strings.Contains(err.Error(), "is for playing") {
		t.Errorf("publishing to the application for playing: %v", err)
	}
	if n := len(r.sim.Requests()); n > 0 {
		t.Errorf("%d calls for those who may not play", n)
	}
}

// A player that comes second begins a round trip after its play.
func TestSecondPlayerBeginsAtOnce(t *testing.T) {
	r := newRig(t, setup{tune: playable})
	e := r.publish()
	e.stream(10)
	r.play("pull/cam1", nil).waitFrames(10)
	const oneWay = 100 * time.Millisecond
	r.addr = distant(t, r.addr, oneWay)
	target := rtmp.Target{Addr: r.addr, TCURL: "rtmp://" + r.addr + "/pull", App: "pull", Name: "cam1"}
	up, err := rtmp.Dialer{}.Connect(r.t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	begun := time.Now()
	if err := up.Play(t.Context()); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := up.Read()
		if err != nil {
			t.Fatal(err)
		}
		if m.Inspect().Kind == rtmp.Keyframe {
			break
		}
	}
	// One round trip is createStream's, before the play is sent.
	if took := time.Since(begun) - 2*oneWay; took > 7*oneWay/2 { // a second round trip would make it four
		t.Errorf("from play to the first keyframe: %v, a round trip is %v", took, 2*oneWay)
	} else {
		t.Logf("from play to the first keyframe: %v, a round trip is %v", took.Round(time.Millisecond), 2*oneWay)
	}
}

// distant is an address behind which another one is, so far away.
func distant(t *testing.T, addr string, oneWay time.Duration) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	carry := func(to, from net.Conn) {
		type piece struct {
			bytes []byte
			due   time.Time
		}
		road := make(chan piece, 10_000)
		go func() {
			defer close(road)
			for {
				b := make([]byte, 64<<10)
				n, err := from.Read(b)
				if err != nil {
					return
				}
				road <- piece{b[:n], time.Now().Add(oneWay)}
			}
		}()
		for p := range road {
			<-time.After(time.Until(p.due))
			_, _ = to.Write(p.bytes)
		}
		to.Close()
	}
	go func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", addr)
			if err != nil {
				near.Close()
				continue
			}
			go carry(near, far)
			go carry(far, near)
		}
	}()
	return ln.Addr().String()
}

// SIGTERM tells players, and doesn't wait for one that hangs.
func TestShutdownWithPlayers(t *testing.T) {
	r := newRig(t, setup{tune: playable})
	e := r.publish()
	e.size = 20_000
	e.stream(10)
	stalled, err := r.tryPlay("pull/cam1")
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Close()
	v, local := r.play("pull/cam1", nil), r.play("live/cam1", nil)
	e.stream(50)
	begun := time.Now()
	r.stop()
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
	for _, v := range []*viewer{v, local} {
		var status *rtmp.StatusError
		if err := <-v.over; !errors.As(err, &status) || status.Code != "NetStream.Play.UnpublishNotify" {
			t.Errorf("a player's end: %v", err)
		}
	}
	r.checkCalm()
}
