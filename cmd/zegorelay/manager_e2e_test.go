//go:build e2e

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
)

// manager stands in for systemd: it hands sockets over, hears what the service says,
// and keeps descriptors for the next process.
type manager struct {
	t      *testing.T
	socket *net.UnixConn
	env    []string

	onReady func() // called at once when the service says so
	isBusy  bool   // it leaves barriers open
	most    int    // descriptors that it keeps; 0: all
	isDeaf  bool   // to what it is to forget
	program string // that it starts; empty: the one under test

	mu    sync.Mutex
	heard []heard
	store []*os.File // their names are those of the store

	barriers []*os.File // that are open
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
	t.Cleanup(func() { socket.Close(); listener.Wait(); closeAll(m.store); closeAll(m.barriers); os.RemoveAll(dir) })
	return m
}

func (m *manager) listen() {
	message, rights := make([]byte, 4096), make([]byte, 4096)
	for {
		n, r, _, _, err := m.socket.ReadMsgUnix(message, rights)
		if err != nil {
			return
		}
		h := heard{time.Now(), string(message[:n])}
		if m.onReady != nil && strings.HasPrefix(h.message, "READY=1") {
			m.onReady()
		}
		m.mu.Lock()
		m.heard = append(m.heard, h)
		m.keep(h.message, rights[:r])
		m.mu.Unlock()
	}
}

// keep does what systemd does with descriptors.
func (m *manager) keep(message string, rights []byte) {
	lines := strings.Split(message, "\n")
	name := ""
	for _, line := range lines {
		if is, ok := strings.CutPrefix(line, "FDNAME="); ok {
			name = is
		}
	}
	var files []*os.File
	messages, _ := syscall.ParseSocketControlMessage(rights)
	for i := range messages {
		fds, _ := syscall.ParseUnixRights(&messages[i])
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), name))
		}
	}
	switch lines[0] {
	case "FDSTORE=1":
		for _, f := range files {
			if m.most > 0 && len(m.store) == m.most {
				f.Close()
				continue
			}
			m.store = append(m.store, f)
		}
		return
	case "FDSTOREREMOVE=1":
		if m.isDeaf {
			break
		}
		m.store = slices.DeleteFunc(m.store, func(f *os.File) bool {
			if f.Name() == name {
				f.Close()
			}
			return f.Name() == name
		})
	case "BARRIER=1":
		if m.isBusy {
			m.barriers = append(m.barriers, files...)
			return
		}
	}
	closeAll(files)
}

// bus is the address of a D-Bus at which systemd has a job for whoever asks, and this store.
func (m *manager) bus(job string) string {
	m.t.Helper()
	return bus{job: job, policy: "always", stored: func() uint32 {
		m.mu.Lock()
		defer m.mu.Unlock()
		return uint32(len(m.store))
	}}.listen(m.t)
}

// hears has the manager hear what it is to forget, or not.
func (m *manager) hears(it bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.isDeaf = !it
}

// stored counts what the store has, by name.
func (m *manager) stored() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[string]int)
	for _, f := range m.store {
		all[f.Name()]++
	}
	return all
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
	}, append(env, m.env...)...))
	var named []string
	if names != "" || len(sockets) > 0 {
		named = append(named, names)
	}
	if m.program != "" {
		p.cmd.Path = m.program
	}
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
	m.mu.Lock()
	// Behind the sockets, and systemd keeps them until it is told otherwise.
	for _, file := range m.store {
		named = append(named, file.Name())
		p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, file)
	}
	defer m.mu.Unlock() // after the start
	p.cmd.Env = append(p.cmd.Env, "LISTEN_FDNAMES="+strings.Join(named, ":"), fmt.Sprintf("LISTEN_FDS=%d", len(p.cmd.ExtraFiles)))
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

// keepForTest does what a message says.
func (m *manager) keepForTest(message string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keep(message, nil)
}

// keepFile has the store keep something by a name.
func (m *manager) keepFile(t *testing.T, name string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	fd, err := syscall.Dup(int(r.Fd()))
	if r.Close(); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.store = append(m.store, os.NewFile(uintptr(fd), name))
}
