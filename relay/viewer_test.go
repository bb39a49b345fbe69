package relay_test

import (
	"context"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"zegorelay/dispatch"
	"zegorelay/dispatch/zegosim"
	"zegorelay/relay"
	"zegorelay/relay/rtmp"
)

// playable lets everybody on loopback play, and waits briefly.
func playable(o *relay.Options) {
	o.PlayAllow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	o.PullIdle, o.PullWait = 200*time.Millisecond, 2*time.Second
}

// viewer is a player that keeps what it gets.
type viewer struct {
	r    *rig
	up   *rtmp.Upstream
	over chan error // why its session ended

	mu    sync.Mutex
	got   []rtmp.Message
	audit *zegosim.Audit // is told, too, if there is one
}

// tryPlay plays app/name, and returns what the player sees if it may not.
func (r *rig) tryPlay(url string) (*rtmp.Upstream, error) {
	r.t.Helper()
	app, name := path.Split(url)
	app = strings.Trim(app, "/")
	target := rtmp.Target{Addr: r.addr, TCURL: "rtmp://" + r.addr + "/" + app, App: app, Name: name}
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	up, err := rtmp.Dialer{}.Connect(ctx, target)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { up.Close() })
	return up, up.Play(ctx)
}

func (r *rig) play(url string, audit *zegosim.Audit) *viewer {
	r.t.Helper()
	up, err := r.tryPlay(url)
	if err != nil {
		r.t.Fatalf("play %s: %v\n%s", url, err, r.log.String())
	}
	v := &viewer{r: r, up: up, audit: audit, over: make(chan error, 1)}
	go func() {
		for {
			m, err := up.Read()
			if err != nil {
				v.over <- err
				return
			}
			v.mu.Lock()
			v.got = append(v.got, m)
			if audit != nil {
				audit.Received(1, m)
			}
			v.mu.Unlock()
		}
	}()
	return v
}

func (v *viewer) messages() []rtmp.Message {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]rtmp.Message(nil), v.got...)
}

// frames are the pictures and sounds that the viewer got.
func (v *viewer) frames() []rtmp.Message {
	var frames []rtmp.Message
	for _, m := range v.messages() {
		if k := m.Inspect().Kind; m.Type != rtmp.TypeData && (k == rtmp.Frame || k == rtmp.Keyframe) {
			frames = append(frames, m)
		}
	}
	return frames
}

// waitFrames waits until the viewer has n frames.
func (v *viewer) waitFrames(n int) {
	v.r.t.Helper()
	v.r.waitFor(fmt.Sprintf("%d frames at a player", n), func() bool { return len(v.frames()) >= n })
}

// waitFrame waits until the viewer has one that was sent.
func (v *viewer) waitFrame(m rtmp.Message) {
	v.r.t.Helper()
	v.r.waitFor("a frame at a player", func() bool {
		return slices.ContainsFunc(v.frames(), func(got rtmp.Message) bool { return string(got.Payload) == string(m.Payload) })
	})
}

// checkWatchable holds what a viewer got against what a decoder needs.
func (v *viewer) checkWatchable() {
	v.r.t.Helper()
	headers := make(map[rtmp.Type]bool)
	var last uint32
	for i, m := range v.messages() {
		kind := m.Inspect().Kind
		switch {
		case kind == rtmp.SequenceHeader:
			headers[m.Type] = true
		case kind == rtmp.Metadata:
		case !headers[m.Type]:
			v.r.t.Fatalf("message %d: %v before its header", i, m.Type)
		}
		if int32(m.Timestamp-last) < 0 {
			v.r.t.Errorf("message %d: time falls from %d to %d", i, last, m.Timestamp)
		}
		last = m.Timestamp
	}
	if frames := v.frames(); len(frames) == 0 || frames[0].Inspect().Kind != rtmp.Keyframe || frames[0].Timestamp > 100 {
		v.r.t.Errorf("it doesn't begin with a keyframe at 0")
	}
}

// checkSame holds a viewer's frames against those that an encoder sent: all of
// them from the one that it began with, once, in order.
func (v *viewer) checkSame(sent []rtmp.Message) {
	v.r.t.Helper()
	got := v.frames()
	from := -1
	for i, m := range sent {
		if len(got) > 0 && string(m.Payload) == string(got[0].Payload) {
			from = i
		}
	}
	if from < 0 {
		v.r.t.Fatalf("the first of %d frames was never sent", len(got))
	}
	for i, m := range got {
		if from+i >= len(sent) || string(sent[from+i].Payload) != string(m.Payload) {
			v.r.t.Fatalf("frame %d of %d, at %d ms, is not what was sent as number %d", i, len(got), m.Timestamp, from+i)
		}
		if want := sent[from+i].Timestamp - sent[from].Timestamp; m.Timestamp != want {
			v.r.t.Fatalf("frame %d has the time %d, want %d", i, m.Timestamp, want)
		}
	}
}

// stream sends n pairs of frames in their own time, and returns them.
func (e *encoder) stream(n int) []rtmp.Message {
	e.r.t.Helper()
	var sent []rtmp.Message
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range n {
		pair := e.frame()
		for _, m := range pair {
			e.send(m)
		}
		sent = append(sent, pair...)
		<-tick.C
	}
	return sent
}

func (r *rig) pullStatus(id string) relay.Status {
	for _, s := range r.srv.Streams() {
		if s.StreamID == id && s.Direction == dispatch.Pull {
			return s
		}
	}
	return relay.Status{State: relay.Closed}
}

// checkCalm is checkAll for a rig whose streams need not have arrived whole.
func (r *rig) checkCalm() {
	r.t.Helper()
	for _, v := range r.sim.Violations() {
		r.t.Error(v)
	}
}
