//go:build e2e

package main

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"zegorelay/dispatch/zegosim"
)

// startLive starts a process, and an encoder that is live by it.
func startLive(t *testing.T, sim *zegosim.Sim, audit *zegosim.Audit) (*process, *encoder) {
	t.Helper()
	p := start(t, sim)
	e := startEncoder(t, "rtmp://"+p.addr+"/live/cam1", audit.Sent)
	waitFor(t, "the stream", func() bool { _, ok := current(sim, "cam1"); return ok })
	return p, e
}

// takeOver starts a process that takes over from another.
func takeOver(t *testing.T, sim *zegosim.Sim, p *process, env ...string) *process {
	t.Helper()
	next := &process{t: t, addr: p.addr, http: p.http, log: &lockedBuffer{}, done: make(chan error, 1)}
	next.cmd = command(t, append([]string{
		fmt.Sprintf("ZEGORELAY_APP_ID=%d", e2eAppID),
		"ZEGORELAY_SERVER_SECRET=" + e2eSecret,
		"ZEGORELAY_API_URL=" + sim.URL(),
		"ZEGORELAY_NODE_ALLOW=127.0.0.0/8",
		"ZEGORELAY_RTMP_LISTEN=" + p.addr,
		"ZEGORELAY_HTTP_LISTEN=" + p.http,
	}, env...), "run", "--take-over")
	next.cmd.Stderr = next.log
	if err := next.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { next.done <- next.cmd.Wait() }()
	t.Cleanup(func() { _ = next.cmd.Process.Kill() })
	return next
}

// run --take-over, three times, while an encoder is live.
func TestE2ETakeOver(t *testing.T) {
	t.Parallel()
	sim, audit := onAir(t, "cam1")
	p, e := startLive(t, sim, audit)
	for range 3 {
		next := takeOver(t, sim, p)
		if code := p.code(); code != exitOK || !strings.Contains(p.log.String(), "handed over all connections") {
			t.Fatalf("exit code %d\n%s\n%s", code, p.log, next.log)
		}
		p = next
		waitFor(t, "the next process", func() bool { return strings.Contains(p.log.String(), "zegorelay is ready") })
	}
	e.end(t)
	whole(t, sim, audit)
	if n := len(sim.Sessions()); n != 1 {
		t.Errorf("%d sessions with nodes", n)
	}
	p.terminate()
}

// The manager of a process that is taken over hears of its end when that is certain, and
// that it lives until then.
func TestE2ETakeOverFromAService(t *testing.T) {
	t.Parallel()
	sim, _ := onAir(t, "cam1")
	m := newManager(t, nil)
	p := m.launch(sim, "", nil, "WATCHDOG_USEC=1000000")
	m.wait("READY=1")
	publish(t, "rtmp://"+p.addr+"/live/cam1")
	m.wait("STATUS=1 live")
	taken := takeOver(t, sim, p, "ZEGORELAY_HTTP_LISTEN="+listenLocal(t).Addr().String())
	taken.code()
	waitFor(t, "it to go on", func() bool { return strings.Contains(p.log.String(), "hand-over failed: this process goes on") })
	if n := len(m.all("STOPPING=1")); n > 0 {
		t.Errorf("STOPPING=1 was heard, and it goes on")
	}
	fed := len(m.all("WATCHDOG=1"))
	waitFor(t, "the watchdog to be fed", func() bool { return len(m.all("WATCHDOG=1")) > fed+2 })
	next := takeOver(t, sim, p)
	if code := p.code(); code != exitOK || len(m.all("STOPPING=1")) != 1 {
		t.Errorf("exit code %d, STOPPING=1 was heard %d times", code, len(m.all("STOPPING=1")))
	}
	waitFor(t, "the next process", func() bool { return strings.Contains(next.log.String(), "zegorelay is ready") })
	next.terminate()
}

// Who can't take over leaves everything to the process that runs.
func TestE2ETakeOverFails(t *testing.T) {
	t.Parallel()
	sim, audit := onAir(t, "cam1")
	p, e := startLive(t, sim, audit)

	nobody := takeOver(t, sim, &process{addr: freeAddr(t), http: freeAddr(t)})
	if code := nobody.code(); code != exitFailed || !strings.Contains(nobody.log.String(), "start without --take-over") {
		t.Errorf("nobody there: exit code %d\n%s", code, nobody.log)
	}
	wrong := takeOver(t, sim, p, "ZEGORELAY_APP_ID=none")
	if code := wrong.code(); code != exitConfig || strings.Contains(p.log.String(), "takes over") {
		t.Errorf("a wrong configuration: exit code %d\n%s", code, p.log)
	}
	taken := takeOver(t, sim, p, "ZEGORELAY_HTTP_LISTEN="+listenLocal(t).Addr().String())
	if code := taken.code(); code != exitFailed {
		t.Errorf("an address that is taken: exit code %d\n%s", code, taken.log)
	}
	waitFor(t, "it to go on", func() bool { return strings.Contains(p.log.String(), "hand-over failed: this process goes on") })
	before := audit.Report().Arrived
	waitFor(t, "more to arrive", func() bool { return audit.Report().Arrived > before+20 })

	next := takeOver(t, sim, p) // now it works
	if code := p.code(); code != exitOK {
		t.Errorf("exit code %d\n%s", code, p.log)
	}
	waitFor(t, "the next process", func() bool { return strings.Contains(next.log.String(), "zegorelay is ready") })
	e.end(t)
	whole(t, sim, audit)
	next.terminate()
}

// An heir that hangs before it has said that it goes on can't do so later.
func TestE2ETakeOverHangs(t *testing.T) {
	t.Parallel()
	sim, audit := onAir(t, "cam1")
	p, e := startLive(t, sim, audit)
	conn, err := visit(&net.UnixAddr{Name: fmt.Sprintf("@zegorelay/%d/%s", syscall.Getuid(), p.addr), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, request)
	waitFor(t, "it to go on", func() bool { return strings.Contains(p.log.String(), "hand-over failed: this process goes on") })
	before := audit.Report().Arrived
	waitFor(t, "more to arrive", func() bool { return audit.Report().Arrived > before+20 })
	if _, err := fmt.Fprintln(conn, mine); err == nil {
		t.Errorf("it could still say that it goes on")
	}
	e.end(t)
	p.terminate()
}
