package relay

import (
	"container/list"
	"time"
)

// repeats counts what comes again and again, and forgets what has not come for some
// time, or, while there is too much, what has not come for longest: strangers decide
// how much there is. It is for one goroutine at a time.
type repeats[K comparable] struct {
	most   int           // that are remembered
	life   time.Duration // of what doesn't come again
	forgot func(K)       // is told; nil: nobody

	seen  map[K]*list.Element // of *repeat[K]
	byAge list.List           // the longest not seen first
}

type repeat[K comparable] struct {
	key   K
	times int
	last  time.Time
}

// get is what is known of a key; nil if it is not remembered.
func (r *repeats[K]) get(key K) *repeat[K] {
	if e := r.seen[key]; e != nil {
		return e.Value.(*repeat[K])
	}
	return nil
}

// note counts a key once more, and returns how often it has come lately. The caller
// has made room by forget.
func (r *repeats[K]) note(key K, now time.Time) (times int) {
	e := r.seen[key]
	if e == nil {
		if r.seen == nil {
			r.seen = make(map[K]*list.Element)
		}
		e = r.byAge.PushBack(&repeat[K]{key: key})
		r.seen[key] = e
	}
	it := e.Value.(*repeat[K])
	it.times, it.last = it.times+1, now
	r.byAge.MoveToBack(e)
	return it.times
}

// forget drops what has not come for long, and makes room for one more.
func (r *repeats[K]) forget(now time.Time) {
	for e := r.byAge.Front(); e != nil; e = r.byAge.Front() {
		it := e.Value.(*repeat[K])
		if len(r.seen) < r.most && now.Sub(it.last) < r.life {
			return
		}
		r.byAge.Remove(e)
		delete(r.seen, it.key)
		if r.forgot != nil {
			r.forgot(it.key)
		}
	}
}
