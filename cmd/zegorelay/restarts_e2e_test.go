//go:build e2e

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zegorelay/cmd/zegorelay/testcard"
	"zegorelay/dispatch/zegosim"
	"zegorelay/relay/rtmp"
)

// Flags of the test binary: scripts/restarts sets them.
var (
	restarts       = flag.Int("restarts", 3, "how often the daemon is restarted while streams are live, and killed")
	restartStreams = flag.Int("restarts.streams", 5, "of how many numbered encoders")
	restartGap     = flag.Duration("restarts.gap", 0, "the longest pause at a node, of 99 in 100; 0: it is only told")
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

// The daemon is restarted again and again, as systemctl restart does it, while numbered
// encoders, ffmpeg and GStreamer are live. No encoder and no node notices anything but a
// short pause, and no message is lost, doubled or out of order.
func TestE2ERestarts(t *testing.T) {
	s := newShow(t)
	m := newManager(t, nil)
	env := []string{"FDSTORE=32", "DBUS_SYSTEM_BUS_ADDRESS=" + m.bus("restart")}
	p := m.launch(s.sim, "", nil, env...)
	m.wait("READY=1")
	encoders := make(map[string]*encoder)
	for i := range *restartStreams {
		name := fmt.Sprintf("cam%d", i)
		encoders[name] = s.numbered(t, p.addr, name)
	}
	real := realEncoders(t, p.addr)
	waitFor(t, "all streams", func() bool { return len(s.sim.Sessions()) == len(encoders)+len(real) })
	<-time.After(time.Second)
	for i := range *restarts {
		<-time.After(200 * time.Millisecond)
		counted := counters(t, p)
		s.pauses.forget()
		p.signal(syscall.SIGTERM)
		if code := p.code(); code != exitOK {
			t.Fatalf("restart %d: exit code %d\n%s", i, code, p.log)
		}
		p = m.again(s.sim, p, env...)
		waitFor(t, "the next process", func() bool { return len(m.all("READY=1")) == i+2 })
		<-time.After(400 * time.Millisecond)
		s.pauses.take()
		now := counters(t, p)
		for name, n := range counted {
			if now[name] < n {
				t.Errorf("restart %d: %s fell from %g to %g", i, name, n, now[name])
			}
		}
	}
	for _, e := range real {
		e.end(t)
		s.isWhole(t, e.name, e.file)
	}
	for name, e := range encoders {
		e.end(t)
		s.isComplete(t, name)
	}
	if n := len(s.sim.Sessions()); n != len(encoders)+len(real) {
		t.Errorf("%d sessions with nodes for %d streams", n, len(encoders)+len(real))
	}
	t.Logf("%d restarts, %d numbered streams and %d real ones: pause at the node: half within %v, 99 of 100 within %v, the longest %v",
		*restarts, len(encoders), len(real), s.pauses.part(50), s.pauses.part(99), s.pauses.part(100))
	if *restartGap > 0 && s.pauses.part(99) > *restartGap {
		t.Errorf("the pause was longer than %v", *restartGap)
	}
	p.terminate()
}

// counters are those of the program's metrics that only rise, with their labels.
func counters(t *testing.T, p *process) map[string]float64 {
	t.Helper()
	resp, err := http.Get("http://" + p.http + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	all := make(map[string]float64)
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "} ")
		if bare, _, _ := strings.Cut(name, "{"); !strings.HasPrefix(bare, "zegorelay_") || !strings.HasSuffix(strings.Fields(bare)[0], "_total") {
			continue
		}
		if value == "" { // no labels
			name, value, _ = strings.Cut(name, " ")
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = n
	}
	if len(all) == 0 {
		t.Fatal("there are no counters")
	}
	return all
}

// persistent is an encoder that connects again, at once, whenever it is cut off.
func persistent(ctx context.Context, url string) (cuts int) {
	for {
		err := testcard.Publish(ctx, rtmp.Dialer{}, url, func(rtmp.Message) {})
		select {
		case <-ctx.Done():
			return cuts
		case <-time.After(20 * time.Millisecond):
		}
		if err != nil {
			cuts++
		}
	}
}

// The daemon is killed again and again. systemd holds the port: encoders that come back
// wait for the next process, and every stream is back as soon as its encoder has tried.
func TestE2EKills(t *testing.T) {
	t.Parallel()
	s := newShow(t)
	m := newManager(t, nil)
	held := []net.Listener{listenLocal(t)}
	env := []string{"FDSTORE=32", "DBUS_SYSTEM_BUS_ADDRESS=" + m.bus("restart"), "ZEGORELAY_HTTP_LISTEN=" + freeAddr(t)}
	p := m.launch(s.sim, "rtmp", held, env...)
	m.wait("READY=1")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var encoders sync.WaitGroup
	cuts := make([]int, *restartStreams)
	for i := range cuts {
		encoders.Go(func() { cuts[i] = persistent(ctx, fmt.Sprintf("rtmp://%s/live/cam%d", held[0].Addr(), i)) })
	}
	live := fmt.Sprintf("STATUS=%d live", *restartStreams)
	m.wait(live)
	descriptors := openDescriptors(t, p)
	for i := range *restarts {
		before := len(m.all(live))
		p.signal(syscall.SIGKILL)
		p.code()
		if got := m.stored(); len(got) > 0 {
			t.Errorf("kill %d: systemd has %v", i, got)
		}
		begun := time.Now()
		p = m.launch(s.sim, "rtmp", held, env...)
		waitFor(t, "all streams", func() bool { return len(m.all(live)) > before })
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("kill %d: all were back after %v", i, took)
		}
	}
	if now := openDescriptors(t, p); now > descriptors+2 {
		t.Errorf("%d descriptors are open, at first %d", now, descriptors)
	}
	stop()
	encoders.Wait()
	for i, n := range cuts {
		if n < *restarts {
			t.Errorf("cam%d was cut off %d times by %d kills", i, n, *restarts)
		}
	}
	p.terminate()
}

func openDescriptors(t *testing.T, p *process) int {
	t.Helper()
	all, err := os.ReadDir(filepath.Join("/proc", fmt.Sprint(p.cmd.Process.Pid), "fd"))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// buildNext builds the program as the next version may be: with a field more wherever
// the state has a struct that may grow.
func buildNext(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	replaced := make(map[string]string)
	for file, structs := range map[string][]string{
		"../../relay/handover/state.go": {"State", "Process", "Stream", "Publisher", "Node", "Backlog", "Entry", "Player"},
		"../../relay/rtmp/state.go":     {"ConnState", "ChunkStreamState", "SessionState", "UpstreamState"},
	} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(source)
		for _, name := range structs {
			head := "type " + name + " struct {\n"
			if !strings.Contains(text, head) {
				t.Fatalf("%s has no %s", file, name)
			}
			text = strings.Replace(text, head, head+"\tAddedInTheNextVersion []uint32\n", 1)
		}
		from, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, fmt.Sprint(len(replaced), ".go"))
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replaced[from] = to
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	list, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "zegorelay")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-overlay", list, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// An upgrade to a version whose state has more fields, and the way back.
func TestE2EUpgradeOnAir(t *testing.T) {
	t.Parallel()
	s := newShow(t)
	m := newManager(t, nil)
	env := []string{"FDSTORE=32", "DBUS_SYSTEM_BUS_ADDRESS=" + m.bus("restart")}
	p := m.launch(s.sim, "", nil, env...)
	m.wait("READY=1")
	e := s.numbered(t, p.addr, "cam1")
	m.wait("STATUS=1 live")
	for i, program := range []string{buildNext(t), ""} {
		p.terminate()
		m.program = program
		p = m.again(s.sim, p, env...)
		waitFor(t, "the next process", func() bool { return len(m.all("READY=1")) == i+2 })
		if log := p.log.String(); !strings.Contains(log, "goes on where the process before has stopped") || strings.Contains(log, "could not be read") {
			t.Errorf("the log says\n%s", log)
		}
		<-time.After(300 * time.Millisecond)
	}
	e.end(t)
	s.isComplete(t, "cam1")
	p.terminate()
}
