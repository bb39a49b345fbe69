package rtmp

// Delivered is how far into the outgoing bytes the node is known to have
// received them: a position to compare with what Queue returned. It is never
// too high for a node that lives by the protocol.
//
// A node that acknowledges is believed. One that never does, or counts in its
// own way, is judged by what its TCP has acknowledged, p, less two windows: it
// may simply not have reached the first, and a kernel's word is not the node's.
func (u *Upstream) Delivered(p Progress) uint64 {
	acked := u.c.peerAcked.Load()
	if p.Known && p.Mapped && (acked == 0 || u.c.oddAcks.Load()) {
		return less(p.Acked, handshakeBytes+2*windowForNodes)
	}
	return less(acked, handshakeBytes) // some servers count the handshake, some don't
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
