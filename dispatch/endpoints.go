package dispatch

import (
	"net/url"
	"sync"
	"time"
)

// restFor is how long an endpoint that has failed is left alone, as long as
// another one is left.
const restFor = 30 * time.Second

// endpoints are the API's addresses in order of preference.
type endpoints struct {
	all []*url.URL

	mu      sync.Mutex
	resting map[*url.URL]time.Time // until when
}

func newEndpoints(all []*url.URL) *endpoints {
	return &endpoints{all: all, resting: make(map[*url.URL]time.Time)}
}

// inTurn returns the endpoints to try: those that don't rest, or, if all do,
// every one.
func (e *endpoints) inTurn() []*url.URL {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	var awake []*url.URL
	for _, u := range e.all {
		if now.After(e.resting[u]) {
			awake = append(awake, u)
		}
	}
	if len(awake) == 0 {
		return e.all
	}
	return awake
}

// failed lets an endpoint rest.
func (e *endpoints) failed(u *url.URL) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.resting[u] = time.Now().Add(restFor)
}

// answered ends an endpoint's rest.
func (e *endpoints) answered(u *url.URL) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.resting, u)
}
