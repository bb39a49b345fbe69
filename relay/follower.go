package relay

import (
	"context"
	"errors"
	"slices"
)

// errOtherTracks says that what follows needs a session of its own.
var errOtherTracks = errors.New("the encoder is back with other tracks")

// errDrained says that a follower has read all there ever will be. It is not
// io.EOF, which a lost node's error may wrap.
var errDrained = errors.New("the backlog is drained")

// role is what a follower reads for.
type role int

const (
	// carrier is the session with a node: nobody is owed any more what it leaves
	// out, and it carries one epoch only.
	carrier role = iota
	// viewer is a player: it leaves no trace.
	viewer
)

// follower reads a backlog from a starting point on. What it reads makes a
// complete session: headers first, then from a keyframe on without a gap. One
// that is so slow that what it comes to next is gone goes on at the newest
// keyframe, with the headers that changed in between.
//
// A follower is for one goroutine. While that one sleeps, who appends to the
// backlog may do its work for it, on its own goroutine, if that doesn't block: two
// goroutines that hand each message over cost more than the message.
type follower struct {
	b     *backlog
	role  role
	holds bool    // the reader may look at what was read last, from from on
	from  uint64  // sequence number of the first message of the last read
	next  uint64  // … and of the next message
	lost  bool    // next is not where the last read ended: a start is needed
	begun bool    // something has been read …
	epoch uint32  // … of this epoch
	given headers // what the reader has been given
	woken chan struct{}

	// deputy, if not nil, does what the sleeping goroutine would do with what there
	// is to be read, and reports whether all of it is done.
	deputy func() bool
	rising bool  // who sleeps has had enough, and waits for its deputy; guarded by the backlog's lock
	broken error // what the deputy has panicked with

	dropped uint64 // messages that were gone before they were read
}

// follow returns a follower that begins at the last starting point at or
// before the first message that the node has not received.
func (b *backlog) follow() *follower {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := &follower{b: b, next: b.received, lost: true, woken: make(chan struct{}, 1)}
	if start, ok := b.startAtOrBefore(b.received); ok {
		f.next = start
	}
	if b.received < b.first {
		b.lost.add(&b.inDoubt) // the node before f never had it
	}
	b.followers = append(b.followers, f)
	return f
}

// view returns a follower that begins with the newest GOP.
func (b *backlog) view() *follower {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := &follower{b: b, role: viewer, next: b.end(), lost: true, woken: make(chan struct{}, 1)}
	if start, ok := b.startAtOrBefore(b.end()); ok {
		f.next = start
	}
	b.followers = append(b.followers, f)
	return f
}

// close ends f. Its reader has let go of all that it has read.
func (f *follower) close() {
	f.b.mu.Lock()
	defer f.b.mu.Unlock()
	f.b.followers = slices.DeleteFunc(f.b.followers, func(other *follower) bool { return other == f })
}

// read is take, but waits until there is something to be read. Its error may be why
// ctx ended, too.
func (f *follower) read(ctx context.Context, dst []entry, maxBytes int) ([]entry, error) {
	for {
		got, asleep, err := f.take(dst, maxBytes)
		if !asleep {
			return got, err
		}
		if err := f.sleep(ctx); err != nil {
			return dst, err
		}
	}
}

// sleep waits, behind a take that has found nothing, for something to read, or for
// something that the deputy couldn't do. Its error is why ctx ended, or a bug of the
// deputy's.
func (f *follower) sleep(ctx context.Context) error {
	select {
	case <-f.woken:
		return f.broken
	case <-ctx.Done():
		f.rise()
		return context.Cause(ctx)
	}
}

func (f *follower) wake() { f.woken <- struct{}{} } // has room for one, and f sleeps once: never blocks

// deputise does the work of f, whose goroutine sleeps, and wakes it for what
// remains. A bug in that work ends f's session, as if its own goroutine had had it,
// and not who appends.
func (f *follower) deputise() {
	done := false
	broken := guarded(func() error { done = f.deputy(); return nil })
	b := f.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if done && !b.closed && !f.rising && f.next == b.end() {
		b.sleepers = append(b.sleepers, f)
		return
	}
	f.broken = broken
	f.wake()
}

// take appends to dst what is there to be read: at most cap(dst) messages and
// about maxBytes. The payloads are the backlog's, and good until the next take or
// the close. Its error is errDrained at the end, errOtherTracks where the session
// can't go on. The sequence numbers of what was taken, opening headers apart, are
// f.from up to f.next. Asleep says that there was nothing, and that f has to sleep.
func (f *follower) take(dst []entry, maxBytes int) (got []entry, asleep bool, err error) {
	b := f.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if got, err = f.takeLocked(dst, maxBytes); err == nil && len(got) == 0 {
		b.sleepers = append(b.sleepers, f)
		return got, true, nil
	}
	return got, false, err
}

// grab is take, for a deputy: it never falls asleep.
func (f *follower) grab(dst []entry, maxBytes int) (got []entry, err error) {
	f.b.mu.Lock()
	defer f.b.mu.Unlock()
	return f.takeLocked(dst, maxBytes)
}

// takeLocked is take without falling asleep. The caller holds the backlog's lock.
func (f *follower) takeLocked(dst []entry, maxBytes int) (got []entry, err error) {
	b := f.b
	f.holds = false
	if f.next < b.first {
		f.fallBehind()
	}
	if f.lost {
		dst = f.recover(dst)
	}
	f.from = f.next
	others := false
	for size := 0; !f.lost && f.next < b.end() && len(dst) < cap(dst) && size < maxBytes; f.next++ {
		e := *b.at(f.next)
		if others = f.begun && e.epoch != f.epoch; others {
			break
		}
		f.begun, f.epoch = true, e.epoch
		f.given.apply(e)
		dst = append(dst, e)
		size += len(e.Payload)
	}
	switch {
	case len(dst) > 0:
		f.holds = true
		return dst, nil
	case others && f.role == carrier:
		return dst, errOtherTracks
	case others:
		f.begun, f.given, f.lost = false, nil, true // the new epoch's headers come first
		return f.takeLocked(dst, maxBytes)
	case b.closed:
		return dst, errDrained
	}
	return dst, nil
}

// rise undoes falling asleep.
func (f *follower) rise() {
	f.b.mu.Lock()
	if i := slices.Index(f.b.sleepers, f); i >= 0 {
		f.b.sleepers = slices.Delete(f.b.sleepers, i, i+1)
		f.b.mu.Unlock()
		return
	}
	f.rising = true
	f.b.mu.Unlock()
	<-f.woken // it was woken in the meantime, or will be when its deputy is done
}

// fallBehind leaves what is gone, and, to be up to date again, all that is not
// of the newest GOP. Who has read nothing yet may have the rest: it comes after
// an outage, not too slow.
func (f *follower) fallBehind() {
	b := f.b
	f.skipTo(b.first)
	if !f.begun {
		return
	}
	if start, ok := b.startAtOrBefore(b.end()); ok {
		for seq := f.next; f.role == carrier && seq < start; seq++ {
			b.loses(seq, b.at(seq), dropSlow)
		}
		f.skipTo(start)
		if f.role == carrier {
			b.received = max(b.received, start)
		}
	}
}

// recover moves f to the next starting point, if there is one yet, and appends
// the headers that the reader lacks there.
func (f *follower) recover(dst []entry) []entry {
	start, ok := f.b.startAtOrAfter(f.next)
	if !ok {
		if f.role == carrier && f.begun {
			for seq := f.next; seq < f.b.end(); seq++ { // it waits for the next keyframe
				f.b.loses(seq, f.b.at(seq), dropSlow)
			}
		}
		f.skipTo(f.b.end())
		return dst
	}
	f.skipTo(start)
	f.lost = false
	if f.begun && f.b.at(start).epoch != f.epoch {
		return dst
	}
	for _, h := range f.b.headersAt(start) {
		if f.given.apply(h) {
			h.Timestamp = f.b.at(start).Timestamp
			dst = append(dst, h)
		}
	}
	return dst
}

// skipTo leaves out the messages before seq. What came before the stream's
// first starting point was never of use to anybody and is not counted.
func (f *follower) skipTo(seq uint64) {
	if f.b.begun && seq > f.b.origin {
		f.dropped += seq - max(f.next, f.b.origin)
	}
	f.next, f.lost = seq, true
}
