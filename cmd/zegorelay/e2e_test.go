//go:build e2e

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
	"zegorelay/relay/rtmp"
)

// These tests run the real binary against real encoders. scripts/test e2e
// installs what they need.

// recorder keeps what the nodes got, session by session.
type recorder struct {
	mu       sync.Mutex
	sessions [][]rtmp.Message
	streams  []string
}

func (r *recorder) observe(e zegosim.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.sessions) < e.Session {
		r.sessions, r.streams = append(r.sessions, nil), append(r.streams, e.StreamID)
	}
	if e.Kind == zegosim.MessageReceived {
		r.sessions[e.Session-1] = append(r.sessions[e.Session-1], e.Message)
	}
}

func startSim(t *testing.T, rec *recorder, dir string) *zegosim.Sim {
	t.Helper()
	sim, err := zegosim.Start(zegosim.Options{
		AppID: e2eAppID, Secret: e2eSecret, Nodes: 3, Observe: rec.observe, RecordDir: dir,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	return sim
}

// ffmpeg publishes seconds of a test picture and a tone, and if file is named
// writes the same packets to it: what it sent, in its own words.
func ffmpeg(seconds int, url, file string, more ...string) *exec.Cmd {
	args := []string{"-hide_banner", "-loglevel", "error", "-nostdin",
		"-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30",
		"-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
		"-t", fmt.Sprint(seconds), "-map", "0:v", "-map", "1:a", "-flags", "+global_header",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "60", "-b:v", "1500k",
		"-c:a", "aac", "-b:a", "96k"}
	args = append(args, more...)
	if file == "" {
		return exec.Command("ffmpeg", append(args, "-f", "flv", url)...)
	}
	flv := "f=flv:flvflags=no_duration_filesize"
	args = append(args, "-f", "tee", fmt.Sprintf("[%s]%s|[%s]%s", flv, url, flv, file))
	return exec.Command("ffmpeg", args...)
}

// current is the session that a stream is on now.
func current(sim *zegosim.Sim, streamID string) (zegosim.Session, bool) {
	for _, s := range sim.Sessions() {
		if s.StreamID == streamID && s.Ended.IsZero() && s.Messages > 0 {
			return s, true
		}
	}
	return zegosim.Session{}, false
}

func TestE2EFfmpegSurvivesNodeDeaths(t *testing.T) {
	for name, offset := range map[string]int{ // in seconds
		"from0":      0,
		"over2to24":  16770,
		"from5hours": 18000,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			rec := &recorder{}
			sim := startSim(t, rec, dir)
			p := start(t, sim)

			sent := filepath.Join(dir, "sent.flv")
			encoder := ffmpeg(20, "rtmp://"+p.addr+"/live/"+name, sent, "-output_ts_offset", fmt.Sprint(offset))
			said := &lockedBuffer{}
			encoder.Stderr = said
			if err := encoder.Start(); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				<-time.After(6 * time.Second)
				s, ok := current(sim, name)
				if !ok {
					t.Fatalf("no session\n%s", p.log)
				}
				node := sim.NodeAt(s.Node)
				node.Kill()
				waitFor(t, "another session", func() bool { _, ok := current(sim, name); return ok })
				if err := node.Revive(); err != nil {
					t.Fatal(err)
				}
			}
			if err := encoder.Wait(); err != nil {
				t.Errorf("ffmpeg was disturbed: %v\n%s", err, said)
			}
			waitFor(t, "the end of the stream", func() bool { return strings.Contains(p.log.String(), "stream ended") })
			if n := strings.Count(p.log.String(), "encoder started to publish"); n != 1 {
				t.Errorf("ffmpeg connected %d times", n)
			}
			p.terminate()
			sim.Close()

			if len(rec.sessions) != 3 {
				t.Errorf("%d sessions, want 3\n%s", len(rec.sessions), p.log)
			}
			auditFile(t, sent, rec, uint32(offset+19)*1000)
			for _, v := range sim.Violations() {
				t.Error(v)
			}
			joined := filepath.Join(dir, "joined.flv")
			join(t, rec.sessions, joined)
			decode(t, joined, 580)
		})
	}
}

// auditFile holds what arrived against the file that ffmpeg wrote, by digests of
// the payloads. The file must go on to after until, in milliseconds.
func auditFile(t *testing.T, file string, rec *recorder, until uint32) {
	t.Helper()
	audit := zegosim.NewAudit()
	var last uint32
	for _, m := range readFLV(t, file) {
		last = m.Timestamp
		if m.Type == rtmp.TypeData {
			m.Payload = rtmp.SetDataFrame(m.Payload)
		}
		audit.Sent(m)
	}
	for i, session := range rec.sessions {
		for _, m := range session {
			audit.Received(i+1, m)
		}
	}
	if last < until {
		t.Errorf("ffmpeg sent up to %d ms, want beyond %d", last, until)
	}
	r := audit.Report()
	t.Logf("sent %d, arrived %d, repeated %d, sessions %d", r.Sent, r.Arrived, r.Repeated, r.Sessions)
	if r.Missing+r.Pending > 0 || r.Arrived != r.Sent || r.Sent < 1400 {
		t.Errorf("of %d messages %d arrived", r.Sent, r.Arrived)
	}
	for _, v := range r.Violations {
		t.Error(v)
	}
}

func readFLV(t *testing.T, file string) []rtmp.Message {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := rtmp.NewFLVReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var messages []rtmp.Message
	for {
		m, err := r.Next()
		if errors.Is(err, io.EOF) {
			return messages
		}
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, m)
	}
}

// join makes one file of all sessions: each goes on to the keyframe with which
// the next one begins, and the next one's time is set to go on from there.
func join(t *testing.T, sessions [][]rtmp.Message, file string) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := rtmp.NewFLVWriter(f)
	if err != nil {
		t.Fatal(err)
	}
	isKey := func(m rtmp.Message) bool { return m.Inspect().Kind == rtmp.Keyframe }
	offset := uint32(0)
	for i, session := range sessions {
		var next *rtmp.Message // the keyframe with which the next session begins
		if i+1 < len(sessions) {
			for _, m := range sessions[i+1] {
				if isKey(m) {
					next = &m
					break
				}
			}
		}
		key := false
		for _, m := range session {
			if next != nil && isKey(m) && bytes.Equal(m.Payload, next.Payload) {
				offset += m.Timestamp - next.Timestamp
				next = nil
				break
			}
			if key = key || isKey(m); i > 0 && !key {
				continue // headers again
			}
			m.Timestamp += offset
			if err := w.Write(m); err != nil {
				t.Fatal(err)
			}
		}
		if next != nil {
			t.Errorf("session %d doesn't begin with a keyframe of session %d", i+2, i+1)
		}
	}
}

// decode lets ffmpeg decode a file to its end; any error fails.
func decode(t *testing.T, file string, atLeast int) {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error", "-xerror", "-i", file,
		"-map", "0:v", "-map", "0:a", "-f", "framecrc", "-").Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("%s doesn't decode: %v\n%s", file, err, exit.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}
	frames := 0
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "0,") {
			frames++
		}
	}
	t.Logf("%d pictures decoded", frames)
	if frames < atLeast {
		t.Errorf("%d pictures decoded, want %d or more", frames, atLeast)
	}
}

func TestE2ETerm(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	sim := startSim(t, rec, "")
	p := start(t, sim)
	encoder := ffmpeg(30, "rtmp://"+p.addr+"/live/cam1", "")
	if err := encoder.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = encoder.Process.Kill(); _ = encoder.Wait() }()
	waitFor(t, "media at the node", func() bool { s, ok := current(sim, "cam1"); return ok && s.Messages > 100 })
	if took := p.terminate(); took > 2*time.Second {
		t.Errorf("the end took %v", took)
	}
	waitFor(t, "the end of the session", func() bool { return !sim.Sessions()[0].Ended.IsZero() })
	if s := sim.Sessions(); len(s) != 1 || !s[0].Clean {
		t.Errorf("the StreamId was not freed in order: %+v", s)
	}
}

func TestE2EFfmpegIsToldWhy(t *testing.T) {
	t.Parallel()
	sim := startSim(t, &recorder{}, "")
	for what, tc := range map[string]struct{ env, key, want string }{
		"a wrong secret": {"ZEGORELAY_SERVER_SECRET=" + strings.Repeat("x", 32), "cam1",
			"ZEGO answers 100000005, the signature is wrong"},
		"a bad key": {"ZEGORELAY_LOG_LEVEL=info", "cam.1", `the stream key "cam.1" can't be a ZEGO StreamId`},
	} {
		p := start(t, sim, tc.env)
		encoder := ffmpeg(5, "rtmp://"+p.addr+"/live/"+tc.key, "")
		out, err := encoder.CombinedOutput()
		if err == nil || !strings.Contains(string(out), tc.want) {
			t.Errorf("%s: ffmpeg says %v\n%s", what, err, out)
		}
		if !strings.Contains(p.log.String(), "publish refused") {
			t.Errorf("%s: the log says\n%s", what, p.log)
		}
		p.terminate()
	}
}

func TestE2EExitCodes(t *testing.T) {
	t.Parallel()
	for what, tc := range map[string]struct {
		env  []string
		args []string
		code int
		says []string
	}{
		"no configuration": {nil, []string{"run"}, 78, []string{"ZEGORELAY_APP_ID is not set", "ZEGORELAY_SERVER_SECRET is not set"}},
		"check of a bad one": {[]string{"ZEGORELAY_APP_ID=x", "ZEGORELAY_BAKLOG=1s"}, []string{"config", "check"}, 78,
			[]string{"ZEGORELAY_APP_ID", "did you mean ZEGORELAY_BACKLOG?"}},
		"check of a good one": {[]string{"ZEGORELAY_APP_ID=1", "ZEGORELAY_SERVER_SECRET=" + e2eSecret}, []string{"config", "check"}, 0,
			[]string{"good"}},
		"print": {[]string{"ZEGORELAY_APP_ID=1", "ZEGORELAY_SERVER_SECRET=" + e2eSecret}, []string{"config", "print"}, 0,
			[]string{"ZEGORELAY_SERVER_SECRET=****eeff", "ZEGORELAY_RTMP_LISTEN=:1935"}},
		"an unknown command": {nil, []string{"relay"}, 2, []string{"--help"}},
		"help":               {nil, []string{"--help"}, 0, []string{"demo --for 45s", "ZEGORELAY_BACKLOG_BYTES"}},
		"version":            {nil, []string{"version"}, 0, []string{"zegorelay ", "go1."}},
		"a port in use": {[]string{"ZEGORELAY_APP_ID=1", "ZEGORELAY_SERVER_SECRET=" + e2eSecret, "ZEGORELAY_RTMP_LISTEN=127.0.0.1:1",
			"ZEGORELAY_HTTP_LISTEN=off"}, []string{"run"}, -1, nil},
		"healthcheck of nobody": {[]string{"ZEGORELAY_APP_ID=1", "ZEGORELAY_SERVER_SECRET=" + e2eSecret,
			"ZEGORELAY_HTTP_LISTEN=" + freeAddr(t)}, []string{"healthcheck"}, 1, []string{"not ready"}},
	} {
		if tc.code < 0 {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			tc.env[2] = "ZEGORELAY_RTMP_LISTEN=" + ln.Addr().String()
			tc.code, tc.says = 1, []string{"ZEGORELAY_RTMP_LISTEN", "address already in use"}
		}
		cmd := command(t, tc.env, tc.args...)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != tc.code {
			t.Errorf("%s: exit code %d, want %d\n%s", what, got, tc.code, out)
		}
		for _, part := range tc.says {
			if !strings.Contains(string(out), part) {
				t.Errorf("%s: no %q in\n%s", what, part, out)
			}
		}
		if strings.Contains(string(out), e2eSecret) {
			t.Errorf("%s: the secret is printed\n%s", what, out)
		}
	}
}

func TestE2EDemo(t *testing.T) {
	t.Parallel()
	cmd := command(t, nil, "demo", "--for", "35s", "--listen", freeAddr(t))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"rtmp://127.0.0.1:", " 0 lost", "2 node deaths, 3 sessions", "publishing"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestE2EDemoEndsOnInterrupt(t *testing.T) {
	t.Parallel()
	cmd := command(t, nil, "demo", "--listen", freeAddr(t))
	out := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the second line", func() bool { return strings.Contains(out.String(), "00:02") })
	begun := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if took := time.Since(begun); err != nil || took > time.Second || !strings.Contains(out.String(), " 0 lost") {
		t.Errorf("ended after %v with %v\n%s", took, err, out)
	}
}
