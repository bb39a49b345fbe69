package handover

import "os"

// Socket says which of many descriptors is meant: the kernel's own number for a socket,
// which no other has had since the boot (SO_COOKIE). 0 is none.
type Socket uint64

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
