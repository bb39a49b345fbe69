package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Relays that are compared. Direct is none: what the bench itself costs.
const (
	zegorelay = "zegorelay"
	nginxRTMP = "nginx-rtmp"
	tcpProxy  = "tcp-proxy"
)

// relay is one of them, running as a process of its own on a core of its own.
type relay struct {
	name string
	addr string
	pid  int
	http string // address of its metrics; empty: it has none
	said output
	stop func()
}

// output keeps what a process says.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.text.Bytes())
}

// url is where a stream is published to a relay.
func (r *relay) url(number int) string { return fmt.Sprintf("rtmp://%s/live/s%d", r.addr, number) }

// start runs a relay that forwards to a sink.
func (b *bench) start(name string, to *sink) (*relay, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	r := &relay{name: name, addr: addr}
	switch name {
	case zegorelay:
		err = b.startZegorelay(r, to)
	case nginxRTMP:
		err = b.startNginx(r, to)
	case tcpProxy:
		err = b.launch(r, exec.Command(b.self, "proxy", addr, to.addr()))
	}
	if err != nil {
		return nil, err
	}
	for range 500 {
		nc, err := net.Dial("tcp", addr)
		if err == nil {
			_ = nc.Close()
			return r, nil
		}
		<-time.After(10 * time.Millisecond)
	}
	r.stop()
	return nil, fmt.Errorf("%s doesn't listen:\n%s", name, r.said.bytes())
}

// launch runs a command on the relays' core.
func (b *bench) launch(r *relay, cmd *exec.Cmd) error {
	cmd.Args = append([]string{"taskset", "-c", b.relayCPU, cmd.Path}, cmd.Args[1:]...)
	var err error
	if cmd.Path, err = exec.LookPath("taskset"); err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = &r.said, &r.said
	if err := cmd.Start(); err != nil {
		return err
	}
	r.pid = cmd.Process.Pid // taskset becomes the command
	r.stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
	}
	return nil
}

// startZegorelay runs the relay of this project, with a stub of ZEGO's API that
// names the sink.
func (b *bench) startZegorelay(r *relay, to *sink) error {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		fmt.Fprintf(w, `{"Code":0,"Message":"ok","RequestId":"1","Data":["rtmp://%s/1/%s"]}`, to.addr(), q.URL.Query().Get("StreamId"))
	}))
	var err error
	if r.http, err = freeAddr(); err != nil {
		return err
	}
	cmd := exec.Command(b.binary, "run")
	cmd.Env = append(os.Environ(),
		"ZEGORELAY_APP_ID=1",
		"ZEGORELAY_SERVER_SECRET="+strings.Repeat("0", 32),
		"ZEGORELAY_API_URL="+api.URL,
		"ZEGORELAY_NODE_ALLOW=127.0.0.0/8",
		"ZEGORELAY_RTMP_LISTEN="+r.addr,
		"ZEGORELAY_HTTP_LISTEN="+r.http,
		"ZEGORELAY_DISPATCH_RATE=40",
		"ZEGORELAY_LOG_LEVEL=warn",
		"ZEGORELAY_PLAY_ALLOW=loopback",
		"GODEBUG=gctrace=1",
	)
	if err := b.launch(r, cmd); err != nil {
		api.Close()
		return err
	}
	end := r.stop
	r.stop = func() {
		end()
		api.Close()
	}
	return nil
}

const nginxConfig = `daemon off; master_process off; worker_processes 1; pid %[1]s/pid; error_log stderr warn;
load_module %[2]s;
events { worker_connections 8192; }
rtmp { access_log off; server { listen %[3]s; chunk_size 4096;
	application live { live on; push rtmp://%[4]s/1; } } }
`

func (b *bench) startNginx(r *relay, to *sink) error {
	dir, err := os.MkdirTemp(b.dir, "nginx")
	if err != nil {
		return err
	}
	config := filepath.Join(dir, "conf")
	text := fmt.Sprintf(nginxConfig, dir, nginxModule, r.addr, to.addr())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	return b.launch(r, exec.Command(nginxBinary, "-c", config, "-p", dir, "-e", filepath.Join(dir, "early")))
}

const (
	nginxBinary = "/usr/sbin/nginx"
	nginxModule = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
)

// proxy is the plain TCP proxy: what any forwarding in Go must cost.
func proxy(listen, to string) error {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	for {
		in, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer in.Close()
			out, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			defer out.Close()
			go func() {
				_, _ = io.Copy(in, out)
				_ = in.Close()
			}()
			_, _ = io.Copy(out, in)
		}()
	}
}

func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// build makes the program that is measured.
func (b *bench) build() error {
	b.binary = filepath.Join(b.dir, "zegorelay")
	out, err := exec.Command("go", "build", "-o", b.binary, "zegorelay/cmd/zegorelay").CombinedOutput()
	if err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	return nil
}
