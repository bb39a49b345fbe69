package rtmp

import "time"

const (
	// acksToExpect is how often a node has to have acknowledged to be expected to
	// go on. Some do once, at the start, and never again.
	acksToExpect = 3

	// A node that has not acknowledged when its TCP has this much, this long after
	// the session began, never will. Before that it may just not have come to it:
	// a kernel takes megabytes for a process that is busy.
	silentBytes = 16 * windowForNodes
	silentAfter = 5 * time.Second
)

// Progress is what is known of the outgoing half of a connection at a moment.
type Progress struct {
	// By Acknowledgement (§5.4.3): the node's own word.
	Heard   uint64 // bytes it has acknowledged; 0 if it has not, or in its own way
	Overdue bool   // it should have acknowledged more by now
	Silent  bool   // it acknowledges never, or in its own way

	// By the kernel, where Known.
	Known   bool
	Acked   uint64 // bytes that the far side's TCP acknowledged
	Pending bool   // bytes are on their way or wait to be sent
	Mapped  bool   // Acked counts RTMP bytes: no TLS in between
	RTT     time.Duration
}

// Progress looks at the connection, also while a Flush hangs. It costs a system
// call.
func (u *Upstream) Progress() Progress {
	p := progressOf(u.c.nc)
	if u.c.oddAcks.Load() {
		p.Silent = true
		return p
	}
	p.Heard = u.c.peerAcked.Load()
	p.Silent = p.Heard == 0 && p.Acked >= silentBytes && time.Since(u.begun) >= silentAfter
	// Twice its usual step may be on the way or in its buffers.
	step := max(u.c.ackStep.Load(), uint64(u.window.Load()))
	p.Overdue = u.c.peerAcks.Load() >= acksToExpect && u.c.queued.Load() > p.Heard+2*step+windowForNodes
	return p
}

// Delivered is how far into the outgoing bytes the node is known to have
// received them: a position to compare with what Queue returned. It is never
// too high for a node that lives by the protocol.
//
// A node that acknowledges is believed. One that never does, or counts in its
// own way, is judged by what its TCP has acknowledged, less two windows, because a
// kernel's word is not the node's.
func (p Progress) Delivered() uint64 {
	if p.Silent && p.Known && p.Mapped {
		return less(p.Acked, handshakeBytes+2*windowForNodes)
	}
	return less(p.Heard, handshakeBytes) // some servers count the handshake, some don't
}

// Tells reports whether Delivered says anything: a node that has not acknowledged yet
// may still do so, and for one that never does TLS hides what its TCP has.
func (p Progress) Tells() bool {
	return p.Heard > 0 || p.Silent && p.Known && p.Mapped
}

func less(a, b uint64) uint64 {
	if a < b {
		return 0
	}
	return a - b
}
