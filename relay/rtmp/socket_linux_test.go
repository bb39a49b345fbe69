package rtmp

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An encoder whose host has vanished is found out by the kernel, too; a node's
// connection holds little that is unsent.
func TestHalfOpen(t *testing.T) {
	ln := listen(t)
	type side struct {
		nc  net.Conn
		err error
	}
	accepted := make(chan side, 1)
	go func() {
		nc, err := ln.Accept()
		if err == nil {
			_, err = Accept(t.Context(), nc, Limits{}, Timeouts{Read: 15 * time.Second})
		}
		accepted <- side{nc, err}
	}()
	u, err := Dialer{}.Connect(testContext(t), target(t, ln, "cam1"))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	go func() { _ = u.Publish(testContext(t)) }()
	encoder := <-accepted
	if encoder.err != nil {
		t.Fatal(encoder.err)
	}
	defer encoder.nc.Close()
	for name, tc := range map[string]struct {
		nc     net.Conn
		option int
		want   int
	}{
		"user timeout":       {encoder.nc, unix.TCP_USER_TIMEOUT, 15_000},
		"keepalive idle":     {encoder.nc, unix.TCP_KEEPIDLE, 5},
		"keepalive interval": {encoder.nc, unix.TCP_KEEPINTVL, 5},
		"unsent at a node":   {u.c.nc, unix.TCP_NOTSENT_LOWAT, unsentAtMost},
	} {
		raw, err := tc.nc.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		_ = raw.Control(func(fd uintptr) {
			if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, tc.option); got != tc.want {
				t.Errorf("%s: got %d, want %d (%v)", name, got, tc.want, err)
			}
		})
	}
}
