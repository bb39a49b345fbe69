package relay

import (
	"context"
	"time"

	"zegorelay/relay/rtmp"
)

const (
	// aheadMost is how far a live encoder may be ahead of real time: clocks are not
	// equal, and what has piled up in its network comes at once.
	aheadMost = 3 * time.Second

	// paceAnew is how long what was measured of a live encoder counts: a camera's
	// clock that is a little fast must not add up to a file's over days.
	paceAnew = 30 * time.Second

	// leapMost is how much of a leap in timestamps counts: a clock that was set
	// anew is not media.
	leapMost = 200 * time.Millisecond

	// An encoder that is ahead waits while more than this part of what the backlog
	// may hold, one in so many, has not been written to a node, until it is less
	// than half of that. It is looked at every brakeEvery messages, and every
	// brakeTick.
	brakeShare = 4
	brakeEvery = 16
	brakeTick  = 2 * time.Millisecond
)

// pace knows whether an encoder sends faster than real time, as one does that
// sends a file.
type pace struct {
	begun time.Time
	last  uint32        // timestamp
	media time.Duration // sent since begun
	count int
	ahead bool
}

// note takes a message in.
func (p *pace) note(m rtmp.Message, now time.Time) {
	switch {
	case p.begun.IsZero():
		p.begun, p.last = now, m.Timestamp
	case !p.ahead && now.Sub(p.begun) > paceAnew:
		p.begun, p.media = now, 0
	}
	if step := int32(m.Timestamp - p.last); step > 0 {
		p.media += min(time.Duration(step)*time.Millisecond, leapMost)
		p.last = m.Timestamp
	} else if step < -leadIn {
		p.last = m.Timestamp
	}
	p.ahead = p.media-now.Sub(p.begun) > aheadMost

}

// brake holds an encoder that is ahead of real time back while the node has not
// been sent what it has sent before: a file can wait, and nothing of it is lost to
// a bound. A live encoder is never held back.
func (p *push) brake(ctx context.Context, from *publisher) {
	pace := &from.pace
	if pace.count++; !pace.ahead || pace.count%brakeEvery != 0 {
		return
	}
	p.backlog.announce()
	p.backlog.setUnhurried(true)
	most := p.o.BacklogBytes / brakeShare
	if !p.backlog.hasBehind(p.written.Load(), most) {
		return
	}
	tick := time.NewTicker(brakeTick)
	defer tick.Stop()
	for p.backlog.hasBehind(p.written.Load(), most/2) && from.endedBy() == nil {
		select {
		case now := <-tick.C:
			from.heard.Store(int64(now.Sub(p.since))) // it is not its fault
		case <-ctx.Done():
			return
		}
	}
	from.session.Resume()
}
