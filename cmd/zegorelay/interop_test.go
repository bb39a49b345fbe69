//go:build e2e

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
	"zegorelay/relay/rtmp"
)

// Peers that we did not write, on either side of the real binary.

// auditMedia holds the audio and video of one file against those of another.
func auditMedia(t *testing.T, sent, got []rtmp.Message, atLeast int) {
	t.Helper()
	audit := zegosim.NewAudit()
	for _, m := range sent {
		if m.Type != rtmp.TypeData {
			audit.Sent(m)
		}
	}
	for _, m := range got {
		if m.Type != rtmp.TypeData {
			audit.Received(1, m)
		}
	}
	r := audit.Report()
	t.Logf("sent %d, arrived %d", r.Sent, r.Arrived)
	if r.Missing+r.Pending > 0 || r.Sent < atLeast {
		t.Errorf("of %d messages %d arrived", r.Sent, r.Arrived)
	}
	for _, v := range r.Violations {
		t.Error(v)
	}
}

func TestE2EGStreamerPublishes(t *testing.T) {
	for name, sink := range map[string]string{"rtmp2sink": "rtmp2sink", "rtmpsink": "rtmpsink"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			rec := &recorder{}
			sim := startSim(t, rec, dir)
			p := start(t, sim)
			sent := filepath.Join(dir, "sent.flv")
			pipeline := "flvmux name=m streamable=true ! tee name=t t. ! queue ! " + sink + " location=rtmp://" + p.addr + "/live/cam1 " +
				"t. ! queue ! filesink location=" + sent + " " +
				"videotestsrc num-buffers=150 is-live=true ! video/x-raw,width=320,height=240,framerate=30/1 ! " +
				"x264enc tune=zerolatency key-int-max=30 speed-preset=ultrafast ! h264parse ! m. " +
				"audiotestsrc num-buffers=230 is-live=true ! audioconvert ! voaacenc ! aacparse ! m."
			out, err := exec.Command("gst-launch-1.0", append([]string{"-q"}, strings.Fields(pipeline)...)...).CombinedOutput()
			if err != nil {
				t.Errorf("gst-launch: %v\n%s", err, out)
			}
			waitFor(t, "the end of the stream", func() bool { return strings.Contains(p.log.String(), "stream ended") })
			p.terminate()
			sim.Close()
			if len(rec.sessions) != 1 {
				t.Fatalf("%d sessions\n%s", len(rec.sessions), p.log)
			}
			// GStreamer writes another sequence header into the file than on the
			// wire, so the frames are held against each other.
			frames := func(all []rtmp.Message) (coded []rtmp.Message) {
				for _, m := range all {
					if k := m.Inspect().Kind; k == rtmp.Frame || k == rtmp.Keyframe {
						coded = append(coded, m)
					}
				}
				return coded
			}
			auditMedia(t, frames(readFLV(t, sent)), frames(rec.sessions[0]), 350)
			for _, v := range sim.Violations() {
				t.Error(v)
			}
			decode(t, filepath.Join(dir, "cam1-1.flv"), 140)
		})
	}
}

func TestE2ENginxAsNode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	addr := freeAddr(t)
	conf := filepath.Join(dir, "nginx.conf")
	err := os.WriteFile(conf, fmt.Appendf(nil, `
load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
daemon off; master_process off; pid %[1]s/nginx.pid; error_log %[1]s/error.log;
events {}
rtmp { server { listen %[2]s; chunk_size 4000; ack_window 50000; ping 1s;
	application live { live on; record all; record_path %[1]s; record_suffix -nginx.flv; } } }
`, dir, addr), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	nginx := exec.Command("nginx", "-p", dir, "-c", conf)
	said := &lockedBuffer{}
	nginx.Stdout, nginx.Stderr = said, said
	if err := nginx.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nginx.Process.Kill(); _ = nginx.Wait() }()
	waitFor(t, "nginx", func() bool { return listens(addr) })

	sim := startSim(t, &recorder{}, "")
	sim.SetAPIFault(zegosim.AnswerData{Data: []string{"rtmp://" + addr + "/live/cam1"}})
	p := start(t, sim)
	sent := filepath.Join(dir, "sent.flv")
	if out, err := ffmpeg(8, "rtmp://"+p.addr+"/live/cam1", sent).CombinedOutput(); err != nil {
		t.Errorf("ffmpeg: %v\n%s", err, out)
	}
	waitFor(t, "the end of the stream", func() bool { return strings.Contains(p.log.String(), "stream ended") })
	p.terminate()
	if n := strings.Count(p.log.String(), "node took the stream"); n != 1 {
		t.Errorf("%d sessions with nginx\n%s", n, p.log)
	}
	recorded := filepath.Join(dir, "cam1-nginx.flv")
	auditMedia(t, readFLV(t, sent), readFLV(t, recorded), 500)
	decode(t, recorded, 230)
}

func listens(addr string) bool {
	nc, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	nc.Close()
	return true
}

func TestE2EFfmpegAsNode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	addr := freeAddr(t)
	recorded := filepath.Join(dir, "node.flv")
	url := "rtmp://" + addr + "/live/cam1"
	node := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-listen", "1", "-i", url,
		"-c", "copy", "-flvflags", "no_duration_filesize", recorded)
	said := &lockedBuffer{}
	node.Stderr = said
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = node.Process.Kill() }()

	sim := startSim(t, &recorder{}, "")
	sim.SetAPIFault(zegosim.AnswerData{Data: []string{url}})
	p := start(t, sim)
	sent := filepath.Join(dir, "sent.flv")
	if out, err := ffmpeg(8, "rtmp://"+p.addr+"/live/cam1", sent).CombinedOutput(); err != nil {
		t.Errorf("ffmpeg: %v\n%s", err, out)
	}
	waitFor(t, "the end of the stream", func() bool { return strings.Contains(p.log.String(), "stream ended") })
	p.terminate()
	if err := node.Wait(); err != nil {
		t.Errorf("ffmpeg as node: %v\n%s", err, said)
	}
	auditMedia(t, readFLV(t, sent), readFLV(t, recorded), 500)
	decode(t, recorded, 230)
}

func TestE2ERTMPS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key, addr := filepath.Join(dir, "cert"), filepath.Join(dir, "key"), freeAddr(t)
	writePair(t, cert, key, "localhost", time.Now())
	rec := &recorder{}
	sim := startSim(t, rec, "")
	p := start(t, sim, "ZEGORELAY_RTMPS_LISTEN="+addr, "ZEGORELAY_TLS_CERT="+cert, "ZEGORELAY_TLS_KEY="+key)
	sent := filepath.Join(dir, "sent.flv")
	if out, err := ffmpeg(5, "rtmps://"+addr+"/live/cam1", sent).CombinedOutput(); err != nil {
		t.Errorf("ffmpeg: %v\n%s", err, out)
	}
	waitFor(t, "the end of the stream", func() bool { return strings.Contains(p.log.String(), "stream ended") })
	p.terminate()
	sim.Close()
	if len(rec.sessions) != 1 {
		t.Fatalf("%d sessions\n%s", len(rec.sessions), p.log)
	}
	auditMedia(t, readFLV(t, sent), rec.sessions[0], 300)
}

// A real lack of descriptors: idle connections take all, and once they are gone
// a publish works.
func TestE2ENoDescriptors(t *testing.T) {
	t.Parallel()
	sim := startSim(t, &recorder{}, "")
	p := startWith(t, sim, []string{"sh", "-c", `ulimit -n 40; exec "$0" "$@"`})
	var idle []net.Conn
	for range 60 {
		nc, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, nc)
	}
	waitFor(t, "the lack to be noticed", func() bool { return strings.Contains(p.log.String(), "too many open files") })
	for _, nc := range idle {
		nc.Close()
	}
	begun := time.Now()
	encoder := ffmpeg(3, "rtmp://"+p.addr+"/live/cam1", "")
	if err := encoder.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "media at the node", func() bool { _, ok := current(sim, "cam1"); return ok })
	t.Logf("media %v after the descriptors were free", time.Since(begun))
	if err := encoder.Wait(); err != nil {
		t.Error(err)
	}
	p.terminate()
}
