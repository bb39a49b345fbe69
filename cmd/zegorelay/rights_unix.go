//go:build unix

package main

import (
	"errors"
	"os"
	"runtime"
	"syscall"
	"time"
)

// sendFiles sends one message with descriptors. The caller holds the lock.
func (m *serviceManager) sendFiles(message []byte, files []*os.File, end time.Time) error {
	fds := make([]int, len(files))
	for i, file := range files {
		// Not File.Fd, which has the socket block in every process that has it.
		conn, err := file.SyscallConn()
		if err == nil {
			err = conn.Control(func(fd uintptr) { fds[i] = int(fd) })
		}
		if err != nil {
			return err
		}
	}
	if err := m.dial(); err != nil {
		return err
	}
	if err := m.conn.SetWriteDeadline(end); err != nil {
		return err
	}
	// net.UnixConn sends none with descriptors through a datagram socket that is connected.
	conn, ok := m.conn.(syscall.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	rights := syscall.UnixRights(fds...)
	failed := raw.Write(func(fd uintptr) (done bool) {
		err = syscall.Sendmsg(int(fd), message, rights, nil, 0)
		return !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
	})
	runtime.KeepAlive(files)
	return errors.Join(failed, err)
}
