package main

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// meet waits for other processes at an address.
func meet(at *net.UnixAddr) (*net.UnixListener, error) { return net.ListenUnix("unix", at) }

// visit goes to the process that waits at an address.
func visit(at *net.UnixAddr) (*net.UnixConn, error) { return net.DialUnix("unix", nil, at) }

// peer returns the process at the other end, if it is one of our user's or root's: a
// name without a file is anybody's to take, and to call.
func peer(conn *net.UnixConn) (pid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var is *unix.Ucred
	if e := raw.Control(func(fd uintptr) { is, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); e != nil {
		return 0, e
	}
	if err != nil {
		return 0, fmt.Errorf("who is at the other end: %w", err)
	}
	if int(is.Uid) != os.Getuid() && is.Uid != 0 {
		return 0, fmt.Errorf("process %d at the other end is another user's (uid %d)", is.Pid, is.Uid)
	}
	return int(is.Pid), nil
}
