package relay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"zegorelay/relay/rtmp"
)

const (
	// One write takes at most this much from the backlog: what it carries is
	// known to have arrived only as a whole. Who keeps up needs room for fewer
	// messages.
	batchMessages = 64
	batchBytes    = 256 << 10
	firstBatch    = 8

	// departEvery is how often a session that has sent all looks whether it has
	// arrived.
	departEvery = 20 * time.Millisecond

	// A node is asked to acknowledge so often, by the rate of the stream, which is
	// looked at every rateEvery.
	acksASecond = 4
	rateEvery   = 2 * time.Second

	// leavePatience is how long the end of a session in words may take: a goodbye
	// there, a close back.
	leavePatience = time.Second
)

// uplink is one upstream session: it carries the backlog to a node and knows
// what of it the node has received.
type uplink struct {
	s        *push
	at       contact
	upstream *rtmp.Upstream
	follower *follower
	clock    timeline
	ledger   ledger
	rated    mark // when the rate was last looked at

	// For feed, and while that sleeps for passOn.
	batch   []entry
	out     []rtmp.Message
	passing []entry
	passErr error

	saidGoodbye atomic.Bool
	ending      error // why the node's side ended; of listen, for who has waited for it
}

func newUplink(s *push, at contact) *uplink {
	return &uplink{
		s: s, at: at, upstream: at.upstream, follower: s.backlog.follow(),
		batch: make([]entry, 0, firstBatch),
	}
}

// run blocks until the session is over. It returns nil when all that it was to
// carry is delivered: the encoder is gone, or back with other tracks. Else it
// returns why the session ended before.
func (u *uplink) run(ctx context.Context) error {
	if !u.upstream.Progress().Known {
		u.upstream.SetWriteTimeout(u.s.o.StallTimeout) // nobody else would notice a node that takes nothing
	}
	u.upstream.UsePool(u.s.backlog.memory.pool)
	session, end := context.WithCancelCause(ctx)
	defer stopWith(session, u.upstream)()
	defer func() {
		if !isLeaving(session) { // else what it has read last may not have been written yet
			u.follower.close()
		}
	}()
	sending, stop := context.WithCancelCause(session)
	defer stop(nil)

	var listener, watcher sync.WaitGroup
	defer u.s.mayMoveOn(func() {
		stop(errRedispatch)
		time.AfterFunc(leavePatience, func() { end(errRedispatch) }) // if a write hangs
	})()

	listener.Go(func() { u.listen(stop, end) })
	watcher.Go(func() { u.watch(session, end) })

	err := u.feed(sending)
	u.countDropped() // since the last write
	switch {
	case errors.Is(err, errDrained), errors.Is(err, errOtherTracks):
		if err = u.depart(sending); err == nil {
			listener.Wait() // for the node's answer to our goodbye, or its deadline
			err = u.conclude()
		}
	case endsInWords(err), errors.Is(err, errRedispatch):
		_ = u.upstream.Unpublish() // so that the node frees the name
		if _, moved := elsewhere(err, u.at.target); moved || errors.Is(err, errRedispatch) {
			listener.Wait() // until it has
		}
	}
	end(err)
	listener.Wait()
	watcher.Wait()
	u.settle(u.upstream.Progress())
	switch {
	case err == nil, errors.Is(err, errNoFarewell), errors.Is(err, errRedispatch):
		return err
	case isLeaving(session) && endsInWords(u.ending):
		return u.ending // another process has nothing to go on with
	default:
		return context.Cause(session) // the first to know knows best
	}
}

// listen reads what the node sends until the session is over. A node that ends
// it in words is sent nothing more, and has time to hear a goodbye.
func (u *uplink) listen(stop, end context.CancelCauseFunc) {
	u.ending = guarded(u.upstream.Serve)
	if u.saidGoodbye.Load() && rtmp.IsUnpublished(u.ending) {
		u.ending = guarded(u.upstream.Serve) // an answer to that; the close follows
	}
	stop(u.ending)
	if !endsInWords(u.ending) {
		end(u.ending)
		return
	}
	time.AfterFunc(leavePatience, func() { end(u.ending) })
	if _, moved := elsewhere(u.ending, u.at.target); moved {
		_ = guarded(u.upstream.Serve)
	}
}

// endsInWords reports whether the node has said that a session is over, on a
// connection that still stands.
func endsInWords(err error) bool {
	var status *rtmp.StatusError
	return errors.As(err, &status)
}

// conclude judges a session by how the node ended it after our goodbye. One that
// has closed in order has read all that came before. One that is mute, or says
// something else, or resets the connection with a lot unacknowledged, may have
// died: another node gets what this one is not known to have. Once, for it may
// also be one that always ends like that.
func (u *uplink) conclude() error {
	isDoubtful := errors.Is(u.ending, os.ErrDeadlineExceeded) || endsInWords(u.ending) ||
		!errors.Is(u.ending, rtmp.ErrPeerClosed) && u.upstream.Progress().Overdue
	if isDoubtful && !u.s.wasDoubtful {
		u.s.wasDoubtful = true
		return fmt.Errorf("%w: %w", errNoFarewell, u.ending)
	}
	u.s.wasDoubtful = false
	u.s.backlog.release(u.follower.next)
	return nil
}

var errNoFarewell = errors.New("the node doesn't answer our goodbye")

// feed writes what the backlog has, as it comes, until the backlog is drained
// or the session is lost.
func (u *uplink) feed(ctx context.Context) error {
	u.follower.deputy = u.passOn
	if err := u.flush(); err != nil { // what another process has left
		return err
	}
	for {
		batch, asleep, err := u.follower.take(u.batch[:0], batchBytes)
		switch {
		case err != nil:
			return err
		case asleep:
			err = u.follower.sleep(ctx)
		default:
			u.note(batch, u.upstream.Queue(u.messages(batch)...))
		}
		if err != nil {
			return err
		}
		// Also behind a sleep: what could not be passed on without waiting.
		if err := u.flush(); err != nil {
			return err
		}
	}
}

// flush writes what is queued.
func (u *uplink) flush() error {
	err := u.upstream.Flush()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errStalled
	case err != nil:
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// passOn writes what has just come in, as far as the node takes it at once: feed
// sleeps, and it is the encoder's goroutine that does this.
func (u *uplink) passOn() (done bool) {
	u.passing = nil
	end, done := u.upstream.TrySend(u.pass)
	if len(u.passing) > 0 {
		u.note(u.passing, end)
	}
	return done && u.passErr == nil
}

// pass takes what passOn sends.
func (u *uplink) pass() []rtmp.Message {
	u.passing, u.passErr = u.follower.grab(u.batch[:0], batchBytes)
	return u.messages(u.passing)
}

// messages are those of a batch on the session's clock, behind what else is to be
// said.
func (u *uplink) messages(batch []entry) []rtmp.Message {
	u.out = u.out[:0]
	if len(batch) == 0 {
		return nil
	}
	if window, ok := u.window(batch[len(batch)-1].at); ok {
		u.out = append(u.out, window)
	}
	for i := range batch {
		m := batch[i].Message
		m.Timestamp = u.clock.at(m.Timestamp)
		u.out = append(u.out, m)
	}
	return u.out
}

// note keeps the books of a batch that is queued, up to end.
func (u *uplink) note(batch []entry, end uint64) {
	size := 0
	for i := range batch {
		size += len(batch[i].Payload)
	}
	u.s.counters.bytesOut.Add(uint64(size))
	u.ledger.note(flight{end: end, next: u.follower.next})
	u.count(len(batch))
	clear(batch) // the payloads are the backlog's to keep, not ours
	clear(u.out)
	switch {
	case len(batch) >= cap(u.batch) && len(batch) < batchMessages: // more is waiting
		u.batch = make([]entry, 0, 2*cap(u.batch))
	case len(batch) < firstBatch/2 && cap(u.batch) > firstBatch: // it has caught up
		u.batch, u.out = make([]entry, 0, firstBatch), nil
	}
}

// window fits the node's Acknowledgements to the rate of the stream: each of them
// wakes us.
func (u *uplink) window(now time.Time) (m rtmp.Message, ok bool) {
	here := mark{at: now, in: u.s.counters.bytesOut.Load()}
	took := here.at.Sub(u.rated.at)
	if took < rateEvery {
		return m, false
	}
	if !u.rated.at.IsZero() {
		m, ok = u.upstream.Window(int(float64(here.in-u.rated.in) / took.Seconds() / acksASecond))
	}
	u.rated = here
	return m, ok
}

// count keeps the books of the batch of n messages that the follower has just
// read.
func (u *uplink) count(n int) {
	c := &u.s.counters
	c.messagesOut.Add(uint64(n))
	from, next, written := u.follower.from, u.follower.next, u.s.written.Load()
	if from < written {
		c.replayed.Add(min(next, written) - from)
	}
	u.s.written.Store(max(written, next))
	u.countDropped()
}

// countDropped keeps the books of what the follower has left out.
func (u *uplink) countDropped() {
	if lost := u.follower.dropped; lost > 0 {
		u.follower.dropped = 0
		u.s.counters.dropped.Add(lost)
		u.ledger.noteDropped(lost)
	}
}

// depart waits until nothing is under way any more, as far as the kernel knows,
// and says goodbye.
func (u *uplink) depart(ctx context.Context) error {
	u.s.enter(Draining, u.at.node.Host())
	tick := time.NewTicker(departEvery)
	defer tick.Stop()
	for u.upstream.Progress().Pending {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	u.saidGoodbye.Store(true)
	return u.upstream.Unpublish()
}
