package rtmp

// Delivered is how far into the outgoing bytes the node is known to have
// received them: a position to compare with what Queue returned. It is never
// too high for a node that lives by the protocol.
//
// A node that acknowledges is believed. One that never does is judged by what
// its TCP has acknowledged, less two windows: it may simply not have reached
// the first, and a kernel's word is not the node's.
func (u *Upstream) Delivered() uint64 {
	if acked := u.c.peerAcked.Load(); acked > 0 {
		return less(acked, handshakeBytes) // some servers count the handshake, some don't
	}
	if p := u.Progress(); p.Known && p.Mapped {
		return less(p.Acked, handshakeBytes+2*windowForNodes)
	}
	return 0
}

// Progress is what the kernel knows of a connection's outgoing half.
type Progress struct {
	Known   bool   // false where the kernel doesn't tell
	Acked   uint64 // bytes that the far side's TCP acknowledged
	Pending bool   // bytes are on their way or wait to be sent
	Mapped  bool   // Acked counts RTMP bytes: no TLS in between
}

// Progress asks the kernel. It costs a system call.
func (u *Upstream) Progress() Progress { return progressOf(u.c.nc) }

func less(a, b uint64) uint64 {
	if a < b {
		return 0
	}
	return a - b
}
