//go:build e2e

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"zegorelay/cmd/zegorelay/testcard"
	"zegorelay/relay/rtmp"
)

// These tests run the real binary under a stand-in for systemd, which speaks its
// protocols over real sockets. It restarts nothing and enforces nothing.

// publish publishes the test card until the test ends.
func publish(t *testing.T, rawURL string) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = testcard.Publish(ctx, rtmp.Dialer{}, rawURL, func(rtmp.Message) {})
	}()
	t.Cleanup(func() { stop(); <-ended })
}

// The life of a service: it is ready when it answers, tells how its streams are,
// feeds the watchdog, reloads, and drains for its time, with a stream that no node
// takes.
func TestE2ESystemdHearsOfALife(t *testing.T) {
	t.Parallel()
	const shutdown, watchdog = 3 * time.Second, 800 * time.Millisecond
	sim := startSim(t, &recorder{}, "")
	var p *process
	begun := make(chan struct{})
	answers := make(chan error, 2) // READY=1 comes after the reload, too
	m := newManager(t, func() {
		<-begun
		nc, err := net.Dial("tcp", p.addr)
		if err == nil {
			nc.Close()
		}
		answers <- err
	})
	p = m.launch(sim, "", nil, "ZEGORELAY_SHUTDOWN_TIMEOUT="+shutdown.String(),
		fmt.Sprintf("WATCHDOG_USEC=%d", watchdog.Microseconds()))
	close(begun)
	m.wait("READY=1")
	if err := <-answers; err != nil {
		t.Errorf("it says that it is ready, and doesn't answer: %v", err)
	}
	m.wait("STATUS=0 live")
	publish(t, "rtmp://"+p.addr+"/live/cam1")
	m.wait("STATUS=1 live")
	for _, n := range sim.Nodes() {
		n.Kill()
	}
	m.wait("STATUS=0 live, 1 not reaching ZEGO")

	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the end of the reload", func() bool { return len(m.all("READY=1")) == 2 })
	if r := m.all("RELOADING=1"); len(r) != 1 || !strings.Contains(r[0].message, "\nMONOTONIC_USEC=") {
		t.Errorf("heard of the reload: %+v", r)
	}
	fed := m.all("WATCHDOG=1")
	for i := 1; i < len(fed); i++ {
		if gap := fed[i].at.Sub(fed[i-1].at); gap > watchdog {
			t.Errorf("the watchdog was not fed for %v", gap)
		}
	}
	if len(fed) < 3 {
		t.Errorf("the watchdog was fed %d times", len(fed))
	}

	if took := p.terminate(); took > shutdown+time.Second {
		t.Errorf("the end took %v", took)
	} else if took < shutdown-time.Second {
		t.Errorf("the end took only %v: nothing was left to deliver", took)
	}
	stopping := m.all("STOPPING=1")
	if len(stopping) != 1 || len(m.all("EXTEND_TIMEOUT_USEC=5000000")) < 3 {
		t.Errorf("heard of the drain: %+v", m.all("EXTEND"))
	}
	for _, line := range []string{"READY=1", "RELOADING=1", "STATUS="} {
		for _, h := range m.all(line) {
			if len(stopping) > 0 && h.at.After(stopping[0].at) {
				t.Errorf("after STOPPING=1: %q", h.message)
			}
		}
	}
}

// A second signal ends a drain that would take its time.
func TestE2ESecondSignal(t *testing.T) {
	t.Parallel()
	sim := startSim(t, &recorder{}, "")
	m := newManager(t, nil)
	p := m.launch(sim, "", nil, "ZEGORELAY_SHUTDOWN_TIMEOUT=10s")
	m.wait("READY=1")
	publish(t, "rtmp://"+p.addr+"/live/cam1")
	m.wait("STATUS=1 live")
	for _, n := range sim.Nodes() {
		n.Kill()
	}
	m.wait("STATUS=0 live, 1 not reaching ZEGO")
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	m.wait("EXTEND_TIMEOUT_USEC=5000000\nWATCHDOG=1") // it drains
	begun := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	p.code()
	if status := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("it ended with %v", p.cmd.ProcessState)
	}
	if took := time.Since(begun); took > 500*time.Millisecond {
		t.Errorf("the second signal took %v", took)
	}
}

// Sockets that systemd holds: who connects before the start is served after it, and
// the addresses of the configuration stay free.
func TestE2ESocketActivation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	writePair(t, cert, key, "localhost", time.Now())
	sim := startSim(t, &recorder{}, "")
	plain, second, secure, web := listenLocal(t), listenLocal(t), listenLocal(t), listenLocal(t)
	for name, ln := range map[string]net.Listener{"one": plain, "two": second} {
		publish(t, "rtmp://"+ln.Addr().String()+"/live/"+name)
	}
	m := newManager(t, nil)
	p := m.launch(sim, "rtmp:rtmps:rtmp:http", []net.Listener{plain, secure, second, web},
		"ZEGORELAY_RTMPS_LISTEN="+freeAddr(t), "ZEGORELAY_TLS_CERT="+cert, "ZEGORELAY_TLS_KEY="+key, "WATCHDOG_USEC=200000")
	m.wait("STATUS=2 live")
	resp, err := http.Get("http://" + web.Addr().String() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	nc, err := tls.Dial("tcp", secure.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	for _, addr := range []string{p.addr, p.http} {
		if nc, err := net.Dial("tcp", addr); err == nil {
			nc.Close()
			t.Errorf("it listens at %s, too", addr)
		}
	}
	waitFor(t, "the watchdog to be fed, by all loops", func() bool { return len(m.all("WATCHDOG=1")) > 3 })
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.cmd.Process.Pid))
	if err != nil || !strings.Contains(string(environment), "LISTEN_PID=") {
		t.Errorf("it was not started with sockets: %v\n%q", err, environment)
	}
	p.terminate()
}

// Sockets that can't be served are told of, and nobody is left waiting at one.
func TestE2ESocketsOfNoUse(t *testing.T) {
	t.Parallel()
	sim := startSim(t, &recorder{}, "")
	open, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	unix, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	for what, tc := range map[string]struct {
		names   string
		sockets []net.Listener
		says    string
	}{
		"a unit's own name": {"rtmp:zegorelay-http.socket", []net.Listener{listenLocal(t), listenLocal(t)},
			"the inherited socket zegorelay-http.socket has a name that means nothing here: write FileDescriptorName=rtmp, rtmps or http"},
		"an unknown name": {"rtmp:rmtp", []net.Listener{listenLocal(t), listenLocal(t)},
			"the inherited socket rmtp has a name that means nothing here: write FileDescriptorName=rtmp, rtmps or http"},
		"systemd's own name for it": {"zegorelay.socket", []net.Listener{listenLocal(t)}, "zegorelay.socket has a name that means nothing"},
		"no name":                   {"", []net.Listener{listenLocal(t)}, "LISTEN_FD_3 has a name that means nothing"},
		"no TCP":                    {"rtmp", []net.Listener{unix}, "rtmp doesn't listen for TCP"},
		"no certificate":            {"rtmps", []net.Listener{listenLocal(t)}, "rtmps has no certificate"},
		"two pages":                 {"http:http", []net.Listener{listenLocal(t), listenLocal(t)}, "http is there twice"},
		"a page for everybody":      {"http", []net.Listener{open}, "which others can reach, and there is no token"},
	} {
		m := newManager(t, nil)
		p := m.launch(sim, tc.names, tc.sockets)
		if code := p.code(); code != exitConfig || !strings.Contains(p.log.String(), tc.says) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s", what, code, exitConfig, tc.says, p.log)
		}
		if len(m.all("READY=1")) > 0 {
			t.Errorf("%s: it said that it is ready", what)
		}
	}
}

// The soft limit of descriptors is raised to the hard one (by Go's runtime), and one that is too low is
// told of.
func TestE2EDescriptors(t *testing.T) {
	t.Parallel()
	sim := startSim(t, &recorder{}, "")
	for limits, warned := range map[string]bool{
		"ulimit -Sn 300; ulimit -Hn 6000": false,
		"ulimit -n 2000":                  true,
	} {
		p := startWith(t, sim, []string{"sh", "-c", limits + `; exec "$@"`, "sh"})
		got, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		_, open, _ := strings.Cut(string(got), "Max open files")
		var soft, hard int
		if _, err := fmt.Sscan(open, &soft, &hard); err != nil || soft < hard-1 || hard > 6000 { // Go keeps one back
			t.Errorf("%s: soft and hard are %d and %d, %v", limits, soft, hard, err)
		}
		if is := strings.Contains(p.log.String(), "fewer file descriptors are allowed"); is != warned {
			t.Errorf("%s: the log says\n%s", limits, p.log)
		}
		p.terminate()
	}
}
