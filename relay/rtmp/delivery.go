package rtmp

// acksToBelieve is how often a node has to acknowledge to be one that does. Some
// do once, at the start, and never again.
const acksToBelieve = 3

// Progress is what is known of the outgoing half of a connection at a moment.
type Progress struct {
	// By Acknowledgement (§5.4.3): the node's own word.
	Heard   uint64 // bytes it has acknowledged; 0 if it doesn't, hardly ever, or in its own way
	Overdue bool   // it should have acknowledged more by now

	// By the kernel, where Known.
	Known   bool
	Acked   uint64 // bytes that the far side's TCP acknowledged
	Pending bool   // bytes are on their way or wait to be sent
	Mapped  bool   // Acked counts RTMP bytes: no TLS in between
}

// Progress looks at the connection, also while a Flush hangs. It costs a system
// call.
func (u *Upstream) Progress() Progress {
	p := progressOf(u.c.nc)
	if u.c.oddAcks.Load() || u.c.peerAcks.Load() < acksToBelieve {
		return p
	}
	p.Heard = u.c.peerAcked.Load()
	// Twice its usual step may be on the way or in its buffers.
	p.Overdue = p.Heard > 0 && u.c.queued.Load() > p.Heard+2*u.c.ackStep.Load()+windowForNodes
	return p
}

// Delivered is how far into the outgoing bytes the node is known to have
// received them: a position to compare with what Queue returned. It is never
// too high for a node that lives by the protocol.
//
// A node that acknowledges is believed. One that never does, or counts in its
// own way, is judged by what its TCP has acknowledged, less two windows: it may
// simply not have reached the first, and a kernel's word is not the node's.
func (p Progress) Delivered() uint64 {
	if p.Heard == 0 && p.Known && p.Mapped {
		return less(p.Acked, handshakeBytes+2*windowForNodes)
	}
	return less(p.Heard, handshakeBytes) // some servers count the handshake, some don't
}

func less(a, b uint64) uint64 {
	if a < b {
		return 0
	}
	return a - b
}
