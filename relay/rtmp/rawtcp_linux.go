package rtmp

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mostPieces is how many pieces one writev takes (IOV_MAX).
const mostPieces = 1024

// rawTCP is a TCP connection whose reads and writes don't tell Go's scheduler.
// Its sockets never block, so there is nothing to be told; but a call that is
// announced and takes longer than 20 µs, as pushing a frame through the kernel
// does, loses its processor to another thread, and gets it back by the third. At a
// hundred frames a second from each of a hundred encoders that was a fifth of all
// time.
//
// One goroutine may read while another writes.
type rawTCP struct {
	*net.TCPConn
	raw   syscall.RawConn
	read  rawCall
	write rawCall
}

// rawCall is a system call that is under way, and what came of it. Its function
// is made once: a closure for each call would be garbage.
type rawCall struct {
	do    func(fd uintptr) (done bool)
	doNow func(fd uintptr) (done bool) // without waiting
	buf   []byte                       // of a read
	take  func() []byte                // … or where it is to be had, once there is something to read
	give  func()                       // … and to be given back
	iov   []unix.Iovec                 // of a write
	n     int
	errno syscall.Errno
}

// unannounced is nc without the announcements, if it can be.
func unannounced(nc net.Conn) io.ReadWriter {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nc
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nc // it is closed, which it will say itself
	}
	c := &rawTCP{TCPConn: tcp, raw: raw}
	c.read.do, c.write.do, c.write.doNow = c.read.readOnce, c.write.writeOnce, c.write.writeNow
	return c
}

func (c *rawCall) readOnce(fd uintptr) (done bool) {
	if c.take != nil {
		c.buf = c.take()
		if done = c.readBuf(fd); !done {
			c.give()
		}
		return done
	}
	return c.readBuf(fd)
}

func (c *rawCall) readBuf(fd uintptr) (done bool) {
	return c.try(unix.SYS_READ, fd, unsafe.Pointer(&c.buf[0]), len(c.buf)) //nolint:gosec // alive: buf is c's
}

func (c *rawCall) writeOnce(fd uintptr) (done bool) {
	return c.try(unix.SYS_WRITEV, fd, unsafe.Pointer(&c.iov[0]), len(c.iov)) //nolint:gosec // alive: iov is c's
}

// writeNow is done in any case: when the kernel takes nothing, with n as it was.
func (c *rawCall) writeNow(fd uintptr) (done bool) {
	c.writeOnce(fd)
	return true
}

// try makes the call. One that would block is not done: it is made again when the
// socket is ready.
func (c *rawCall) try(trap, fd uintptr, what unsafe.Pointer, size int) (done bool) {
	for {
		n, _, errno := unix.RawSyscall(trap, fd, uintptr(what), uintptr(size))
		switch errno {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		}
		c.n, c.errno = int(n), errno
		return true
	}
}

// Read is net.Conn's.
func (c *rawTCP) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.read.buf, c.read.take = p, nil
	return c.readNow()
}

// readInto is Read into what take gives. That which nothing is read into is given
// back.
func (c *rawTCP) readInto(take func() []byte, giveBack func()) (int, error) {
	c.read.take, c.read.give = take, giveBack
	return c.readNow()
}

func (c *rawTCP) readNow() (int, error) {
	call := &c.read
	err := c.raw.Read(call.do)
	call.buf = nil
	switch {
	case err != nil:
		return 0, unwrapped(err)
	case call.errno != 0:
		return 0, c.failed("read", call.errno)
	case call.n == 0:
		return 0, io.EOF
	default:
		return call.n, nil
	}
}

// writev writes all pieces, in one system call if the kernel takes them. It eats
// them, and returns what is left after an error.
func (c *rawTCP) writev(pieces net.Buffers) (rest net.Buffers, err error) {
	for len(pieces) > 0 && err == nil {
		c.write.load(pieces)
		pieces, err = c.written(pieces, c.raw.Write(c.write.do))
	}
	return pieces, err
}

// tryWritev writes of pieces what the kernel takes now, and returns the rest. It
// eats pieces.
func (c *rawTCP) tryWritev(pieces net.Buffers) (rest net.Buffers, err error) {
	c.write.load(pieces)
	c.write.n, c.write.errno = 0, 0
	return c.written(pieces, c.raw.Write(c.write.doNow))
}

// written is what is left of pieces after a call whose waiting ended with err.
func (c *rawTCP) written(pieces net.Buffers, err error) (rest net.Buffers, _ error) {
	clear(c.write.iov) // the payloads are not ours to hold
	switch {
	case err != nil:
		return pieces, unwrapped(err)
	case c.write.errno != 0:
		return pieces, c.failed("write", c.write.errno)
	}
	return without(pieces, c.write.n), nil
}

// load makes pieces, as many as one call takes, what will be written.
func (c *rawCall) load(pieces net.Buffers) {
	c.iov = c.iov[:0]
	for _, p := range pieces[:min(len(pieces), mostPieces)] {
		piece := unix.Iovec{Base: unsafe.SliceData(p)} //nolint:gosec // alive: pieces are the caller's
		piece.SetLen(len(p))
		c.iov = append(c.iov, piece)
	}
}

// without is pieces without their first n bytes.
func without(pieces net.Buffers, n int) net.Buffers {
	for len(pieces) > 0 && n >= len(pieces[0]) {
		n -= len(pieces[0])
		pieces = pieces[1:]
	}
	if n > 0 {
		pieces[0] = pieces[0][n:]
	}
	return pieces
}

func (c *rawTCP) failed(op string, errno syscall.Errno) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, errno)}
}

// unwrapped is an error as net.Conn's own Read and Write have it.
func unwrapped(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		op.Op = strings.TrimPrefix(op.Op, "raw-")
	}
	return err
}
