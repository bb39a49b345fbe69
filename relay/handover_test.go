package relay_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"zegorelay/relay"
	"zegorelay/relay/handover"
)

// succeed has another server go on where the rig's stops.
func (r *rig) succeed() { r.succeedWith(func(*handover.Bundle) {}) }

// succeedWith is succeed, with what happens to the bundle on its way.
func (r *rig) succeedWith(change func(*handover.Bundle)) {
	r.t.Helper()
	r.srv.HandOver()
	r.wait()
	bundle := r.srv.Kept()
	if bundle == nil {
		r.t.Fatal("nothing is handed over")
	}
	change(bundle)
	next := relay.New(r.options)
	next.GoOn(bundle)
	r.run(next, r.ln)
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
		time.Sleep(rand.N(100 * time.Millisecond))
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
		if st.MessagesIn != uint64(e.sent) || st.Publishes != 1 || st.Sessions != 1 || st.Publisher == nil || st.Publisher.ID == 0 {
			t.Errorf("%s: %d of %d messages counted, %d encoders, %d sessions, %v", e.key, st.MessagesIn, e.sent, st.Publishes, st.Sessions, st.Publisher)
		}
		e.goodbye()
	}
	r.checkAll()
	if n := len(r.sim.Sessions()); n != streams {
		t.Errorf("%d sessions with nodes for %d streams", n, streams)
	}
}
