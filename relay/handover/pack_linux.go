package handover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const packName = "zegorelay-connections"

func pack(files []*os.File, most time.Duration) (*os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("pack descriptors: %w", err)
	}
	near, far := os.NewFile(uintptr(fds[0]), packName), os.NewFile(uintptr(fds[1]), packName)
	conn, err := unixConn(near)
	_ = near.Close()
	if err == nil {
		defer conn.Close() // nobody else writes into it
		err = conn.SetWriteDeadline(time.Now().Add(most))
	}
	if err == nil {
		err = send(conn, files)
	}
	if err != nil {
		_ = far.Close()
		return nil, fmt.Errorf("pack descriptors: %w", err)
	}
	return far, nil
}

func unpack(socket *os.File, most int, patience time.Duration) ([]*os.File, error) {
	conn, err := unixConn(socket)
	if err != nil {
		return nil, fmt.Errorf("unpack descriptors: %w", err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, fmt.Errorf("unpack descriptors: %w", err)
	}
	return receive(conn, most)
}

// unixConn is a connection of its own for a file's socket.
func unixConn(file *os.File) (*net.UnixConn, error) {
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	stream, ok := conn.(*net.UnixConn)
	if !ok || stream.LocalAddr().Network() != "unix" {
		_ = conn.Close()
		return nil, errors.New("it is no unix stream socket")
	}
	return stream, nil
}
