package media

import "time"

// spans is over how many looks, one a second, is measured: long enough that a
// keyframe every two seconds doesn't show, short enough for a person to wait.
const spans = 4

// Rate turns a counter of bytes that grows into bits a second over the last
// seconds. The zero value is ready. Who looks and who asks must not do so at once.
type Rate struct {
	at    [spans + 1]time.Time
	bytes [spans + 1]uint64
	looks int
}

// Look takes what the counter says now. It is to be called about once a second.
func (r *Rate) Look(now time.Time, bytes uint64) {
	i := r.looks % len(r.at)
	r.at[i], r.bytes[i] = now, bytes
	r.looks++
}

// Bits is in bits a second; 0 before the second look.
func (r *Rate) Bits() float64 {
	if r.looks < 2 {
		return 0
	}
	newest, oldest := (r.looks-1)%len(r.at), max(r.looks-len(r.at), 0)%len(r.at)
	took := r.at[newest].Sub(r.at[oldest]).Seconds()
	if took <= 0 {
		return 0
	}
	return 8 * float64(r.bytes[newest]-r.bytes[oldest]) / took
}

// cadence measures frames a second by their timestamps, as they are to be shown and
// not as they came: whole intervals between frames, and how long they took.
type cadence struct {
	intervals, ms uint64
	past          [spans + 1]struct{ intervals, ms uint64 }
	looks         int
}

func (c *cadence) look() {
	past := &c.past[c.looks%len(c.past)]
	past.intervals, past.ms = c.intervals, c.ms
	c.looks++
}

// perSecond is over the last looks, up to the newest of them.
func (c *cadence) perSecond() float64 {
	if c.looks < 2 {
		return 0
	}
	newest, oldest := c.past[(c.looks-1)%len(c.past)], c.past[max(c.looks-len(c.past), 0)%len(c.past)]
	if newest.ms == oldest.ms {
		return 0
	}
	return 1000 * float64(newest.intervals-oldest.intervals) / float64(newest.ms-oldest.ms)
}
