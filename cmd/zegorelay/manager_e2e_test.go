//go:build e2e

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
)

// manager stands in for systemd: it hands sockets over, and hears what the service
// says.
type manager struct {
	t      *testing.T
	socket *net.UnixConn
	env    []string

	onReady func() // called at once when the service says so

	mu    sync.Mutex
	heard []heard
}

type heard struct {
	at      time.Time
	message string // its lines
}

func newManager(t *testing.T, onReady func()) *manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "manager") // the name of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	addr := &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"}
	socket, err := net.ListenUnixgram("unixgram", addr)
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{t: t, socket: socket, env: []string{"NOTIFY_SOCKET=" + addr.Name}, onReady: onReady}
	var listener sync.WaitGroup
	listener.Go(m.listen)
	t.Cleanup(func() { socket.Close(); listener.Wait(); os.RemoveAll(dir) })
	return m
}

func (m *manager) listen() {
	message := make([]byte, 4096)
	for {
		n, err := m.socket.Read(message)
		if err != nil {
			return
		}
		h := heard{time.Now(), string(message[:n])}
		if m.onReady != nil && strings.HasPrefix(h.message, "READY=1") {
			m.onReady()
		}
		m.mu.Lock()
		m.heard = append(m.heard, h)
		m.mu.Unlock()
	}
}

// all is what was heard that has a line which begins so.
func (m *manager) all(line string) []heard {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []heard
	for _, h := range m.heard {
		if strings.Contains("\n"+h.message, "\n"+line) {
			all = append(all, h)
		}
	}
	return all
}

func (m *manager) wait(line string) {
	m.t.Helper()
	waitFor(m.t, line, func() bool { return len(m.all(line)) > 0 })
}

// launch starts zegorelay as systemd does, with sockets by name ("rtmp:http"). The
// shell is there since the variable names the process that is meant, which nobody
// knows before it is there.
func (m *manager) launch(sim *zegosim.Sim, names string, sockets []net.Listener, env ...string) *process {
	m.t.Helper()
	p := &process{t: m.t, addr: freeAddr(m.t), http: freeAddr(m.t), log: &lockedBuffer{}, done: make(chan error, 1)}
	p.cmd = command(m.t, append([]string{
		fmt.Sprintf("ZEGORELAY_APP_ID=%d", e2eAppID),
		"ZEGORELAY_SERVER_SECRET=" + e2eSecret,
		"ZEGORELAY_API_URL=" + sim.URL(),
		"ZEGORELAY_NODE_ALLOW=127.0.0.0/8",
		"ZEGORELAY_RTMP_LISTEN=" + p.addr,
		"ZEGORELAY_HTTP_LISTEN=" + p.http,
		"LISTEN_FDNAMES=" + names,
		fmt.Sprintf("LISTEN_FDS=%d", len(sockets)),
	}, append(env, m.env...)...))
	p.cmd.Args = []string{"sh", "-c", `LISTEN_PID=$$ exec "$0" run`, p.cmd.Path}
	p.cmd.Path = "/bin/sh"
	for _, ln := range sockets {
		file, err := ln.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			m.t.Fatal(err)
		}
		defer file.Close()
		p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, file)
	}
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	m.t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// code waits for the end and returns the exit code.
func (p *process) code() int {
	p.t.Helper()
	select {
	case err := <-p.done:
		if err != nil && !errors.As(err, new(*exec.ExitError)) {
			p.t.Fatal(err)
		}
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(15 * time.Second):
		p.t.Fatalf("it doesn't end\n%s", p.log)
		return 0
	}
}
