package dispatch

import (
	"container/list"
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Urgency is how long a dispatch may wait for its turn.
type Urgency int

// Urgencies, the first first. Encoders wait for the answer to a first publish,
// viewers for a re-dispatch.
const (
	FirstPublish Urgency = iota
	Redispatch
	Other
	urgencies
)

const (
	// slowFor is how long the budget stays halved after ZEGO has said too often;
	// then it grows back by an eighth of the whole every growEvery.
	slowFor   = 10 * time.Second
	growEvery = time.Second
	growBy    = 1.0 / 8

	// leastShare is what of the budget is left at the least.
	leastShare = 1.0 / 16

	// maxRetryAfter bounds what a server may make us wait.
	maxRetryAfter = time.Minute
)

// budget is the process's right to call the API: one token bucket for all
// streams, with room for one token, so that no second has more calls than the
// rate. Whoever waits is served by urgency, then in the order of coming.
type budget struct {
	full rate.Limit

	mu        sync.Mutex
	bucket    *rate.Limiter
	waiting   [urgencies]list.List // of chan struct{}, closed when the turn has come
	scheduled bool                 // somebody's turn will come by itself

	share     float64   // of full that may be used now
	changed   time.Time // when share was last changed
	notBefore time.Time // ZEGO's Retry-After
}

func newBudget(perSecond float64) *budget {
	full := rate.Limit(perSecond)
	return &budget{full: full, bucket: rate.NewLimiter(full, 1), share: 1}
}

// wait blocks until it is the caller's turn. Its error is why ctx ended before.
func (b *budget) wait(ctx context.Context, u Urgency) error {
	u = min(max(u, 0), Other)
	turn := make(chan struct{})
	b.mu.Lock()
	place := b.waiting[u].PushBack(turn)
	b.schedule(time.Now())
	b.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting[u].Remove(place) // no harm if the turn has just come
	return context.Cause(ctx)
}

// schedule has the next turn come when there is a token for it. The caller
// holds the lock.
func (b *budget) schedule(now time.Time) {
	if b.scheduled || b.first() == nil {
		return
	}
	b.recover(now)
	b.scheduled = true
	delay := max(b.bucket.ReserveN(now, 1).DelayFrom(now), b.notBefore.Sub(now))
	time.AfterFunc(delay, b.serve)
}

// serve gives the turn to whoever is first by now.
func (b *budget) serve() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.scheduled = false
	if queue := b.first(); queue != nil {
		close(queue.Remove(queue.Front()).(chan struct{}))
	}
	b.schedule(time.Now())
}

// first is the queue whose turn it is, nil if nobody waits.
func (b *budget) first() *list.List {
	for u := range b.waiting {
		if b.waiting[u].Len() > 0 {
			return &b.waiting[u]
		}
	}
	return nil
}

// slowDown halves the budget, at most once a second: what was under way
// together is told the same. Nobody has a turn before retryAfter has passed.
func (b *budget) slowDown(retryAfter time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if until := now.Add(min(retryAfter, maxRetryAfter)); until.After(b.notBefore) {
		b.notBefore = until
	}
	if b.share < 1 && now.Sub(b.changed) < time.Second {
		return
	}
	b.setShare(max(b.share/2, leastShare), now)
}

// recover gives back what is due of the budget.
func (b *budget) recover(now time.Time) {
	if b.share == 1 {
		return
	}
	if due := now.Sub(b.changed) - slowFor; due > 0 {
		steps := 1 + int(due/growEvery)
		b.share = min(1, b.share+float64(steps)*growBy)
		b.changed = b.changed.Add(time.Duration(steps) * growEvery)
		b.bucket.SetLimitAt(now, b.full*rate.Limit(b.share))
	}
}

func (b *budget) setShare(share float64, now time.Time) {
	b.share, b.changed = share, now
	b.bucket.SetLimitAt(now, b.full*rate.Limit(share))
}
