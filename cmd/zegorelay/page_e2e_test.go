//go:build e2e

package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
)

// The tests of the status page are written in JavaScript, for Chromium
// (scripts/pagetest). What they need of the world around the page they ask for here.

const pageToken = "the-token-of-the-page-test"

// stage is the daemon, the stand-in and the encoders of a test of the page. A
// test orders them about with POST requests.
type stage struct {
	t   *testing.T
	sim *zegosim.Sim

	mu       sync.Mutex
	daemon   *process
	encoders map[string]*exec.Cmd
}

func (s *stage) handler() http.Handler {
	mux := http.NewServeMux()
	for path, do := range map[string]func(key string) error{
		"/encoder/start":  s.startEncoder,
		"/encoder/stop":   s.stopEncoder,
		"/nodes/down":     s.nodesDown,
		"/nodes/up":       s.nodesUp,
		"/daemon/pause":   func(string) error { return s.daemon.cmd.Process.Signal(syscall.SIGSTOP) },
		"/daemon/resume":  func(string) error { return s.daemon.cmd.Process.Signal(syscall.SIGCONT) },
		"/daemon/restart": s.restart,
	} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if err := do(r.URL.Query().Get("key")); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	return mux
}

func (s *stage) startEncoder(key string) error {
	s.encoders[key] = ffmpeg(600, "rtmp://"+s.daemon.addr+"/live/"+key, "", "-metadata", "title=page")
	return s.encoders[key].Start()
}

// stopEncoder lets ffmpeg end in order. One that was kicked has ended before.
func (s *stage) stopEncoder(key string) error {
	encoder := s.encoders[key]
	if encoder == nil {
		return nil
	}
	delete(s.encoders, key)
	_ = encoder.Process.Signal(os.Interrupt)
	_ = encoder.Wait()
	return nil
}

func (s *stage) nodesDown(string) error {
	for _, node := range s.sim.Nodes() {
		node.Kill()
	}
	return nil
}

func (s *stage) nodesUp(string) error {
	for _, node := range s.sim.Nodes() {
		if err := node.Revive(); err != nil {
			return err
		}
	}
	return nil
}

// restart ends the daemon and starts another at its addresses.
func (s *stage) restart(string) error {
	old := s.daemon
	old.terminate()
	s.daemon = start(s.t, s.sim, "ZEGORELAY_RTMP_LISTEN="+old.addr, "ZEGORELAY_HTTP_LISTEN="+old.http, "ZEGORELAY_HTTP_TOKEN="+pageToken)
	s.daemon.addr, s.daemon.http = old.addr, old.http
	return nil
}

func (s *stage) clear() {
	for key := range s.encoders {
		_ = s.stopEncoder(key)
	}
}

// node runs a file of scripts/pagetest.
func node(t *testing.T, limit time.Duration, file string, env ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--test", "--test-timeout=60000", "--test-reporter=spec", file)
	cmd.Dir, cmd.Env = "../../scripts/pagetest", append(os.Environ(), env...)
	// An end in order lets it close its Chromium.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", file, err, out)
		return
	}
	t.Logf("%s", out)
}

// Not parallel: what is measured here is how soon things are seen.
func TestE2EPage(t *testing.T) {
	sim := startSim(t, &recorder{}, "")
	s := &stage{t: t, sim: sim, encoders: make(map[string]*exec.Cmd)}
	s.daemon = start(t, sim, "ZEGORELAY_HTTP_TOKEN="+pageToken)
	t.Cleanup(s.clear)
	control := httptest.NewServer(s.handler())
	t.Cleanup(control.Close)
	node(t, 3*time.Minute, "real.test.mjs", "PAGE_URL=http://"+s.daemon.http+"/", "PAGE_CONTROL="+control.URL, "PAGE_TOKEN="+pageToken)
	s.clear()
	for _, v := range sim.Violations() {
		t.Error(v)
	}
	if t.Failed() {
		t.Logf("the daemon's log\n%s", s.daemon.log)
	}
	s.daemon.terminate()
}

// What no daemon can be made to say on the spot, a mock says.
func TestE2EPageOfMock(t *testing.T) {
	node(t, time.Minute, "words.test.mjs")
	node(t, 3*time.Minute, "mock.test.mjs")
}
