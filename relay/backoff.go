package relay

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"zegorelay/dispatch"
	"zegorelay/relay/rtmp"
)

const (
	// healthyAfter is how long a session has to last to be replaced at once.
	healthyAfter = 30 * time.Second

	// forgiveEvery is how much of a session makes up for one failure: a node
	// that closes right after Publish.Start makes up for nothing.
	forgiveEvery = 2 * time.Second
)

const (
	// operatorWait is between two tries at what only a person can mend.
	operatorWait = 60 * time.Second

	// throttledWait is the least between two tries when ZEGO says too often.
	throttledWait = time.Second

	// unreachableWait is the most between two tries while the API doesn't answer:
	// they cost ZEGO nothing, and its return should be noticed at once.
	unreachableWait = 1500 * time.Millisecond

	// failedCallWait is the least between two calls of a stream that failed, and
	// unknownWait after a code that nobody has told us of: five a minute.
	failedCallWait = 250 * time.Millisecond
	unknownWait    = 12 * time.Second

	// answerLife is how long ZEGO keeps a node for a stream.
	answerLife = 2 * time.Hour

	// A node may take our own lost session for another publisher's for as long as
	// ghostLife: its name is asked for again every ghostWait at the most. Any other
	// publisher of our StreamId gets takenWait.
	ghostLife = 120 * time.Second
	ghostWait = time.Second
	takenWait = 2 * time.Second
)

// isUnreachable reports whether the API gave no answer, or nothing behind its
// front did.
func isUnreachable(err error) bool {
	var z *dispatch.Error
	return errors.As(err, &z) && z.Verdict == dispatch.Again && z.Code == 0 &&
		(z.HTTPStatus == 0 || z.HTTPStatus >= http.StatusInternalServerError)
}

// isFailedCall reports whether it was ZEGO that gave no node.
func isFailedCall(err error) bool {
	var z *dispatch.Error
	return errors.As(err, &z)
}

// isUnknown reports whether ZEGO answered with a code that it has not told of.
func isUnknown(err error) bool {
	var z *dispatch.Error
	if !errors.As(err, &z) || z.Code == 0 {
		return false
	}
	_, known := dispatch.Lookup(z.Code)
	return !known
}

// isNameTaken reports whether a node refused a stream for its name.
func isNameTaken(err error) bool {
	var status *rtmp.StatusError
	return errors.As(err, &status) && status.Code == rtmp.CodePublishBadName
}

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
