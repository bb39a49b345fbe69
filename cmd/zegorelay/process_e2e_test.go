//go:build e2e

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
)

const (
	e2eAppID  = 1234567890
	e2eSecret = "00112233445566778899aabbccddeeff"
)

// binary builds zegorelay once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "zegorelay")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "zegorelay")
	out, err := exec.Command("go", "build", "-o", file, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return file, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if file, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(file))
	}
	os.Exit(code)
}

// process is a running zegorelay.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
	http string
	log  *lockedBuffer
	done chan error
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// command is zegorelay with an environment of nothing but env.
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	file, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(file, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	return cmd
}

// start runs zegorelay against a stand-in and waits until it is ready.
func start(t *testing.T, sim *zegosim.Sim, env ...string) *process {
	t.Helper()
	return startWith(t, sim, nil, env...)
}

// startWith is start with a command line in front of zegorelay's own.
func startWith(t *testing.T, sim *zegosim.Sim, front []string, env ...string) *process {
	t.Helper()
	p := &process{t: t, addr: freeAddr(t), http: freeAddr(t), log: &lockedBuffer{}, done: make(chan error, 1)}
	env = append([]string{
		fmt.Sprintf("ZEGORELAY_APP_ID=%d", e2eAppID),
		"ZEGORELAY_SERVER_SECRET=" + e2eSecret,
		"ZEGORELAY_API_URL=" + sim.URL(),
		"ZEGORELAY_NODE_ALLOW=127.0.0.0/8",
		"ZEGORELAY_RTMP_LISTEN=" + p.addr,
		"ZEGORELAY_HTTP_LISTEN=" + p.http,
	}, env...)
	p.cmd = command(t, env, "run")
	if len(front) > 0 {
		args := append(front, p.cmd.Args...)
		p.cmd.Path, p.cmd.Args = "/usr/bin/env", append([]string{"env"}, args...)
	}
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	waitFor(t, "zegorelay to be ready", func() bool {
		return command(t, env, "healthcheck").Run() == nil
	})
	return p
}

// terminate sends SIGTERM and returns how long the end took.
func (p *process) terminate() time.Duration {
	p.t.Helper()
	begun := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-p.done:
		if err != nil {
			p.t.Errorf("after SIGTERM: %v\n%s", err, p.log)
		}
	case <-time.After(15 * time.Second):
		p.t.Errorf("SIGTERM doesn't end it\n%s", p.log)
	}
	return time.Since(begun)
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("in vain waited for %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}
