package relay

import (
	"context"
	"time"
)

// observeEvery is how often all streams are looked at: rates are measured, health is
// judged and advice is found also while nobody asks.
const observeEvery = time.Second

// observe looks at all streams until ctx ends.
func (s *Server) observe(ctx context.Context) {
	tick := time.NewTicker(observeEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			for _, stream := range s.all() {
				stream.observe(now)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (s *Stream) observe(now time.Time) {
	_ = s.Status()
}
