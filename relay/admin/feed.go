package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"zegorelay/relay"
)

const (
	maxSubscribers = 32
	feedInterval   = time.Second
	feedRoom       = 64 // events for one subscriber that is behind
	heartbeat      = 15 * time.Second
)

// feed is /api/v1/events: server-sent events, "streams" once a second with what
// /api/v1/streams says, and "event" for every relay.Event. What is said once a second is
// built once for all subscribers, and only while there are some. One that doesn't read
// misses messages and holds up nobody.
type feed struct {
	build func() any

	mu          sync.Mutex
	subscribers map[*subscriber]struct{}
	newest      []byte // the last "streams"
	builtAt     time.Time
}

type subscriber struct {
	events  chan []byte
	streams chan []byte // the newest only
}

func newFeed(build func() any) *feed {
	return &feed{build: build, subscribers: make(map[*subscriber]struct{})}
}

// run feeds subscribers until ctx ends.
func (f *feed) run(ctx context.Context, events <-chan relay.Event) {
	tick := time.NewTicker(feedInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-events:
			if !ok {
				events = nil // the relay has ended, and we are about to
				continue
			}
			f.tell(message("event", viewOfEvent(e)))
		case <-tick.C:
			f.refresh()
		}
	}
}

// message is one server-sent event. JSON has no line ends of its own.
func message(event string, v any) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: %s\ndata: ", event)
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(v) != nil {
		return nil
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func (f *feed) tell(event []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subscribers {
		select {
		case s.events <- event:
		default:
		}
	}
}

// refresh gives every subscriber a new "streams", in place of one not yet taken.
func (f *feed) refresh() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.subscribers) == 0 {
		return
	}
	f.rebuild()
	for s := range f.subscribers {
		select {
		case <-s.streams:
		default:
		}
		s.streams <- f.newest // it has room: only refresh and join fill it, under the lock
	}
}

func (f *feed) rebuild() { f.newest, f.builtAt = message("streams", f.build()), time.Now() }

// join adds a subscriber, who need not wait a second for the first message; nil if there
// are too many.
func (f *feed) join() *subscriber {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.subscribers) >= maxSubscribers {
		return nil
	}
	if time.Since(f.builtAt) >= feedInterval {
		f.rebuild()
	}
	s := &subscriber{events: make(chan []byte, feedRoom), streams: make(chan []byte, 1)}
	s.streams <- f.newest
	f.subscribers[s] = struct{}{}
	return s
}

func (f *feed) leave(s *subscriber) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.subscribers, s)
}

func (f *feed) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy in between must not collect it
	if r.Method == http.MethodHead {
		return
	}
	s := f.join()
	if s == nil {
		(&problem{http.StatusServiceUnavailable, "busy",
			fmt.Sprintf("%d subscribers are the most: close another page", maxSubscribers)}).write(w)
		return
	}
	defer f.leave(s)
	out := newRolling(w)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var next []byte
		select {
		case <-r.Context().Done():
			return
		case next = <-s.streams:
		case next = <-s.events:
		case <-beat.C:
			next = []byte(": alive\n\n")
		}
		if _, err := out.Write(next); err != nil {
			return
		}
	}
}
