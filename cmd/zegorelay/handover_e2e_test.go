//go:build e2e

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zegorelay/cmd/zegorelay/testcard"
	"zegorelay/dispatch/zegosim"
	"zegorelay/relay/rtmp"
)

// encoder publishes the test card, and must not notice anything.
type encoder struct {
	stop context.CancelFunc
	err  chan error
}

func startEncoder(t *testing.T, rawURL string, sent func(rtmp.Message)) *encoder {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	e := &encoder{stop: stop, err: make(chan error, 1)}
	var work sync.WaitGroup
	work.Go(func() { e.err <- testcard.Publish(ctx, rtmp.Dialer{}, rawURL, sent) })
	t.Cleanup(func() { stop(); work.Wait() })
	return e
}

// end ends the encoder, which until then has been there all the time.
func (e *encoder) end(t *testing.T) {
	t.Helper()
	select {
	case err := <-e.err:
		t.Errorf("the encoder ended: %v", err)
		return
	default:
	}
	e.stop()
	if err := <-e.err; err != nil {
		t.Errorf("the encoder: %v", err)
	}
}

// onAir is a stand-in for ZEGO that audits a stream.
func onAir(t *testing.T, stream string) (*zegosim.Sim, *zegosim.Audit) {
	t.Helper()
	audit := zegosim.NewAudit()
	sim, err := zegosim.Start(zegosim.Options{AppID: e2eAppID, Secret: e2eSecret, Nodes: 3, Observe: func(e zegosim.Event) {
		if e.StreamID == stream && e.Kind == zegosim.MessageReceived {
			audit.Received(e.Session, e.Message)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	return sim, audit
}

// whole checks that one session has had everything, once.
func whole(t *testing.T, sim *zegosim.Sim, audit *zegosim.Audit) {
	t.Helper()
	waitFor(t, "all to arrive", func() bool { r := audit.Report(); return r.Missing+r.Pending == 0 })
	r := audit.Report()
	if r.Sessions != 1 || r.Repeated > 0 || len(r.Violations) > 0 || r.Sent == 0 {
		t.Errorf("the node got %+v", r)
	}
	if v := sim.Violations(); len(v) > 0 {
		t.Errorf("violations: %q", v)
	}
}

// live starts a process that is to be restarted, with what it is started with, and an
// encoder that is live by it.
func (m *manager) live(sim *zegosim.Sim, audit *zegosim.Audit) (p *process, e *encoder, env []string) {
	m.t.Helper()
	env = []string{"FDSTORE=32", "DBUS_SYSTEM_BUS_ADDRESS=" + m.bus("restart")}
	p = m.launch(sim, "", nil, env...)
	m.wait("READY=1")
	e = startEncoder(m.t, "rtmp://"+p.addr+"/live/cam1", audit.Sent)
	m.wait("STATUS=1 live")
	return p, e, env
}

// again starts the next process as the one before was, and waits until it is ready, as
// the nth in all.
func (m *manager) again(sim *zegosim.Sim, p *process, nth int, env ...string) *process {
	m.t.Helper()
	next := m.launch(sim, "", nil, append(env, "ZEGORELAY_RTMP_LISTEN="+p.addr, "ZEGORELAY_HTTP_LISTEN="+p.http)...)
	next.addr, next.http = p.addr, p.http
	waitFor(m.t, "the next process", func() bool { return len(m.all("READY=1")) == nth })
	return next
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// systemctl restart, three times, while an encoder is live: nobody notices, and nothing
// is lost or sent twice. Who connects meanwhile waits.
func TestE2ERestartOnAir(t *testing.T) {
	t.Parallel()
	sim, audit := onAir(t, "cam1")
	m := newManager(t, nil)
	p, e, env := m.live(sim, audit)
	for i := range 3 {
		p.signal(syscall.SIGTERM)
		if code := p.code(); code != exitOK {
			t.Fatalf("exit code %d\n%s", code, p.log)
		}
		if got := fmt.Sprint(m.stored()); got != "map[zegorelay-connections:1 zegorelay-listener:2 zegorelay-state:1]" {
			t.Fatalf("systemd has %s\n%s", got, p.log)
		}
		waits, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatalf("an encoder that connects meanwhile: %v", err)
		}
		waits.Close()
		if n := len(m.all("STOPPING=1")); n != i+1 {
			t.Errorf("STOPPING=1 was heard %d times", n)
		}
		p = m.again(sim, p, i+2, env...)
		if got := m.stored(); len(got) > 0 {
			t.Errorf("systemd still has %v", got)
		}
	}
	resp, err := http.Get("http://" + p.http + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	e.end(t)
	whole(t, sim, audit)
	if n := len(sim.Sessions()); n != 1 {
		t.Errorf("%d sessions with nodes", n)
	}
}

// A socket that systemd holds is not left in the store: it comes again by itself.
func TestE2ERestartOnAirWithSockets(t *testing.T) {
	t.Parallel()
	sim, audit := onAir(t, "cam1")
	m := newManager(t, nil)
	held := []net.Listener{listenLocal(t)}
	env := []string{"FDSTORE=32", "DBUS_SYSTEM_BUS_ADDRESS=" + m.bus("restart"), "ZEGORELAY_HTTP_LISTEN=" + freeAddr(t)}
	p := m.launch(sim, "rtmp", held, env...)
	m.wait("READY=1")
	e := startEncoder(t, "rtmp://"+held[0].Addr().String()+"/live/cam1", audit.Sent)
	m.wait("STATUS=1 live")
	p.terminate()
	if got := fmt.Sprint(m.stored()); got != "map[zegorelay-connections:1 zegorelay-listener:1 zegorelay-state:1]" {
		t.Fatalf("systemd has %s\n%s", got, p.log)
	}
	p = m.launch(sim, "rtmp", held, env...)
	waitFor(t, "the next process", func() bool { return len(m.all("READY=1")) == 2 })
	publish(t, "rtmp://"+held[0].Addr().String()+"/live/cam2")
	m.wait("STATUS=2 live")
	e.end(t)
	whole(t, sim, audit)
	p.terminate()
}

// The next process has another address, at which the one before still seems to listen.
func TestE2ERestartOnAirElsewhere(t *testing.T) {
	t.Parallel()
	sim, audit := onAir(t, "cam1")
	m := newManager(t, nil)
	p, e, env := m.live(sim, audit)
	p.terminate()
	_, port, _ := net.SplitHostPort(p.addr)
	p = m.launch(sim, "", nil, append(env, "ZEGORELAY_RTMP_LISTEN=0.0.0.0:"+port)...)
	waitFor(t, "the next process", func() bool { return len(m.all("READY=1")) == 2 })
	e.end(t)
	whole(t, sim, audit)
	p.terminate()
}

// systemctl stop: everything ends in order, and the store stays empty.
func TestE2EStopOnAir(t *testing.T) {
	t.Parallel()
	sim, _ := onAir(t, "cam1")
	m := newManager(t, nil)
	p := m.launch(sim, "", nil, "FDSTORE=32", "DBUS_SYSTEM_BUS_ADDRESS="+m.bus("stop"))
	m.wait("READY=1")
	publish(t, "rtmp://"+p.addr+"/live/cam1")
	m.wait("STATUS=1 live")
	p.terminate()
	if got := m.stored(); len(got) > 0 || len(m.all("FDSTORE=1")) > 0 {
		t.Errorf("systemd has %v", got)
	}
	if s := sim.Sessions(); len(s) != 1 || !s[0].Clean {
		t.Errorf("sessions: %+v", s)
	}
}

// A store that is too small: the streams are drained, which systemd is told of.
func TestE2ETheStoreIsTooSmall(t *testing.T) {
	t.Parallel()
	sim, audit := onAir(t, "cam1")
	m := newManager(t, nil)
	p := m.launch(sim, "", nil, "FDSTORE=3", "DBUS_SYSTEM_BUS_ADDRESS="+m.bus("restart"))
	m.wait("READY=1")
	startEncoder(t, "rtmp://"+p.addr+"/live/cam1", audit.Sent)
	m.wait("STATUS=1 live")
	p.terminate()
	if !strings.Contains(p.log.String(), "4 descriptors are too many for systemd's store of 3") {
		t.Errorf("the log says\n%s", p.log)
	}
	if len(m.all("FDSTORE=1")) > 0 || len(m.all("STOPPING=1")) != 1 {
		t.Errorf("systemd has heard %+v", m.heard)
	}
	if s := sim.Sessions(); len(s) != 1 || !s[0].Clean {
		t.Errorf("sessions: %+v", s)
	}
	if r := audit.Report(); r.Repeated > 0 || len(r.Violations) > 0 {
		t.Errorf("the node got %+v", r)
	}
}

// A manager that doesn't say that it has everything is waited for, but not for long.
func TestE2EABusyManager(t *testing.T) {
	t.Parallel()
	sim, _ := onAir(t, "cam1")
	m := newManager(t, nil)
	m.isBusy = true
	p := m.launch(sim, "", nil, "FDSTORE=32", "DBUS_SYSTEM_BUS_ADDRESS="+m.bus("restart"))
	m.wait("READY=1")
	p.terminate()
	if !strings.Contains(p.log.String(), "systemd didn't say that it has the connections") || m.stored()[storedState] != 1 {
		t.Errorf("the store has %v, the log says\n%s", m.stored(), p.log)
	}
}

// A second signal ends a hand-over, too.
func TestE2ESecondSignalInAHandOver(t *testing.T) {
	t.Parallel()
	sim, _ := onAir(t, "cam1")
	m := newManager(t, nil)
	m.isBusy = true
	p := m.launch(sim, "", nil, "FDSTORE=32", "DBUS_SYSTEM_BUS_ADDRESS="+m.bus("restart"))
	m.wait("READY=1")
	p.signal(syscall.SIGTERM)
	m.wait("BARRIER=1")
	begun := time.Now()
	p.signal(syscall.SIGTERM)
	p.code()
	if status := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || time.Since(begun) > time.Second {
		t.Errorf("it ended with %v after %v", p.cmd.ProcessState, time.Since(begun))
	}
}

// systemd has kept less than it said: the streams are drained, and nothing stays behind.
func TestE2EStoreDrops(t *testing.T) {
	t.Parallel()
	sim, _ := onAir(t, "cam1")
	m := newManager(t, nil)
	m.most = 3
	p := m.launch(sim, "", nil, "FDSTORE=32", "DBUS_SYSTEM_BUS_ADDRESS="+m.bus("restart"))
	m.wait("READY=1")
	publish(t, "rtmp://"+p.addr+"/live/cam1")
	m.wait("STATUS=1 live")
	p.terminate()
	if !strings.Contains(p.log.String(), "it has kept 3 descriptors of 4") || len(m.stored()) > 0 {
		t.Errorf("the store has %v, the log says\n%s", m.stored(), p.log)
	}
	if s := sim.Sessions(); len(s) != 1 || !s[0].Clean {
		t.Errorf("sessions: %+v", s)
	}
}

// An address of the next process is taken when it starts: everything is there for the one
// after that, and no encoder notices. So it is with what an earlier version, or a later one,
// has left.
func TestE2ERestartOnAirFailsOnce(t *testing.T) {
	t.Parallel()
	sim, audit := onAir(t, "cam1")
	m := newManager(t, nil)
	p, e, env := m.live(sim, audit)
	p.terminate()
	m.keepFile(t, storedPrefix+"other")
	taken := []string{"ZEGORELAY_RTMP_LISTEN=" + p.addr, "ZEGORELAY_HTTP_LISTEN=" + listenLocal(t).Addr().String()}
	for range 2 {
		next := m.launch(sim, "", nil, append(taken, env...)...)
		if code := next.code(); code != exitFailed || !strings.Contains(next.log.String(), "address already in use") {
			t.Fatalf("exit code %d\n%s", code, next.log)
		}
		// The address of the page has changed: that listener is closed.
		if got := fmt.Sprint(m.stored()); got != "map[zegorelay-connections:1 zegorelay-listener:1 zegorelay-state:1]" {
			t.Fatalf("systemd has %s\n%s", got, next.log)
		}
	}
	p = m.again(sim, p, 2, env...)
	if got := m.stored(); len(got) > 0 {
		t.Errorf("systemd still has %v", got)
	}
	before := audit.Report().Arrived
	waitFor(t, "more to arrive", func() bool { return audit.Report().Arrived > before+20 })
	e.end(t)
	whole(t, sim, audit)
	p.terminate()
}

// A manager that doesn't hear that it is to forget gives everything away again, to a
// process that comes after the one which went on with it has been killed: nothing of it
// goes on twice.
func TestE2EStoreIsStale(t *testing.T) {
	t.Parallel()
	sim, audit := onAir(t, "cam1")
	m := newManager(t, nil)
	p, e, env := m.live(sim, audit)
	p.terminate()
	m.hears(false)
	p = m.again(sim, p, 2, env...)
	before := audit.Report().Arrived
	waitFor(t, "more to arrive", func() bool { return audit.Report().Arrived > before+20 })
	p.signal(syscall.SIGKILL)
	p.code()
	m.hears(true)
	p = m.again(sim, p, 3, env...)
	select {
	case <-e.err: // whose connection the killed one had
	case <-time.After(10 * time.Second):
		t.Errorf("the encoder is still there")
	}
	if !strings.Contains(p.log.String(), "they can't be received") || len(m.stored()) > 0 {
		t.Errorf("the store has %v, the log says\n%s", m.stored(), p.log)
	}
	if n := len(sim.Sessions()); n != 1 {
		t.Errorf("%d sessions with nodes", n)
	}
	p.terminate()
}

// What a process that died has left is of no use without its state: it is closed.
func TestE2EConnectionsWithoutAState(t *testing.T) {
	t.Parallel()
	sim, audit := onAir(t, "cam1")
	m := newManager(t, nil)
	p, e, env := m.live(sim, audit)
	p.terminate()
	m.keepForTest("FDSTOREREMOVE=1\nFDNAME=" + storedState)
	p = m.again(sim, p, 2, env...)
	select {
	case <-e.err:
	case <-time.After(10 * time.Second):
		t.Errorf("the encoder is still there")
	}
	if !strings.Contains(p.log.String(), "connections of the process before were closed") || len(m.stored()) > 0 {
		t.Errorf("the store has %v, the log says\n%s", m.stored(), p.log)
	}
	p.terminate()
}
