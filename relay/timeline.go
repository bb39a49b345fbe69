package relay

// leadIn is how far before the keyframe that opens a session other messages may
// lie, in milliseconds: tracks are interleaved, not sorted.
const leadIn = 2000

// timeline maps the encoder's clock to that of one upstream session, which
// begins at 0. All tracks share it, so what was in step stays in step. Both
// clocks count milliseconds and wrap at 2^32; in between they are unwrapped, so
// a session may last longer than the 24.8 days at which a difference of two
// timestamps changes its sign. The zero value is ready.
type timeline struct {
	begun bool
	last  uint32 // the encoder's time of the newest message
	now   int64  // the same on the session's clock, unwrapped
}

// at maps the timestamp of the next message.
func (t *timeline) at(timestamp uint32) uint32 {
	if !t.begun {
		t.begun, t.last = true, timestamp
	}
	t.now += int64(int32(timestamp - t.last))
	t.last = timestamp
	switch {
	case t.now >= 0:
		return uint32(t.now)
	case t.now >= -leadIn:
		return 0
	default:
		// The encoder's clock fell to before the session's beginning, as
		// ffmpeg's does at 2^31: the session's starts over, like the encoder's.
		t.now = 0
		return 0
	}
}
