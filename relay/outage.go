package relay

import "time"

// outage measures for how long a stream has somebody who needs a node, and none.
// The caller of all its methods holds the stream's lock.
type outage struct {
	attended bool      // an encoder, or a player, is there
	onAir    bool      // a node is
	wasOnAir bool      // one was, for whoever is there now
	since    time.Time // of the outage that there is; zero while there is none
	total    time.Duration
}

// reckon brings the books up to date and returns how long the outage was that has
// just ended by a node's coming back, 0 if none has.
func (o *outage) reckon(now time.Time) (restored time.Duration) {
	isOut := o.attended && !o.onAir
	switch {
	case isOut && o.since.IsZero():
		o.since = now
	case !isOut && !o.since.IsZero():
		took := now.Sub(o.since)
		o.total += took
		o.since = time.Time{}
		if o.onAir && o.wasOnAir {
			restored = took
		}
	}
	o.wasOnAir = o.attended && (o.wasOnAir || o.onAir)
	return restored
}

// present is for how long the outage lasts that there is; 0 if there is none.
func (o *outage) present(now time.Time) time.Duration {
	if o.since.IsZero() {
		return 0
	}
	return max(now.Sub(o.since), 0)
}

// attend says whether somebody needs a node.
func (s *Stream) attend(attended bool) {
	s.mu.Lock()
	s.outage.attended = attended
	restored := s.outage.reckon(time.Now())
	s.mu.Unlock()
	if restored > 0 {
		s.tally.onRestore(restored)
	}
}
