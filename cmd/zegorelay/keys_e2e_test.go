//go:build e2e

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
)

const e2eStreams = `streams:
  - {name: door, stream_id: cam1, key: marker5-key-1}
  - {name: yard, stream_id: cam2, key: marker5-key-2, app: secure, user: alice, password: marker5-pass}
`

// startListed runs zegorelay with a streams file.
func startListed(t *testing.T, text string) (p *process, sim *zegosim.Sim, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "streams.yaml")
	writeStreams(t, file, text)
	sim = startSim(t, &recorder{}, "")
	return start(t, sim, "ZEGORELAY_STREAMS_FILE="+file), sim, file
}

func writeStreams(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Real clients log in as Adobe's did: ffmpeg's own RTMP, and GStreamer's. (librtmp does,
// too, when it is called by itself; inside GStreamer's rtmpsink 1.22 it corrupts its heap
// on the way to its third connection, whatever it is asked.)
func TestE2ELogin(t *testing.T) {
	t.Parallel()
	p, sim, _ := startListed(t, e2eStreams)
	const media = "flvmux name=m streamable=true ! %s videotestsrc num-buffers=60 is-live=true ! video/x-raw,width=320,height=240,framerate=30/1 ! " +
		"x264enc tune=zerolatency key-int-max=30 speed-preset=ultrafast ! h264parse ! m."
	gst := func(sink string) *exec.Cmd {
		return exec.Command("gst-launch-1.0", append([]string{"-q"}, strings.Fields(strings.Replace(media, "%s", sink, 1))...)...)
	}
	server := p.addr + "/secure/marker5-key-2"
	for who, client := range map[string]*exec.Cmd{
		"ffmpeg":    ffmpeg(2, "rtmp://alice:marker5-pass@"+server, ""),
		"rtmp2sink": gst("rtmp2sink location=rtmp://alice:marker5-pass@" + server),
	} {
		if _, err := exec.LookPath(client.Path); err != nil {
			t.Logf("%s was not tried: %v", who, err)
			continue
		}
		before := len(sim.Sessions())
		if out, err := client.CombinedOutput(); err != nil || len(sim.Sessions()) == before {
			t.Errorf("%s: %v\n%s\n%s", who, err, out, p.log)
		}
		waitFor(t, "the end of the stream", func() bool { return strings.Count(p.log.String(), "stream ended") > before })
	}
	for what, url := range map[string]string{
		"a wrong password": "rtmp://alice:marker5-pasS@" + server,
		"no password":      "rtmp://" + server,
	} {
		if out, err := ffmpeg(2, url, "").CombinedOutput(); err == nil {
			t.Errorf("%s: ffmpeg got in\n%s", what, out)
		}
	}
	if log := p.log.String(); !strings.Contains(log, "login refused") || strings.Contains(log, "marker5") {
		t.Errorf("the log says\n%s", log)
	}
	p.terminate()
}

func TestE2EReload(t *testing.T) {
	t.Parallel()
	p, sim, file := startListed(t, e2eStreams)
	if out, err := ffmpeg(2, "rtmp://"+p.addr+"/live/marker5-key-9", "").CombinedOutput(); err == nil || !strings.Contains(string(out), "unknown stream key of 13 characters") {
		t.Errorf("ffmpeg says %v\n%s", err, out)
	}
	hangUp := func(text, says string) {
		t.Helper()
		writeStreams(t, file, text)
		before := strings.Count(p.log.String(), says)
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		waitFor(t, says, func() bool { return strings.Count(p.log.String(), says) > before })
	}
	encoder := ffmpeg(60, "rtmp://"+p.addr+"/live/marker5-key-1", "")
	if err := encoder.Start(); err != nil {
		t.Fatal(err)
	}
	defer encoder.Process.Kill()
	ended := make(chan error, 1)
	go func() { ended <- encoder.Wait() }()
	waitFor(t, "the stream", func() bool { _, ok := current(sim, "cam1"); return ok })
	if _, body := p.ask("GET", "/metrics", ""); !strings.Contains(body, `stream="yard"`) || !strings.Contains(body, `stream="door"`) ||
		!strings.Contains(body, "zegorelay_config_reload_success 1") {
		t.Error("the metrics of listed streams are not there from the start")
	}
	hangUp("streams: [{name: x}]\n", "configuration not reloaded: the old one stayed in force")
	if _, body := p.ask("GET", "/metrics", ""); !strings.Contains(body, "zegorelay_config_reload_success 0") {
		t.Error("the metrics don't tell of the reload that failed")
	}
	for range 20 {
		hangUp(e2eStreams+"  - {stream_id: cam3, key: marker5-key-3}\n", "configuration reloaded")
		hangUp(e2eStreams, "configuration reloaded")
	}
	if _, ok := current(sim, "cam1"); !ok || len(sim.Sessions()) != 1 {
		t.Errorf("the stream was disturbed: %+v", sim.Sessions())
	}
	hangUp("streams: [{stream_id: cam3, key: marker5-key-3}]\n", "configuration reloaded")
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the encoder of a stream that has no entry any more goes on")
	}
	waitFor(t, "its end", func() bool { return strings.Contains(p.log.String(), "stream ended") })
	if s := sim.Sessions(); !s[0].Clean {
		t.Error("its node was told no goodbye")
	}
	if strings.Contains(p.log.String(), "marker5") {
		t.Errorf("a key is in the log\n%s", p.log)
	}
	p.terminate()
}
