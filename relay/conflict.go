package relay

// Conflict says what becomes of a second encoder that publishes a stream while
// the first is still connected.
type Conflict string

// Ways to settle a conflict. An encoder that is refused is told who has the
// stream.
const (
	Auto     Conflict = "auto"     // it takes over from the same address, or from one that is silent
	Takeover Conflict = "takeover" // it takes over
	Reject   Conflict = "reject"   // it is refused
)

// yields reports whether holder has to make way for p.
//
// An encoder that took over from one that was still sending keeps the stream for
// as long as it sends, whatever the policy: of two encoders that both try again
// and again, one is displaced once, and the other never.
func (c Conflict) yields(holder, p *publisher, isSilent bool) bool {
	switch c {
	case Takeover:
		return isSilent || !holder.tookOver
	case Auto:
		return isSilent || !holder.tookOver && holder.addr == p.addr
	default:
		return false
	}
}
