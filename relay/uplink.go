package relay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"zegorelay/relay/rtmp"
)

const (
	// One write takes at most this much from the backlog, so that the write
	// timeout speaks of a node that stands still and not of one that is slow.
	batchMessages = 64
	batchBytes    = 256 << 10

	// settleEvery is how often the node's word on what it received is asked for
	// while messages flow.
	settleEvery = 200 * time.Millisecond

	// departEvery is how often it is while nothing is left to send.
	departEvery = 20 * time.Millisecond
)

var errStalled = errors.New("no progress: the node takes nothing")

// uplink is one upstream session: it carries the backlog to a node and knows
// what of it the node has received.
type uplink struct {
	s        *Stream
	node     string
	upstream *rtmp.Upstream
	follower *follower
	clock    timeline

	underWay []flight // written and not known to be received, oldest first
	settled  time.Time

	acked    uint64    // what the kernel last said …
	progress time.Time // … and when that was news
}

// flight is what one write carried: when the node has received the bytes up to
// end, it has received all messages before next.
type flight struct {
	end  uint64
	next uint64
}

func newUplink(s *Stream, node string, upstream *rtmp.Upstream) *uplink {
	return &uplink{s: s, node: node, upstream: upstream, follower: s.backlog.follow(), progress: time.Now()}
}

// run blocks until the session is over. It returns nil when the encoder is gone
// and all that it sent is delivered, else why the session ended before.
func (u *uplink) run(ctx context.Context) error {
	u.upstream.SetWriteTimeout(u.s.o.StallTimeout)
	ctx, end := context.WithCancelCause(ctx)
	defer context.AfterFunc(ctx, func() { _ = u.upstream.Close() })()

	var listener sync.WaitGroup
	listener.Go(func() { end(guarded(u.upstream.Serve)) })

	err := u.feed(ctx)
	if errors.Is(err, errDrained) {
		err = u.depart(ctx)
	}
	if err == nil {
		listener.Wait() // for the node's answer to our goodbye, or its deadline
		u.s.backlog.release(u.follower.next)
	}
	end(err)
	listener.Wait()
	u.settle()
	if err != nil {
		return context.Cause(ctx) // the first to know knows best
	}
	return nil
}

// feed writes what the backlog has, as it comes, until the backlog is drained
// or the session is lost.
func (u *uplink) feed(ctx context.Context) error {
	tick := time.NewTicker(u.s.o.StallTimeout / 8)
	defer tick.Stop()
	batch := make([]entry, 0, batchMessages)
	for {
		var err error
		batch, err = u.follower.read(ctx, tick.C, batch[:0], batchBytes)
		if err != nil {
			return err
		}
		if len(batch) > 0 {
			if err := u.write(batch); errors.Is(err, os.ErrDeadlineExceeded) {
				return errStalled
			} else if err != nil {
				return fmt.Errorf("write: %w", err)
			}
			if time.Since(u.settled) < settleEvery {
				continue
			}
		}
		u.settle()
		if err := u.checkProgress(); err != nil {
			return err
		}
	}
}

// write sends a batch in one system call.
func (u *uplink) write(batch []entry) error {
	var end uint64
	for i := range batch {
		m := batch[i].Message
		m.Timestamp = u.clock.at(m.Timestamp)
		end = u.upstream.Queue(m)
		u.s.counters.bytesOut.Add(uint64(len(m.Payload)))
	}
	clear(batch) // the payloads are the backlog's to keep, not ours
	u.underWay = append(u.underWay, flight{end: end, next: u.follower.next})
	u.count(len(batch))
	return u.upstream.Flush()
}

// count keeps the books of the batch of n messages that the follower has just
// read.
func (u *uplink) count(n int) {
	c := &u.s.counters
	c.messagesOut.Add(uint64(n))
	from, next := u.follower.from, u.follower.next
	if from < u.s.written {
		c.replayed.Add(min(next, u.s.written) - from)
	}
	u.s.written = max(u.s.written, next)
	if lost := u.follower.dropped; lost > 0 {
		u.follower.dropped = 0
		c.dropped.Add(lost)
		u.s.log.Warn().Uint64(logDropped, lost).
			Msg("media dropped: it was over the bounds of the backlog before a node could take it")
	}
}

// settle lets go of what the node has received.
func (u *uplink) settle() {
	u.settled = time.Now()
	delivered := u.upstream.Delivered()
	n := 0
	for n < len(u.underWay) && u.underWay[n].end <= delivered {
		n++
	}
	if n > 0 {
		u.s.backlog.release(u.underWay[n-1].next)
		u.underWay = append(u.underWay[:0], u.underWay[n:]...)
	}
}

// checkProgress ends a session whose node takes nothing although something is
// under way. Where the kernel doesn't tell, the write timeout has to do.
func (u *uplink) checkProgress() error {
	p := u.upstream.Progress()
	switch {
	case !p.Known:
	case p.Acked != u.acked || !p.Pending:
		u.acked, u.progress = p.Acked, time.Now()
	case time.Since(u.progress) >= u.s.o.StallTimeout:
		return errStalled
	}
	return nil
}

// depart waits until nothing is under way any more, as far as the kernel knows,
// and says goodbye.
func (u *uplink) depart(ctx context.Context) error {
	u.s.enter(Draining, u.node)
	tick := time.NewTicker(departEvery)
	defer tick.Stop()
	for u.upstream.Progress().Pending {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := u.checkProgress(); err != nil {
			return err
		}
	}
	return u.upstream.Unpublish()
}
