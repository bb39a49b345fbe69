package relay_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
	"zegorelay/relay"
	"zegorelay/relay/rtmp"
)

// lose ends the encoder's connection without a goodbye, as a cut cable or a
// crash does, once the relay has read all of it.
func (e *encoder) lose() {
	e.r.t.Helper()
	e.r.waitFor("all to be read", func() bool { return e.r.streamStatus(e.key).MessagesIn == uint64(e.sent) })
	e.up.Close()
	e.r.waitFor("the encoder's loss to be seen", func() bool { return !e.r.streamStatus(e.key).Away.IsZero() })
}

// rejoin publishes again what lose has interrupted. It sends its headers first.
func (e *encoder) rejoin() {
	e.r.t.Helper()
	up, err := e.r.dial(e.key)
	if err != nil {
		e.r.t.Fatal(err)
	}
	e.audit.Rejoin()
	e.attach(up)
	e.headers()
}

func graceful(o *relay.Options) { o.Grace = patience }

// The encoder's blips don't reach the node: one dispatch, one session, time
// goes on by what has passed, and nothing that came is lost.
func TestEncoderBlips(t *testing.T) {
	r := newRig(t, setup{tune: graceful})
	e := r.publish()
	for range 5 {
		e.frames(75)
		e.lose()
		<-time.After(100 * time.Millisecond)
		e.n = 0 // its clock starts over, as an encoder's does
		e.rejoin()
	}
	e.frames(75)
	e.goodbye()
	r.checkAll()
	if n, m := len(r.sim.Requests()), len(r.sim.Sessions()); n != 1 || m != 1 {
		t.Errorf("%d dispatches and %d sessions, want 1 of each", n, m)
	}
	if times := r.times("cam1"); !rising(times) {
		t.Errorf("time goes back at the node: %v", times)
	} else if last, want := times[len(times)-1], uint32(6*74*20+5*100); last < want || last > want+1000 {
		t.Errorf("the last frame is at %d ms, want a little over %d", last, want)
	}
	headers := 0
	for _, m := range r.received("cam1", 1) {
		if k := m.Inspect().Kind; k == rtmp.Metadata || k == rtmp.SequenceHeader {
			headers++
		}
	}
	if headers != 3 {
		t.Errorf("the node got %d headers, want 3: they never changed", headers)
	}
	r.waitLog("encoder gone", "held_for")
	r.waitLog("encoder went on with the stream")
}

// rising reports whether no time is before the one before it.
func rising(times []uint32) bool {
	for i := 1; i < len(times); i++ {
		if int32(times[i]-times[i-1]) < 0 {
			return false
		}
	}
	return true
}

// Headers that changed are sent in the same session; other tracks or codecs
// need another.
func TestEncoderComesBackOtherwise(t *testing.T) {
	for what, tc := range map[string]struct {
		header   rtmp.Message
		sessions int
	}{
		"other parameters": {rtmp.Message{Type: rtmp.TypeVideo, Payload: []byte("\x17\x00\x00\x00\x00\x01\x64")}, 1},
		"more to tell":     {rtmp.Message{Type: rtmp.TypeVideo, Payload: []byte("\xd4hvc1colorInfo")}, 1},
		"another codec":    {rtmp.Message{Type: rtmp.TypeVideo, Payload: []byte("\x90hvc1\x01\x02")}, 2},
		"one track more":   {rtmp.Message{Type: rtmp.TypeAudio, Payload: []byte("\x95\x00Opus\x01OpusHead")}, 2},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, setup{tune: graceful})
			e := r.publish()
			e.frames(75)
			e.lose()
			e.n = 100
			e.rejoin()
			e.send(tc.header)
			e.frames(75)
			e.goodbye()
			r.checkAll()
			if n := len(r.sim.Sessions()); n != tc.sessions {
				t.Errorf("%d sessions, want %d", n, tc.sessions)
			}
			for _, s := range r.sim.Sessions() {
				if !s.Clean {
					t.Errorf("session %+v was not ended in order", s)
				}
			}
		})
	}
}

// A track that is gone is gone from the next session, too.
func TestEncoderComesBackWithoutSound(t *testing.T) {
	r := newRig(t, setup{tune: graceful})
	e := r.publish()
	e.frames(75)
	e.lose()
	up, err := r.dial("cam1")
	if err != nil {
		t.Fatal(err)
	}
	e.audit.Rejoin()
	e.attach(up)
	e.send(metadata)
	e.send(rtmp.Message{Type: rtmp.TypeVideo, Payload: []byte("\x17\x00\x00\x00\x00\x01\x42")})
	for n := range 60 {
		e.send(picture(n, n == 0, 100, n, 20))
	}
	e.goodbye()
	r.checkAll()
	if n := len(r.sim.Sessions()); n != 2 {
		t.Fatalf("%d sessions, want 2", n)
	}
	for _, m := range r.received("cam1", 2) {
		if m.Type == rtmp.TypeAudio {
			t.Error("the session without sound began with a header of sound")
		}
	}
}

// Of an encoder that goes on in the middle of a GOP, the rest of that is left
// out: it can't be decoded.
func TestEncoderGoesOnAtAKeyframe(t *testing.T) {
	r := newRig(t, setup{tune: graceful})
	e := r.publish()
	e.frames(75)
	e.lose()
	e.n = 110
	e.rejoin()
	e.frames(60) // of which 40 up to the keyframe
	e.goodbye()
	r.checkAll()
	if got := e.audit.Report(); got.Arrived != 2*(75+20) {
		t.Errorf("%d frames arrived, want %d", got.Arrived, 2*(75+20))
	}
}

// Who doesn't come back in time is gone: the node is told.
func TestEncoderDoesNotComeBack(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) { o.Grace = 200 * time.Millisecond }})
	e := r.publish()
	e.frames(75)
	e.lose()
	r.waitLog("stream ended")
	r.checkAll()
	if s := r.sim.Sessions(); len(s) != 1 || !s[0].Clean {
		t.Errorf("got sessions %+v, want one that ended clean", s)
	}
	again := r.publish()
	again.frames(75)
	again.goodbye()
	if n := len(r.sim.Sessions()); n != 2 {
		t.Errorf("%d sessions, want 2", n)
	}
}

// A goodbye ends the stream however long the grace.
func TestGoodbyeNeedsNoGrace(t *testing.T) {
	r := newRig(t, setup{tune: graceful})
	e := r.publish()
	e.frames(75)
	begun := time.Now()
	e.goodbye()
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("the stream went on for %v", took)
	}
}

// A node that dies while the encoder is away is replaced if it is owed
// something, and else when the encoder is back.
func TestNodeDiesWhileTheEncoderIsAway(t *testing.T) {
	r := newRig(t, setup{tune: graceful})
	e := r.publish()
	e.frames(75)
	r.waitFor("publishing", func() bool { return r.status().State == relay.Publishing })
	e.lose()
	r.killNode()
	e.n = 100
	e.rejoin()
	e.frames(75)
	e.goodbye()
	r.checkAll()
}

// A shutdown doesn't wait for encoders that are away.
func TestShutdownWhileTheEncoderIsAway(t *testing.T) {
	r := newRig(t, setup{tune: graceful})
	e := r.publish()
	e.frames(75)
	e.lose()
	begun := time.Now()
	r.stop()
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("the shutdown took %v", took)
	}
	r.checkAll()
}

// Two encoders that both try again and again: one is displaced once, the other
// never.
func TestNoPingPong(t *testing.T) {
	r := newRig(t, setup{tune: graceful})
	first := r.publish()
	first.frames(75)
	second, err := r.dial("cam1")
	if err != nil {
		t.Fatalf("the second encoder sees %v", err)
	}
	if err := <-first.over; !errors.Is(err, rtmp.ErrPeerClosed) && !errors.Is(err, net.ErrClosed) {
		t.Errorf("the first encoder sees %v", err)
	}
	first.audit.Rejoin()
	e := r.encoder("cam1", second)
	for range 5 {
		var status *rtmp.StatusError
		if _, err := r.dial("cam1"); !errors.As(err, &status) || status.Code != rtmp.CodePublishBadName ||
			!strings.Contains(status.Description, "already being published by 127.0.0.1:") {
			t.Errorf("the first encoder sees %v when it comes back", err)
		}
		e.frames(50)
	}
	e.goodbye()
	r.checkAll()
	if n := len(r.sim.Sessions()); n != 1 {
		t.Errorf("the takeover cost the node's session: %d sessions", n)
	}
	r.waitLog("another encoder took the stream over")
}

// An encoder that is silent is taken for lost, wherever the next one comes from,
// and also by those that have once been refused.
func TestTakeoverFromASilentEncoder(t *testing.T) {
	r := newRig(t, setup{tune: graceful})
	silent := r.publish()
	silent.frames(75)
	other, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).Dial("tcp", r.addr)
	if err != nil {
		t.Skipf("there is no second loopback address here: %v", err)
	}
	other.Close()
	from := func() error {
		up, err := r.dialFrom("127.0.0.2", "cam1")
		if err == nil {
			silent.audit.Rejoin()
			e := r.encoder("cam1", up)
			e.n = 500
			e.frames(75)
			e.goodbye()
		}
		return err
	}
	if err := from(); err == nil || !strings.Contains(err.Error(), "already being published") {
		t.Errorf("another address sees %v while the encoder sends", err)
	}
	<-time.After(3 * time.Second)
	if err := from(); err != nil {
		t.Errorf("another address sees %v although the encoder is silent", err)
	}
	r.checkAll()
	if n := len(r.sim.Sessions()); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// What only a person can mend is told to an encoder that comes back, too.
func TestEncoderComesBackToARefusal(t *testing.T) {
	r := newRig(t, setup{tune: graceful})
	e := r.publish()
	e.frames(75)
	r.waitFor("publishing", func() bool { return r.status().State == relay.Publishing })
	e.lose()
	r.sim.SetAPIFault(zegosim.AnswerCode(100000017))
	e.rejoin()
	r.killNode()
	r.waitLog("no node from ZEGO", `"verdict":"operator"`)
	e.up.Close()
	if _, err := r.dial("cam1"); err == nil || !strings.Contains(err.Error(), "100000017") {
		t.Errorf("the encoder sees %v", err)
	}
}
