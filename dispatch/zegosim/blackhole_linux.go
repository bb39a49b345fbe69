package zegosim

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// swallow has the kernel drop whatever arrives for a connection or a listener
// before TCP sees it: nothing is acknowledged, nothing answered. It takes no
// privilege: a socket filter that lets nothing through.
func swallow(c any) {
	conn, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return // it is closed
	}
	nothing := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(nothing)), Filter: &nothing[0]})
	})
}

// restore ends what swallow began.
func restore(ln net.Listener) {
	conn, ok := ln.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
	})
}
