package relay

import (
	"time"

	"zegorelay/relay/rtmp"
)

// seamPatience is how long an encoder that goes on with a stream may send sound
// before its first picture, if the stream had one.
const seamPatience = 2 * time.Second

// seam joins what an encoder sends to what others have sent on its stream
// before: one clock, and no header twice that has not changed. It begins at the
// encoder's first starting point; what comes before that only headers are taken
// of.
type seam struct {
	offset uint32 // from the encoder's clock to the stream's

	overlaps bool    // who sends begins with what may have been here: a node does, an encoder doesn't
	overlap  overlap // while it does

	// While an encoder that goes on with a stream has sent no starting point.
	open    bool
	since   time.Time
	starts  starts
	opening headers
}

// streamClock is where a stream is on its own clock, in the milliseconds of its
// first encoder.
type streamClock struct {
	newest uint32
	at     time.Time // when that came
}

// note keeps the latest of the times of frames. Tracks are interleaved, not
// sorted; more than that back is an encoder that has set its clock anew.
func (c *streamClock) note(e entry) {
	if k := e.info.Kind; k != rtmp.Frame && k != rtmp.Keyframe {
		return
	}
	if ahead := int32(e.Timestamp - c.newest); c.at.IsZero() || ahead > 0 || ahead < -leadIn {
		c.newest = e.Timestamp
	}
	c.at = e.at
}

// now is the time of what comes at a moment after a pause.
func (c *streamClock) now(at time.Time) uint32 {
	return c.newest + uint32(max(at.Sub(c.at).Milliseconds(), 1))
}

// take brings a message of the encoder behind the seam into the backlog.
func (s *seam) take(e entry, clock *streamClock, b *backlog) {
	if s.open {
		s.wait(e, clock, b)
		return
	}
	if s.overlap.on && s.overlap.isKnown(e, s, clock, b) {
		return
	}
	e.Timestamp += s.offset
	clock.note(e)
	b.append(e)
}

// wait takes a message before the first starting point, or that.
func (s *seam) wait(e entry, clock *streamClock, b *backlog) {
	s.opening.apply(e)
	if s.since.IsZero() {
		s.since = e.at
	}
	begins := s.starts.at(e)
	if !s.starts.hasVideo && b.showsVideo() && e.at.Sub(s.since) < seamPatience {
		begins = false // its picture may be on the way
	}
	if !begins {
		return
	}
	s.open = false
	if s.overlaps && s.overlap.begins(e, s, clock, b) {
		s.opening = nil
		return
	}
	s.offset = clock.now(e.at) - e.Timestamp
	e.Timestamp += s.offset
	clock.note(e)
	b.rejoin(s.opening, e)
	s.opening = nil
}
