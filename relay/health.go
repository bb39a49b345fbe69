package relay

import (
	"fmt"
	"time"

	"zegorelay/dispatch"
	"zegorelay/relay/rtmp"
)

const (
	// startPatience is how long a stream may take to its first node without being
	// called down.
	startPatience = 5 * time.Second

	// Signs that a stream gets there, but not as it should.
	mediaPatience = 2 * time.Second // without media from who brings it
	lagMost       = 3 * time.Second // of what the node is known to have
	dropMemoryFor = 10 * time.Second
	stoodMost     = time.Second // without progress at the node, or half of the stall time
)

// healthState is what a stream's health was last found to be.
type healthState struct {
	is        Health
	since     time.Time
	dropped   uint64
	droppedAt time.Time
}

// settle judges a snapshot, and completes it with the judgement. The caller holds
// the stream's lock.
func (h *healthState) settle(st *Status, now time.Time) {
	if st.Dropped > h.dropped {
		h.dropped, h.droppedAt = st.Dropped, now
	}
	drops := !h.droppedAt.IsZero() && now.Sub(h.droppedAt) < dropMemoryFor
	st.Health, st.Reason = judge(st, drops)
	if st.Health != h.is {
		h.is, h.since = st.Health, now
	}
	st.HealthSince = h.since
}

// judge says how a stream is, and why: who is there comes first, then whether a node
// is, then how well it goes.
func judge(st *Status, drops bool) (Health, string) {
	switch {
	case st.Direction == dispatch.Push && st.Publisher == nil && !st.Away.IsZero():
		return Away, "the encoder is gone; its place at ZEGO is held for its return"
	case st.Direction == dispatch.Push && st.Publisher == nil:
		return Away, "no encoder"
	case st.Direction == dispatch.Pull && st.Players == 0:
		return Away, "no player"
	case st.State == Publishing || st.State == Playing:
		return judgeFlow(st, drops)
	case st.LastError != "":
		return Down, st.LastError
	case st.State == Draining:
		return Degraded, "gives the rest of what the encoder sent before to its node"
	case st.OutFor < startPatience:
		return Degraded, "asks ZEGO for a node"
	default:
		return Down, "no node from ZEGO yet"
	}
}

// judgeFlow says how well a stream goes that has a node.
func judgeFlow(st *Status, drops bool) (Health, string) {
	switch {
	case st.Stood > 0:
		return Degraded, fmt.Sprintf("the node has acknowledged nothing for %.0f s", st.Stood.Seconds())
	case st.Silence > mediaPatience && st.Direction == dispatch.Push:
		return Degraded, fmt.Sprintf("the encoder has sent nothing for %.0f s", st.Silence.Seconds())
	case st.Silence > mediaPatience:
		return Degraded, fmt.Sprintf("the node has sent nothing for %.0f s", st.Silence.Seconds())
	case drops:
		return Degraded, "media was dropped in the last seconds"
	case st.isBehind(lagMost):
		return Degraded, fmt.Sprintf("ZEGO is %.0f s behind", st.Lag.Seconds())
	}
	for _, a := range st.Advice {
		if a.IsGrave() {
			return Degraded, a.Text
		}
	}
	return OK, ""
}

// ackSlack is how much a node may have without our knowing: Acknowledgements come a
// few times a second, and for one that gives none the kernel's word is discounted.
const ackSlack = 256 << 10

// isBehind reports whether what the node isn't known to have is older than most, and
// more than what nobody can know of: that may be seconds of sound alone.
func (st *Status) isBehind(most time.Duration) bool {
	return st.Lag > most && st.Lag.Seconds()*st.RateIn/8 > ackSlack
}

// note keeps what a session has just found out.
func (l *link) note(p rtmp.Progress, stood time.Duration) {
	l.rtt.Store(int64(p.RTT))
	l.tells.Store(p.Tells())
	l.stood.Store(int64(stood))
}

// standstill is how long the node has acknowledged nothing, once that is longer
// than it should be.
func (s *Stream) standstill() time.Duration {
	stood := time.Duration(s.link.stood.Load())
	if stood < min(stoodMost, s.o.StallTimeout/2) {
		return 0
	}
	return stood
}
