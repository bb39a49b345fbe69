//go:build e2e

package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
	"zegorelay/relay/rtmp"
)

// pauses measures for how long nodes get nothing of a stream.
type pauses struct {
	mu    sync.Mutex
	last  map[string]time.Time
	worst map[string]time.Duration // since it was taken last
	all   []time.Duration
}

func (p *pauses) note(stream string) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if last, ok := p.last[stream]; ok {
		p.worst[stream] = max(p.worst[stream], now.Sub(last))
	}
	p.last[stream] = now
}

// take notes the worst pause of each stream, which begin anew.
func (p *pauses) take() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for stream, worst := range p.worst {
		p.all = append(p.all, worst)
		p.worst[stream] = 0
	}
}

func (p *pauses) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.worst)
}

// part is the pause that so many of a hundred don't exceed.
func (p *pauses) part(percent int) time.Duration {
	all := slices.Sorted(slices.Values(p.all))
	return all[(len(all)-1)*percent/100]
}

// show is a ZEGO for many streams: numbered ones, all of whose messages are held against
// what was sent, and those of real encoders.
type show struct {
	sim    *zegosim.Sim
	pauses *pauses

	mu     sync.Mutex
	audits map[string]*zegosim.Audit
	frames map[string][]rtmp.Message // of real encoders
}

func newShow(t *testing.T) *show {
	t.Helper()
	s := &show{
		pauses: &pauses{last: make(map[string]time.Time), worst: make(map[string]time.Duration)},
		audits: make(map[string]*zegosim.Audit), frames: make(map[string][]rtmp.Message),
	}
	var err error
	s.sim, err = zegosim.Start(zegosim.Options{AppID: e2eAppID, Secret: e2eSecret, Nodes: 3, Observe: s.observe})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.sim.Close() })
	return s
}

func (s *show) observe(e zegosim.Event) {
	if e.Kind != zegosim.MessageReceived {
		return
	}
	s.pauses.note(e.StreamID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if audit := s.audits[e.StreamID]; audit != nil {
		audit.Received(e.Session, e.Message)
	} else if _, ok := e.Message.CodedFrame(); ok {
		s.frames[e.StreamID] = append(s.frames[e.StreamID], e.Message)
	}
}

// numbered starts an encoder whose every message is accounted for.
func (s *show) numbered(t *testing.T, addr, stream string) *encoder {
	t.Helper()
	audit := zegosim.NewAudit()
	s.mu.Lock()
	s.audits[stream] = audit
	s.mu.Unlock()
	return startEncoder(t, "rtmp://"+addr+"/live/"+stream, audit.Sent)
}

// isComplete waits until all of a numbered stream is there, and checks that one session
// has had it, once and in order.
func (s *show) isComplete(t *testing.T, stream string) {
	t.Helper()
	s.mu.Lock()
	audit := s.audits[stream]
	s.mu.Unlock()
	waitFor(t, "all of "+stream, func() bool { r := audit.Report(); return r.Missing+r.Pending == 0 })
	if r := audit.Report(); r.Sessions != 1 || r.Repeated > 0 || len(r.Violations) > 0 || r.Sent == 0 {
		t.Errorf("%s: the node got %+v", stream, r)
	}
}

// isWhole checks that what the node got of a real encoder is what that has written into
// a file, too: every frame, once and in order.
func (s *show) isWhole(t *testing.T, stream, file string) {
	t.Helper()
	sent := slices.DeleteFunc(readFLV(t, file), func(m rtmp.Message) bool { _, ok := m.CodedFrame(); return !ok })
	begin := slices.IndexFunc(sent, func(m rtmp.Message) bool { return m.Inspect().Kind == rtmp.Keyframe })
	sent = sent[max(begin, 0):] // what comes before is nobody's
	var got []rtmp.Message
	for deadline := time.Now().Add(5 * time.Second); len(got) < len(sent) && time.Now().Before(deadline); <-time.After(50 * time.Millisecond) {
		s.mu.Lock()
		got = s.frames[stream]
		s.mu.Unlock()
	}
	for i := range min(len(sent), len(got)) {
		if sent[i].Type != got[i].Type || !bytes.Equal(sent[i].Payload, got[i].Payload) {
			t.Errorf("%s: frame %d of %d is another, %d came", stream, i, len(sent), len(got))
			return
		}
	}
	if len(got) != len(sent) || len(sent) < 100 {
		t.Errorf("%s: %d frames were sent, %d came", stream, len(sent), len(got))
	}
}

// realEncoder is ffmpeg or GStreamer, which end well if nobody has disturbed them.
type realEncoder struct {
	name string
	file string // what it sends goes there, too
	cmd  *exec.Cmd
	log  *lockedBuffer
	over chan error
}

func startReal(t *testing.T, name, file string, cmd *exec.Cmd) *realEncoder {
	t.Helper()
	e := &realEncoder{name: name, file: file, cmd: cmd, log: &lockedBuffer{}, over: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = e.log, e.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	go func() { e.over <- cmd.Wait() }()
	return e
}

// end asks it to end, for which it must have been there.
func (e *realEncoder) end(t *testing.T) {
	t.Helper()
	select {
	case err := <-e.over:
		t.Errorf("%s ended: %v\n%s", e.name, err, e.log)
		return
	default:
	}
	_ = e.cmd.Process.Signal(syscall.SIGINT)
	<-e.over
	if log := e.log.String(); strings.Contains(log, "rror") {
		t.Errorf("%s says\n%s", e.name, log)
	}
}

// realEncoders are those of the machine.
func realEncoders(t *testing.T, addr string) []*realEncoder {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name+".flv") }
	gst := "flvmux name=m streamable=true ! tee name=t t. ! queue ! rtmp2sink location=rtmp://" + addr + "/live/gstreamer " +
		"t. ! queue ! filesink location=" + file("gstreamer") + " " +
		"videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1 ! " +
		"x264enc tune=zerolatency key-int-max=30 speed-preset=ultrafast ! h264parse ! m. " +
		"audiotestsrc is-live=true ! audioconvert ! voaacenc ! aacparse ! m."
	return []*realEncoder{
		startReal(t, "ffmpeg", file("ffmpeg"), ffmpeg(3600, "rtmp://"+addr+"/live/ffmpeg", file("ffmpeg"))),
		startReal(t, "gstreamer", file("gstreamer"), exec.Command("gst-launch-1.0", append([]string{"-q", "-e"}, strings.Fields(gst)...)...)),
	}
}
