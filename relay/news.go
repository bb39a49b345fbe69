package relay

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"zegorelay/dispatch"
)

const (
	// subscriberRoom is how many events a subscriber may be behind.
	subscriberRoom = 256

	// diaryLength is how many events of a stream are kept for those who look later.
	diaryLength = 30
)

// news passes events on to those who want to know. Nobody who listens too slowly
// holds anybody up.
type news struct {
	missed atomic.Uint64 // events that a subscriber was too slow for

	mu          sync.Mutex
	last        uint64 // ID
	subscribers map[chan Event]bool
}

func newNews() *news { return &news{subscribers: make(map[chan Event]bool)} }

// publish gives e its ID and passes it on.
func (n *news) publish(e Event) Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last++
	e.ID = n.last
	for s := range n.subscribers {
		select {
		case s <- e:
		default:
			n.missed.Add(1)
		}
	}
	return e
}

// newest is the ID of the last event.
func (n *news) newest() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

// subscribe returns what happens from now on, until ctx ends.
func (n *news) subscribe(ctx context.Context) <-chan Event {
	s := make(chan Event, subscriberRoom)
	n.mu.Lock()
	n.subscribers[s] = true
	n.mu.Unlock()
	context.AfterFunc(ctx, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.subscribers, s)
		close(s)
	})
	return s
}

// diary is the newest events of a stream.
type diary struct {
	mu     sync.Mutex
	events []Event // oldest first
}

func (d *diary) note(e Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.events) == diaryLength {
		d.events = slices.Delete(d.events, 0, 1)
	}
	d.events = append(d.events, e)
}

func (d *diary) read() []Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.events)
}

// Levels of events, as the log has them.
const (
	levelInfo  = "info"
	levelWarn  = "warn"
	levelError = "error"
)

// tell says what has happened to the stream.
func (s *Stream) tell(kind EventKind, level, text, advice string) {
	s.diary.note(s.news.publish(Event{
		At: time.Now(), Kind: kind, Level: level,
		Stream: *s.name.Load(), StreamID: s.id, Direction: s.direction, Text: text, Advice: advice,
	}))
}

// tellRefused says that a client was turned away. The stream may be none of ours.
func (n *news) tellRefused(name, stream string, direction dispatch.Direction, remote, reason string) {
	n.publish(Event{
		At: time.Now(), Kind: EventRefused, Level: levelWarn, Stream: name, StreamID: stream, Direction: direction,
		Text: remote + " was refused: " + reason,
	})
}
