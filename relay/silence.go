package relay

import (
	"errors"
	"sync"
	"time"
)

var errMute = errors.New("no progress: the node sends nothing")

// whenSilent calls tell, once, when what happens again and again has not happened
// for limit: last says when it did. However often that is, there is one timer, and
// nobody sets it. The caller stops it.
func whenSilent(limit time.Duration, last func() time.Time, tell func()) (stop func()) {
	var mu sync.Mutex
	var timer *time.Timer
	var stopped bool
	look := func() {
		left := limit - time.Since(last())
		if left <= 0 {
			tell()
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if !stopped {
			timer.Reset(left)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(limit, look)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}

// lastMediaSince returns a clock of the stream's last message, which begins at
// from.
func (s *Stream) lastMediaSince(from time.Time) func() time.Time {
	return func() time.Time {
		if last := s.since.Add(time.Duration(s.lastMedia.Load())); last.After(from) {
			return last
		}
		return from
	}
}
