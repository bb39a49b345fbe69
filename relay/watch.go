package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"zegorelay/relay/rtmp"
)

const (
	// watchEvery is how often a session is asked what its node has received. A
	// short stall time asks for more.
	watchEvery   = 200 * time.Millisecond
	watchPerWait = 8

	// stepsPerWatch is how many moments there are to begin with that: not all
	// streams at once.
	stepsPerWatch = 10

	// paceOver is the least time over which rates are measured.
	paceOver = 3 * time.Second

	// calmAfter is how long a node has to keep up for its next trouble to be
	// told anew.
	calmAfter = 30 * time.Second
)

// mostFlights is how many writes may be under way: more than any node that
// acknowledges has.
const mostFlights = 4096

var errStalled = errors.New("no progress: the node takes nothing")

// flight is what one write carried: when the node has received the bytes up to
// end, it has received all messages before next.
type flight struct {
	end  uint64
	next uint64
}

// ledger is what a session's writer tells its watcher.
type ledger struct {
	mu       sync.Mutex
	underWay []flight // written and not known to be received, oldest first
	dropped  uint64   // messages left out since the watcher last looked
}

func (l *ledger) note(f flight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.underWay) == mostFlights {
		l.thin()
	}
	l.underWay = append(l.underWay, f)
}

// thin makes two flights one: what is known is less exact then. A node that never
// says what it has would have them pile up.
func (l *ledger) thin() {
	half := l.underWay[:0]
	for i := 1; i < len(l.underWay); i += 2 {
		half = append(half, l.underWay[i])
	}
	l.underWay = half
}

func (l *ledger) noteDropped(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped += n
}

// arrived takes out what ended before a position. All messages before next have
// arrived; false: nothing new has.
func (l *ledger) arrived(delivered uint64) (next uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n < len(l.underWay) && l.underWay[n].end <= delivered {
		n++
	}
	if n == 0 {
		return 0, false
	}
	next = l.underWay[n-1].next
	l.underWay = append(l.underWay[:0], l.underWay[n:]...)
	return next, true
}

func (l *ledger) takeDropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.dropped
	l.dropped = 0
	return n
}

// watch lets go of what the node has received, and ends a session whose node
// takes nothing although something is under way. It works beside the writer,
// which may hang in a write for as long as the node is slow. It blocks until ctx
// ends.
func (u *uplink) watch(ctx context.Context, end context.CancelCauseFunc) {
	every := min(watchEvery, u.s.o.StallTimeout/watchPerWait)
	inStep(ctx, every)
	tick := time.NewTicker(every)
	defer tick.Stop()
	now := time.Now()
	kernel, node := standstill{since: now}, standstill{since: now}
	defer u.s.link.note(rtmp.Progress{}, 0)
	begun := mark{at: now, in: u.s.counters.bytesIn.Load()}
	slow := slowness{marks: [2]mark{begun, begun}}
	for {
		select {
		case now := <-tick.C:
			p := u.upstream.Progress()
			u.settle(p)
			slow.look(u.s.Stream, now, p, u.ledger.takeDropped())
			stood := max(kernel.look(now, p.Acked, p.Known && p.Pending), node.look(now, p.Heard, p.Overdue))
			u.s.link.note(p, stood)
			if stood >= u.s.o.StallTimeout {
				end(errStalled)
				return
			}
		case <-ctx.Done():
			slow.look(u.s.Stream, time.Now(), u.upstream.Progress(), u.ledger.takeDropped())
			return
		}
	}
}

// inStep waits for the next of the moments at which all watchers wake that wake so
// often, or the end of ctx: a processor that is woken once looks after many.
func inStep(ctx context.Context, every time.Duration) {
	now := time.Now()
	step := every / stepsPerWatch
	timer := time.NewTimer(now.Truncate(step).Add(step).Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// settle lets go of what the node has received.
func (u *uplink) settle(p rtmp.Progress) {
	if next, ok := u.ledger.arrived(p.Delivered()); ok {
		u.s.backlog.release(next)
	}
}

// standstill measures for how long something has not moved although it should.
// The kernel's word and the node's are looked at both: a node may hang while its
// kernel still takes bytes, and not every node says what it has received. Where
// neither is heard, the write timeout has to do.
type standstill struct {
	at    uint64
	since time.Time
}

func (s *standstill) look(now time.Time, at uint64, shouldMove bool) time.Duration {
	if !shouldMove || at != s.at {
		s.at, s.since = at, now
	}
	return now.Sub(s.since)
}

// slowness tells of a node that takes less than the stream brings: once, until
// it has kept up for a while.
type slowness struct {
	marks   [2]mark // the older is what rates are measured from
	last    time.Time
	dropped uint64 // in this episode
}

// mark is how far the stream and the node were at a time.
type mark struct {
	at        time.Time
	in, acked uint64
}

func (w *slowness) look(s *Stream, now time.Time, p rtmp.Progress, dropped uint64) {
	here := mark{at: now, in: s.counters.bytesIn.Load(), acked: p.Acked}
	if now.Sub(w.marks[1].at) >= paceOver {
		w.marks[0], w.marks[1] = w.marks[1], here
	}
	switch {
	case dropped > 0:
		if w.dropped == 0 {
			s.log.Warn().Uint64(logDropped, dropped).Str(logAdvice, w.marks[0].advice(here)).
				Msg("media dropped: it was over the bounds of the backlog before a node could take it")
			s.tell(EventDropped, levelWarn, "media was dropped: it was over the bounds of the backlog before a node could take it",
				w.marks[0].advice(here))
		}
		w.dropped += dropped
		w.last = now
	case w.dropped > 0 && now.Sub(w.last) >= calmAfter:
		s.log.Info().Uint64(logDropped, w.dropped).Msg("the node caught up with the stream")
		w.dropped = 0
	}
}

// advice says what a person can do about a node that is too slow.
func (from mark) advice(to mark) string {
	took := to.at.Sub(from.at).Seconds()
	if took < 1 { // the session has just begun: it was an outage
		return "look at the node and the uplink: nothing could be sent for longer than the backlog lasts"
	}
	rate := func(bytes uint64) string { return fmt.Sprintf("%.1f Mbit/s", float64(bytes)*8/1e6/took) }
	carries, needs := rate(to.acked-from.acked), rate(to.in-from.in)
	return fmt.Sprintf("the uplink carries %s, the stream needs %s: lower the encoder's bit rate or free the uplink", carries, needs)
}
