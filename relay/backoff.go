package relay

import (
	"math/rand/v2"
	"time"
)

const (
	// healthyAfter is how long a session has to last to be replaced at once.
	healthyAfter = 30 * time.Second

	// forgiveEvery is how much of a session makes up for one failure: a node
	// that closes right after Publish.Start makes up for nothing.
	forgiveEvery = 2 * time.Second
)

// backoff says how long to wait before the next try: full jitter under a
// ceiling that doubles with every failure.
type backoff struct {
	min, max time.Duration
	failures int
}

// succeeded notes a session that lasted for d.
func (b *backoff) succeeded(d time.Duration) {
	b.failures = max(0, b.failures-int(d/forgiveEvery))
}

// next notes a failure and returns the wait that it asks for.
func (b *backoff) next() time.Duration {
	ceiling := b.max
	if b.failures < 32 && b.min<<b.failures < b.max {
		ceiling = b.min << b.failures
	}
	b.failures++
	return rand.N(ceiling + 1)
}
