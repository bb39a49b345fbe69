package handover

import "os"

// NewBundle returns one of an empty State.
func NewBundle() *Bundle { return &Bundle{State: &State{}, Files: make(map[Socket]*os.File)} }

// Put takes a connection in, which is the bundle's from then on. What is no socket is
// closed.
func (b *Bundle) Put(f *os.File) (Socket, error) {
	s, err := SocketOf(f)
	if err != nil {
		_ = f.Close()
		return 0, err
	}
	b.Files[s] = f
	return s, nil
}
