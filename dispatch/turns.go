package dispatch

import (
	"context"
	"sync"
)

// turns lets one request a StreamId be under way at a time: ZEGO is given sequence
// numbers that rise, and two requests, for the publisher and for a player of one
// stream, may overtake each other. The zero value is ready.
type turns struct {
	mu    sync.Mutex
	taken map[string]chan struct{} // closed when the turn is over
}

// take waits for the turn of a StreamId, which is over when done is called. The error
// is why ctx ended.
func (t *turns) take(ctx context.Context, id string) (done func(), err error) {
	for {
		t.mu.Lock()
		other, isTaken := t.taken[id]
		if !isTaken {
			mine := make(chan struct{})
			if t.taken == nil {
				t.taken = make(map[string]chan struct{})
			}
			t.taken[id] = mine
			t.mu.Unlock()
			return func() { t.end(id, mine) }, nil
		}
		t.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (t *turns) end(id string, turn chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.taken, id)
	close(turn)
}
