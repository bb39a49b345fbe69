package relay_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"zegorelay/dispatch"
	"zegorelay/dispatch/zegosim"
	"zegorelay/relay"
	"zegorelay/relay/rtmp"
)

func (r *rig) isHealth(want relay.Health) func() bool {
	return func() bool { return r.status().Health == want }
}

// told are the kinds of a stream's events, oldest first.
func told(st relay.Status) (kinds []relay.EventKind) {
	for _, e := range st.Events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func TestKick(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) { o.Grace = time.Minute }})
	if err := r.srv.Kick("cam1", dispatch.Push); !errors.Is(err, relay.ErrNoStream) {
		t.Errorf("without a stream: got %v", err)
	}
	e := r.publish()
	e.frames(3)
	r.waitFor("the node", r.isHealth(relay.OK))
	if err := r.srv.Kick("cam1", dispatch.Push); err != nil {
		t.Fatal(err)
	}
	<-e.over
	r.waitFor("its end", func() bool { return slices.Contains(told(r.status()), relay.EventPublisherLost) })
	st := r.status()
	if st.Disconnects["kick"] != 1 || !slices.Contains(told(st), relay.EventCommand) || !slices.Contains(told(st), relay.EventPublisherLost) {
		t.Errorf("disconnects %v, events %v", st.Disconnects, told(st))
	}
	if err := r.srv.Kick("cam1", dispatch.Push); !errors.Is(err, relay.ErrNobody) {
		t.Errorf("without an encoder: got %v", err)
	}
	e.rejoin()
	e.frames(60)
	e.goodbye()
	if n := len(r.sim.Sessions()); n != 1 {
		t.Errorf("%d sessions: its place at the node was not held", n)
	}
}

// A node that is left for another one is told goodbye, and nothing is lost.
func TestRedispatch(t *testing.T) {
	r := newRig(t, setup{})
	e := r.publish()
	e.frames(60)
	r.waitFor("the node", r.isHealth(relay.OK))
	if err := r.srv.Redispatch("cam1", dispatch.Push); err != nil {
		t.Fatal(err)
	}
	r.waitFor("another session", func() bool { return r.status().Sessions == 2 && r.status().State == relay.Publishing })
	e.frames(60)
	e.goodbye()
	r.checkAll()
	for _, s := range r.sim.Sessions() {
		if !s.Clean {
			t.Errorf("session %d ended without goodbye", s.Nth)
		}
	}
}

// One that waits for its next try doesn't wait any longer.
func TestRedispatchCutsTheWaitShort(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) { o.RetryMin, o.RetryMax = time.Hour, time.Hour }})
	for _, n := range r.sim.Nodes() {
		n.Kill()
	}
	e := r.publish()
	e.frames(1)
	r.waitFor("the wait", func() bool { return r.status().State == relay.Waiting })
	st := r.status()
	if st.Failure == nil || st.Failure.Stage != relay.AtDispatch || st.Failure.Code != "1002" || st.Attempt != 1 || st.NextTry.IsZero() {
		t.Errorf("got %+v, attempt %d", st.Failure, st.Attempt)
	}
	for _, n := range r.sim.Nodes() {
		if err := n.Revive(); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.srv.Redispatch("cam1", dispatch.Push); err != nil {
		t.Fatal(err)
	}
	r.waitFor("the node", r.isHealth(relay.OK))
	e.frames(10)
	e.goodbye()
	r.checkAll()
}

// A node that takes nothing more leaves ok within the stall time, before it is
// given up.
func TestBlackholedNodeIsNotOK(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) { o.StallTimeout = 2 * time.Second }})
	e := r.publish()
	e.frames(60)
	r.waitFor("the node", r.isHealth(relay.OK))
	r.waitFor("acknowledgements", func() bool { return r.status().RTT > 0 })
	stop := r.sending(e)
	defer stop()
	if !r.sim.NodeAt(r.status().Node).End("cam1", zegosim.BlackholeSession) {
		t.Fatal("no session to end")
	}
	begun := time.Now()
	r.waitFor("a word about it", func() bool { return r.status().Health != relay.OK })
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("called ok for %v", took)
	}
	r.waitFor("another node", func() bool { st := r.status(); return st.Sessions >= 2 && st.Health == relay.OK })
	if r.status().Outage == 0 {
		t.Error("no outage is counted")
	}
}

// sending has an encoder send in real time until stop is called.
func (r *rig) sending(e *encoder) (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if e.try(e.frame()...) != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); work.Wait() }
}

func TestEventsAndTotals(t *testing.T) {
	r := newRig(t, setup{})
	events := r.srv.Events(t.Context())
	e := r.publish()
	e.frames(10)
	r.waitFor("the node", r.isHealth(relay.OK))
	if _, err := r.dial("not a key"); err == nil {
		t.Error("a bad key was taken")
	}
	r.killNode()
	e.frames(10)
	r.waitFor("another node", func() bool { return r.status().Sessions == 2 })
	e.goodbye()
	var kinds []relay.EventKind
	var last uint64
	for len(kinds) == 0 || kinds[len(kinds)-1] != relay.EventStopped {
		select {
		case ev := <-events:
			kinds = append(kinds, ev.Kind)
			if ev.ID <= last || ev.At.IsZero() || ev.Text == "" {
				t.Errorf("after %d: %+v", last, ev)
			}
			last = ev.ID
		case <-time.After(patience):
			t.Fatalf("only %v", kinds)
		}
	}
	want := []relay.EventKind{relay.EventStarted, relay.EventUpstreamRestored, relay.EventRefused, relay.EventUpstreamLost, relay.EventUpstreamRestored, relay.EventStopped}
	for _, k := range want {
		if !slices.Contains(kinds, k) {
			t.Errorf("no %s in %v", k, kinds)
		}
	}
	totals := r.srv.Totals()
	if totals.PublishersEver != 1 || totals.Publishers != 0 || totals.Rejects["bad_key"] != 1 {
		t.Errorf("totals: %+v", totals)
	}
	if len(totals.Dispatches) == 0 || totals.Dispatches[0].Code != "0" || totals.Dispatches[0].Requests < 2 {
		t.Errorf("dispatches: %+v", totals.Dispatches)
	}
}

// What WriteFLV writes is the stream, from a keyframe on, to its end.
func TestWriteFLV(t *testing.T) {
	r := newRig(t, setup{})
	e := r.publish()
	e.frames(60)
	r.waitFor("the node", r.isHealth(relay.OK))
	file, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := r.srv.WriteFLV(t.Context(), "cam1", dispatch.Push, out)
		out.Close()
		done <- err
	}()
	go func() {
		e.frames(60)
		e.goodbye()
	}()
	in, err := rtmp.NewFLVReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var got []rtmp.Message
	for {
		m, err := in.Next()
		if err != nil {
			break
		}
		got = append(got, m)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(got) < 4+60 || got[1].Inspect().Kind != rtmp.SequenceHeader || got[3].Inspect().Kind != rtmp.Keyframe || got[3].Timestamp > 20 {
		t.Errorf("%d tags", len(got))
	}
	if err := r.srv.WriteFLV(t.Context(), "nobody", dispatch.Push, io.Discard); !errors.Is(err, relay.ErrNoStream) {
		t.Errorf("without a stream: got %v", err)
	}
}

// What waits because of something only an operator can mend asks again at once when told
// that it may be mended, and not after a minute.
func TestRetryRefused(t *testing.T) {
	r := newRig(t, setup{})
	e := r.publish()
	e.frames(60)
	r.waitFor("the node", r.isHealth(relay.OK))
	r.sim.SetAPIFault(zegosim.AnswerCode(1005))
	r.killNode()
	r.waitFor("the wait", func() bool { return r.status().State == relay.Waiting })
	r.sim.SetAPIFault(nil)
	r.srv.RetryRefused()
	e.frames(60)
	r.waitFor("another node", r.isHealth(relay.OK))
	e.goodbye()
	r.checkAll()
}
