//go:build e2e

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zegorelay/cmd/zegorelay/testcard"
	"zegorelay/relay/rtmp"
)

// Flags of the test binary: scripts/restarts sets them.
var (
	restarts       = flag.Int("restarts", 3, "how often the daemon is restarted while streams are live, and killed")
	restartStreams = flag.Int("restarts.streams", 5, "of how many numbered encoders")
	restartGap     = flag.Duration("restarts.gap", 0, "the longest pause at a node, of 99 in 100; 0: it is only told")
)

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
		p = m.again(s.sim, p, i+2, env...)
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
		p = m.again(s.sim, p, i+2, env...)
		if log := p.log.String(); !strings.Contains(log, "goes on where the process before has stopped") || strings.Contains(log, "could not be read") {
			t.Errorf("the log says\n%s", log)
		}
		<-time.After(300 * time.Millisecond)
	}
	e.end(t)
	s.isComplete(t, "cam1")
	p.terminate()
}
