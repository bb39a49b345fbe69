//go:build unix

package main

import (
	"os"
	"syscall"
)

// mostDescriptors is how many file descriptors the process may have. The Go
// runtime has raised the soft limit to the hard one.
func mostDescriptors() (most uint64, ok bool) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	return uint64(limit.Cur), true //nolint:unconvert // its type differs between systems
}

// isListening reports whether a socket waits for connections.
func isListening(socket *os.File) (is bool) {
	conn, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	err = conn.Control(func(fd uintptr) {
		value, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
		is = err == nil && value != 0
	})
	return is && err == nil
}
