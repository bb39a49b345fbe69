package relay_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"zegorelay/relay"
	"zegorelay/relay/rtmp"
)

// thinLink carries bytes to an address at a rate, with as little as the kernel
// allows in its buffers.
func thinLink(t *testing.T, to string, bytesASecond int) (dial rtmp.DialFunc) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			_ = in.(*net.TCPConn).SetReadBuffer(64 << 10)
			go carry(in, to, bytesASecond)
		}
	}()
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, ln.Addr().String())
		if err == nil {
			_ = nc.(*net.TCPConn).SetWriteBuffer(64 << 10)
		}
		return nc, err
	}
}

// carry is one connection over a thin link.
func carry(in net.Conn, to string, bytesASecond int) {
	out, err := net.Dial("tcp", to)
	if err != nil {
		in.Close()
		return
	}
	go func() { _, _ = io.Copy(in, out); in.Close() }()
	defer out.Close()
	for {
		if _, err := io.CopyN(out, in, int64(bytesASecond/100)); err != nil {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
}

// A keyframe that takes several stall times to get through is progress, not a
// lost node.
func TestSlowNodeIsNotALostNode(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) {
		o.StallTimeout, o.DrainTimeout = 1200*time.Millisecond, 10*time.Second
	}})
	r.options.Nodes.Dial = thinLink(t, r.sim.Nodes()[0].Addr(), 500_000)
	r.listenAnew()

	e := r.publish()
	e.frames(1)
	e.send(rtmp.Message{Type: rtmp.TypeVideo, Timestamp: 20, Payload: append([]byte("\x17\x01"), bytes.Repeat([]byte("large"), 200_000)...)})
	e.frames(1)
	begun := time.Now()
	e.goodbye()
	if took := time.Since(begun); took < 1500*time.Millisecond {
		t.Errorf("1 MB went over a link of 0.5 MB/s in %v", took)
	}
	if n := len(r.sim.Sessions()); n != 1 {
		t.Errorf("%d sessions", n)
	}
	r.waitFor("the rest to come through", func() bool { return e.audit.Report().Pending == 0 })
	r.checkAll()
}
