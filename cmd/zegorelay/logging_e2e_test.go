//go:build e2e

package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"zegorelay/cmd/zegorelay/testcard"
	"zegorelay/dispatch/zegosim"
	"zegorelay/relay/rtmp"
)

// Standard error is a pipe that is full, or has lost its reader: all of a stream gets
// through, a node's death included, and SIGTERM ends the program with 0.
func TestE2ELogWithoutReader(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(t *testing.T, reader, writer *os.File){
		"a full pipe":           fill,
		"a pipe without reader": func(_ *testing.T, reader, writer *os.File) { reader.Close(); writer.Close() },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(t.TempDir(), "log")
			if err := syscall.Mkfifo(name, 0o600); err != nil {
				t.Fatal(err)
			}
			reader := open(t, name, os.O_RDONLY)
			writer := open(t, name, os.O_WRONLY)
			audit := zegosim.NewAudit()
			sim, err := zegosim.Start(zegosim.Options{AppID: e2eAppID, Secret: e2eSecret, Nodes: 3, Observe: observe(audit)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { sim.Close() })
			p := startWith(t, sim, []string{"sh", "-c", `exec "$@" 2>` + name, "sh"}, "ZEGORELAY_LOG_LEVEL=trace")
			spoil(t, reader, writer)
			for range 20 { // a line each
				if nc, err := net.Dial("tcp", p.addr); err == nil {
					nc.Close()
				}
			}

			ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
			defer cancel()
			killed := time.AfterFunc(3*time.Second, func() {
				if s, ok := current(sim, demoKey); ok {
					sim.NodeAt(s.Node).Kill()
				}
			})
			defer killed.Stop()
			if err := testcard.Publish(ctx, rtmp.Dialer{}, "rtmp://"+p.addr+"/live/"+demoKey, audit.Sent); err != nil {
				t.Errorf("the encoder ended with %v", err)
			}
			took := p.terminate()
			if took > 5*time.Second {
				t.Errorf("the end took %v", took)
			}
			r := audit.Report()
			if r.Arrived == 0 || r.Sessions < 2 || r.Missing+r.Pending > 0 || len(r.Violations) > 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// open opens one end of a FIFO without waiting for the other.
func open(t *testing.T, name string, flag int) *os.File {
	t.Helper()
	file, err := os.OpenFile(name, flag|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// fill writes to a pipe until nothing goes in any more.
func fill(t *testing.T, _, writer *os.File) {
	t.Helper()
	if err := writer.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for size := 4096; size > 0; size /= 2 {
		for {
			_, err := writer.Write(make([]byte, size))
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
