package relay_test

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
	"zegorelay/relay"
	"zegorelay/relay/rtmp"
)

func TestStreamGoesToTheNode(t *testing.T) {
	r := newRig(t, setup{})
	e := r.publish()
	e.frames(200)
	e.goodbye()
	r.checkAll()
	if s := r.sim.Sessions(); len(s) != 1 || !s[0].Clean {
		t.Errorf("got sessions %+v, want one that ended clean", s)
	}
	if n := len(r.sim.Requests()); n != 1 {
		t.Errorf("%d dispatches for one stream", n)
	}
	r.waitLog("encoder started to publish", `"stream":"cam1"`, `"remote":"127.0.0.1:`)
	r.waitLog("node took the stream", `"node":"127.0.0.1:`, `"request_id":"`)
	r.waitLog("encoder gone", "the encoder ended the stream")
}

// What a person must mend refuses the publish, in words; the encoder sees them.
func TestRefusals(t *testing.T) {
	for what, tc := range map[string]struct {
		setup setup
		fault zegosim.APIFault
		key   string
		code  string
		says  string
		asked bool
	}{
		"wrong AppID": {setup: setup{appID: 99}, key: "cam1", code: rtmp.CodePublishDenied,
			says: "100000010, there is no server secret for this AppID (RequestId", asked: true},
		"wrong secret": {setup: setup{secret: strings.Repeat("x", 32)}, key: "cam1", code: rtmp.CodePublishDenied,
			says: "100000005, the signature is wrong (RequestId", asked: true},
		"service not enabled": {fault: zegosim.AnswerCode(1005), key: "cam1", code: rtmp.CodePublishDenied,
			says: "1005, the App is not online", asked: true},
		"a StreamId that ZEGO refuses": {fault: zegosim.AnswerCode(30009), key: "cam1", code: rtmp.CodePublishBadName,
			says: "30009, the StreamId is invalid", asked: true},
		"a key with a dot": {key: "cam.1", code: rtmp.CodePublishDenied,
			says: `the stream key "cam.1" can't be a ZEGO StreamId: use 1 to 256 letters, digits, - and _ only`},
		"a key of 257 letters": {key: strings.Repeat("k", 257), code: rtmp.CodePublishDenied, says: "1 to 256 letters"},
		"a key with a newline": {key: "cam\n1", code: rtmp.CodePublishDenied, says: `can't be a ZEGO StreamId`},
		"no key":               {key: "?token=x", code: rtmp.CodePublishDenied, says: "no stream key"},
		"another application":  {key: "x/cam1", code: rtmp.CodePublishDenied, says: `unknown application "live/x"`},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, tc.setup)
			r.sim.SetAPIFault(tc.fault)
			_, err := r.dial(tc.key)
			var status *rtmp.StatusError
			if !errors.As(err, &status) {
				t.Fatalf("the encoder sees %v", err)
			}
			if status.Code != tc.code || !strings.Contains(status.Description, strings.ReplaceAll(tc.says, `"`, `\"`)) {
				t.Errorf("the encoder sees %v, want %s and %q", status, tc.code, tc.says)
			}
			r.waitLog("publish refused", `"level":"warn"`, `"reason":`)
			if asked := len(r.sim.Requests()) > 0; asked != tc.asked {
				t.Errorf("ZEGO was asked: %v", asked)
			}
			r.waitFor("an empty table", func() bool { return len(r.srv.Streams()) == 0 })
		})
	}
}

// Everything that heals accepts the encoder, says why in the log, and delivers
// all of the stream once it has healed.
func TestWhatHealsAcceptsTheEncoder(t *testing.T) {
	node := func(f zegosim.NodeFault) func(*rig) {
		return func(r *rig) {
			for _, n := range r.sim.Nodes() {
				n.SetFault(f)
			}
		}
	}
	api := func(f zegosim.APIFault) func(*rig) {
		return func(r *rig) { r.sim.SetAPIFault(f) }
	}
	for what, tc := range map[string]struct {
		ail  func(*rig)
		says []string
	}{
		"HTTP 500":           {api(zegosim.AnswerHTTP{Status: 500}), []string{"no node from ZEGO", "HTTP 500"}},
		"HTML":               {api(zegosim.AnswerHTTP{Status: 200, Body: "<html>"}), []string{"no node from ZEGO", "no answer of ZEGO's"}},
		"an API that hangs":  {api(zegosim.Hang{}), []string{"no node from ZEGO", "no answer in time"}},
		"an API that drops":  {api(zegosim.Drop{}), []string{"no node from ZEGO", "EOF"}},
		"no node in Data":    {api(zegosim.AnswerData{}), []string{"no node from ZEGO", "1002, there is no push node"}},
		"a bad node URL":     {api(zegosim.AnswerData{Data: "http://1.2.3.4/a/b"}), []string{"1002", `"verdict":"again"`}},
		"code 1001":          {api(zegosim.AnswerCode(1001)), []string{"1001, the dispatch failed", `"advice":"`}},
		"a private node":     {api(zegosim.AnswerData{Data: "rtmp://10.0.0.1:1935/1/s"}), []string{"node not reached", "10.0.0.1 is not public"}},
		"a silent node":      {node(zegosim.SilentHandshake), []string{"node not reached", "didn't take the stream in time"}},
		"no Publish.Start":   {node(zegosim.SilentPublish), []string{"node not reached", "didn't take the stream in time"}},
		"a node's BadName":   {node(zegosim.RefusePublish), []string{"node not reached", "publish refused: NetStream.Publish.BadName (the stream is already"}},
		"a reset on start":   {node(zegosim.ResetOnStart), []string{"node lost", `"next_try":"`}},
		"a node that stalls": {node(zegosim.StopReading), []string{"node lost", "no progress"}},
		"dead nodes": {func(r *rig) {
			for _, n := range r.sim.Nodes() {
				n.Kill()
			}
		}, []string{"no node from ZEGO", "1002"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, setup{tune: func(o *relay.Options) { o.Backlog = time.Minute }})
			tc.ail(r)
			begun := time.Now()
			e := r.publish()
			if took := time.Since(begun); took > 2500*time.Millisecond {
				t.Errorf("the encoder waited %v", took)
			}
			e.size = 50_000 // more than the kernels hold, for the node that stalls
			e.frames(300)
			r.waitLog(tc.says...)
			r.sim.SetAPIFault(nil)
			for _, n := range r.sim.Nodes() {
				n.SetFault(zegosim.Healthy)
				// A stalled node holds what it has; a real one would, too.
				n.Kill()
				if err := n.Revive(); err != nil {
					t.Fatal(err)
				}
			}
			r.waitFor("publishing", func() bool { return r.status().State == relay.Publishing })
			e.frames(60)
			e.goodbye()
			r.checkAll()
		})
	}
}

func TestDeadNodeFirst(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	r := newRig(t, setup{})
	r.sim.SetAPIFault(zegosim.DeadNodeFirst{Addr: ln.Addr().String()})
	e := r.publish()
	e.frames(60)
	e.goodbye()
	r.checkAll()
	if n := len(r.sim.Requests()); n != 1 {
		t.Errorf("%d dispatches although the second node of the first answer is good", n)
	}
}

// The encoder notices nothing of nodes that die, and all of the stream arrives.
func TestNodesDie(t *testing.T) {
	r := newRig(t, setup{})
	e := r.publish()
	for range 10 {
		e.frames(75)
		r.waitFor("publishing", func() bool { return r.status().State == relay.Publishing })
		dead := r.killNode()
		e.frames(30)
		r.waitFor("another node", func() bool {
			s := r.status()
			return s.State == relay.Publishing && s.Node != dead.Addr()
		})
		if err := dead.Revive(); err != nil {
			t.Fatal(err)
		}
	}
	e.frames(10)
	if s := r.status(); s.Sessions != 11 || s.Dropped != 0 {
		t.Errorf("got %d sessions and %d dropped, want 11 and 0", s.Sessions, s.Dropped)
	}
	e.goodbye()
	r.checkAll()
	select {
	case err := <-e.over:
		if !errors.Is(err, rtmp.ErrPeerClosed) {
			t.Errorf("the encoder's session ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("the encoder's connection is still open")
	}
	r.waitLog("node lost", "connection reset by peer", `"next_try":"`)
}

// An outage over the bound of the backlog costs whole GOPs, which are counted.
func TestOutageBeyondTheBacklog(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) { o.BacklogBytes = 100_000 }})
	e := r.publish()
	e.step = 1
	e.frames(60)
	r.waitFor("publishing", func() bool { return r.status().State == relay.Publishing })
	r.sim.SetAPIFault(zegosim.AnswerHTTP{Status: http.StatusServiceUnavailable})
	r.killNode()
	r.waitLog("no node from ZEGO")
	e.frames(1000)
	r.waitFor("all to be read", func() bool { return r.status().MessagesIn == 3+2*1060 })
	if s := r.status(); s.BacklogBytes > 100_000 {
		t.Errorf("the backlog holds %d bytes", s.BacklogBytes)
	}
	r.sim.SetAPIFault(nil)
	r.waitFor("publishing", func() bool { return r.status().State == relay.Publishing && r.status().Dropped > 0 })
	dropped := r.status().Dropped
	e.goodbye()
	report := r.audit("cam1").Report()
	if report.Missing == 0 || uint64(report.Missing) > dropped || report.Pending > 0 {
		t.Errorf("%d messages are missing and %d pending, %d are counted as dropped", report.Missing, report.Pending, dropped)
	}
	if len(report.Violations)+len(r.sim.Violations()) > 0 {
		t.Errorf("%v %v", report.Violations, r.sim.Violations())
	}
	r.waitLog("media dropped", "bounds of the backlog")
}

func TestE3SecondPublisher(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) { o.Conflict = relay.Reject }})
	e := r.publish()
	e.frames(60)
	_, err := r.dial("cam1")
	var status *rtmp.StatusError
	if !errors.As(err, &status) || status.Code != rtmp.CodePublishBadName ||
		!strings.Contains(status.Description, "already being published by 127.0.0.1:") {
		t.Errorf("the second encoder sees %v", err)
	}
	e.frames(60)
	e.goodbye()
	r.checkAll()
}

// An encoder that stops and starts at once finds its StreamId free.
func TestPublishAgainAtOnce(t *testing.T) {
	r := newRig(t, setup{})
	for range 5 {
		e := r.publish()
		e.frames(60)
		if err := e.up.Unpublish(); err != nil {
			t.Fatal(err)
		}
	}
	r.waitFor("an empty table", func() bool { return len(r.srv.Streams()) == 0 })
	for _, s := range r.sim.Sessions() {
		if !s.Clean {
			t.Errorf("session %+v didn't end clean", s)
		}
	}
	if got := r.audit("cam1").Report(); got.Arrived != 5*2*60 || len(got.Violations) > 0 {
		t.Errorf("%d frames arrived of %d, %v", got.Arrived, 5*2*60, got.Violations)
	}
}

// An encoder may be back before we have read the goodbye on its old connection.
func TestPublishWaitsForAGoodbyeUnderWay(t *testing.T) {
	r := newRig(t, setup{})
	e := r.publish()
	e.frames(60)
	back := make(chan error, 1)
	go func() {
		_, err := r.dial("cam1")
		back <- err
	}()
	<-time.After(50 * time.Millisecond)
	if err := e.up.Unpublish(); err != nil {
		t.Fatal(err)
	}
	if err := <-back; err != nil {
		t.Errorf("the encoder sees %v", err)
	}
}

// SIGTERM frees the StreamId at the node and loses nothing that was accepted.
func TestShutdown(t *testing.T) {
	r := newRig(t, setup{})
	e := r.publish()
	e.frames(60)
	r.waitFor("all to be read", func() bool { return r.status().MessagesIn == 3+2*60 })
	begun := time.Now()
	r.stop()
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("the shutdown took %v", took)
	}
	r.checkAll()
	if s := r.sim.Sessions(); len(s) != 1 || !s[0].Clean {
		t.Errorf("got sessions %+v, want one that ended clean", s)
	}
	r.waitLog("encoder gone", "shutting down")
}

// A shutdown while no node can be had ends after the drain timeout.
func TestShutdownWithoutANode(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) { o.DrainTimeout = 300 * time.Millisecond }})
	r.sim.SetAPIFault(zegosim.Hang{})
	e := r.publish()
	e.frames(60)
	r.waitFor("all to be read", func() bool { return r.status().MessagesIn == 3+2*60 })
	begun := time.Now()
	r.stop()
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("the shutdown took %v", took)
	}
	r.waitLog("stream ended", `"undelivered":120`)
}

func TestSilentEncoder(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) { o.PublisherTimeout = 200 * time.Millisecond }})
	e := r.publish()
	e.frames(60)
	r.waitLog("encoder gone", "silent for too long")
	r.waitLog("stream ended")
	r.checkAll()
}

func TestTooManyStreams(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) { o.MaxStreams = 1 }})
	e := r.publish()
	e.frames(1)
	_, err := r.dial("cam2")
	if err == nil || !strings.Contains(err.Error(), "ZEGORELAY_MAX_STREAMS") {
		t.Errorf("the second stream's encoder sees %v", err)
	}
	e.frames(60)
	e.goodbye()
	r.checkAll()
}
