package zegosim

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"zegorelay/relay/rtmp"
)

// startQuiet starts a Sim in a bubble. The bubble fails the test if a goroutine
// is left when the Sim is closed.
func startQuiet(t *testing.T, o Options) *zego {
	t.Helper()
	network := newMemory()
	o.Listen = network.Listen
	z := start(t, o)
	z.dial = network.Dial
	z.client = &http.Client{Transport: &http.Transport{DialContext: network.Dial, DisableKeepAlives: true}}
	return z
}

// A publisher that sends no media is let go after 30 s, in which pings and the
// like count for nothing.
func TestPublisherWithoutMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := startQuiet(t, Options{})
		up := z.mustPublish(z.dispatched(nil))
		for _, m := range []rtmp.Message{video(0, avcHeader), {Type: rtmp.TypeUserControl, Payload: make([]byte, 6)}} {
			<-time.After(29 * time.Second)
			up.Queue(m)
			if err := up.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		begun := time.Now()
		e := z.wait(SessionEnded)
		if took := time.Since(begun); e.Clean || e.Err != errSilent.Error() || took != time.Second {
			t.Errorf("ended after %v with %+v", took, e)
		}
	})
}

// A goodbye frees the name at once; the connection stays for a moment, so that
// what the publisher still says doesn't meet a reset.
func TestFarewell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := startQuiet(t, Options{Linger: time.Hour})
		up := z.mustPublish(z.dispatched(nil))
		up.Queue(command("FCUnpublish", []byte{amfNull}, amfText("cam1")))
		if err := up.Flush(); err != nil {
			t.Fatal(err)
		}
		if e := z.wait(SessionEnded); !e.Clean {
			t.Errorf("got %+v", e)
		}
		begun := time.Now()
		again := z.mustPublish(z.dispatched(nil))
		up.Queue(video(0, avcKey))
		if err := up.Flush(); err != nil {
			t.Error(err)
		}
		if err := up.Serve(); !errors.Is(err, rtmp.ErrPeerClosed) || time.Since(begun) != farewellTimeout {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		z.leave(again)
		z.checkViolations()
	})
}

func TestSilentNodes(t *testing.T) {
	for what, fault := range map[string]NodeFault{"no handshake": SilentHandshake, "no answer to publish": SilentPublish} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				z := startQuiet(t, Options{Nodes: 1})
				rawURL := z.dispatched(nil)
				z.Nodes()[0].SetFault(fault)
				if _, err := z.publish(rawURL); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
				z.Nodes()[0].SetFault(Healthy)
				z.leave(z.mustPublish(rawURL))
				z.checkViolations()
			})
		})
	}
}

func TestHangLastsAsLongAsTheClientWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := startQuiet(t, Options{})
		z.SetAPIFault(Hang{})
		z.client.Timeout = time.Hour
		begun := time.Now()
		if _, _, err := z.fetch("?" + signed(nil).Encode()); err == nil || time.Since(begun) != time.Hour {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
	})
}

// Close ends whatever is going on, and has waited for it when it returns.
func TestCloseEndsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := startQuiet(t, Options{Nodes: 3})
		up := z.mustPublish(z.dispatched(nil))
		z.SetAPIFault(Hang{})
		hung := make(chan error, 1)
		go func() {
			_, _, err := z.fetch("?" + signed(map[string]string{"SignatureNonce": "ffffffffffffffff"}).Encode())
			hung <- err
		}()
		silent := make(chan error, 2)
		for i, fault := range []NodeFault{SilentHandshake, SilentPublish} {
			node := z.Nodes()[i+1]
			node.SetFault(fault)
			go func() {
				_, err := z.publish("rtmp://" + node.Addr() + "/12345/cam1")
				silent <- err
			}()
		}
		synctest.Wait()
		begun := time.Now()
		if err := z.Close(); err != nil {
			t.Error(err)
		}
		if e := z.wait(SessionEnded); e.Clean {
			t.Errorf("got %+v", e)
		}
		for _, err := range []error{<-hung, <-silent, <-silent, up.Serve()} {
			if err == nil {
				t.Error("something went well on a Sim that was closed")
			}
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("the end took %v", took)
		}
	})
}
