package relay_test

import (
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
	"zegorelay/relay"
)

// A file is sent as fast as it goes: it waits for the node, however long that
// takes, and nothing is lost to a bound.
func TestFileWaitsForTheNode(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) {
		o.Backlog, o.BacklogBytes, o.PublisherTimeout = time.Second, 8<<20, time.Second
	}})
	for _, n := range r.sim.Nodes() {
		n.SetFault(zegosim.SilentHandshake)
	}
	e := r.publish()
	e.size = 20_000
	sent := make(chan error, 1)
	go func() {
		for range 1500 { // 30 s, 30 MB
			if err := e.try(e.frame()...); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	select {
	case err := <-sent:
		t.Fatalf("it didn't wait: %v", err)
	case <-time.After(3 * time.Second): // longer than the backlog lasts and an encoder may be silent
	}
	for _, n := range r.sim.Nodes() {
		n.SetFault(zegosim.Healthy)
	}
	select {
	case err := <-sent:
		if err != nil {
			t.Fatalf("the encoder was disturbed: %v", err)
		}
	case <-time.After(patience):
		t.Fatalf("it waits for ever: %+v", r.status())
	}
	e.goodbye()
	r.checkAll()
}

// An encoder that sends in real time never waits, whatever the node does.
func TestLiveEncoderNeverWaits(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) { o.BacklogBytes = 1 << 20 }})
	for _, n := range r.sim.Nodes() {
		n.SetFault(zegosim.SilentHandshake)
	}
	e := r.publish()
	e.size = 50_000
	begun := time.Now()
	e.stream(200)                                        // 4 s, 10 MB
	if took := time.Since(begun); took > 8*time.Second { // if it waited, it would for ever
		t.Errorf("four seconds of it took %v to send", took)
	}
	if s := r.status(); s.BacklogBytes > 1<<20 {
		t.Errorf("the backlog holds %d bytes", s.BacklogBytes)
	}
}
