package handover

import "time"

// Moment is a time on the machine's own clock, in ns: every process reads the same,
// and nobody sets it.
type Moment int64

// Since is how long ago m was.
func (m Moment) Since() time.Duration { return time.Duration(Now() - m) }

// Now is the present moment.
func Now() Moment { return now() }
