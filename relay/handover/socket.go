package handover

import (
	"os"
	"syscall"
)

// Socket says which of many descriptors is meant: the kernel's own number for a socket,
// which no other has had since the boot (SO_COOKIE). 0 is none.
type Socket uint64

// SocketOf is the number of the socket under a connection, a listener or an *os.File.
// Under TLS it is that of the connection below. All descriptors of one socket have the
// same, in all processes. It doesn't block. What is no socket, or closed, is an error;
// it matches errors.ErrUnsupported where the system has no such numbers.
func SocketOf(c syscall.Conn) (Socket, error) { return socketOf(c) }

// Gather sorts files by their sockets. They are its own: those that are no sockets,
// and all but the first of one socket, are closed and counted.
func Gather(files []*os.File) (bySocket map[Socket]*os.File, closed int) {
	bySocket = make(map[Socket]*os.File, len(files))
	for _, f := range files {
		s, err := SocketOf(f)
		if _, twice := bySocket[s]; err != nil || twice {
			_ = f.Close()
			closed++
			continue
		}
		bySocket[s] = f
	}
	return bySocket, closed
}

// Bundle is a State and the connections and listeners that it speaks of. Whoever has
// it owns the files, and may take some of them out.
type Bundle struct {
	State *State
	Files map[Socket]*os.File
}

// Close closes the files that are left: what nobody has taken ends here.
func (b *Bundle) Close() {
	for _, f := range b.Files {
		_ = f.Close()
	}
	clear(b.Files)
}

// Take takes a file out of the bundle. It is false for one that is not there.
func (b *Bundle) Take(s Socket) (f *os.File, ok bool) {
	f, ok = b.Files[s]
	delete(b.Files, s)
	return f, ok
}
