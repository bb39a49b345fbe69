package relay

import (
	"math"
	"slices"
	"sync"
	"time"

	"zegorelay/relay/rtmp"
)

// backlog joins the encoder's session and the node's sessions: the media
// messages of one stream in order, from the last starting point at or before
// what the node is known to have received up to now. The encoder appends and
// never waits; followers read, each at its own cursor.
//
// Messages have sequence numbers that count from 0 for the life of the stream.
// What is dropped and no follower's reader looks at goes back to its pool.
type backlog struct {
	maxAge   time.Duration
	maxBytes int
	memory   *memory // of the process, which all backlogs share

	mu        sync.Mutex
	entries   entries // the oldest has the sequence number first
	first     uint64
	bytes     int     // what entries take
	base      headers // in force just before the oldest
	starts    starts
	epoch     uint32
	begun     bool   // there has been a starting point …
	origin    uint64 // … and this was the first
	received  uint64 // all before it has reached the node
	closed    bool   // the encoder is gone: no more will be appended
	unhurried bool   // what is sent is no live stream: it doesn't age
	lost      drops  // given up before a node had it
	inDoubt   drops  // … or while one was being sent it
	followers []*follower
	sleepers  []*follower // of these, wait for something to read

	// For who appends.
	lent      []*follower // were asleep, and are acted for
	announced uint64      // all before it has been told of
}

// starts knows where a session can begin: at a keyframe, or, as long as there
// is no picture, at any frame of sound.
type starts struct{ hasVideo bool }

func (s *starts) at(e entry) bool {
	s.hasVideo = s.hasVideo || e.Type == rtmp.TypeVideo
	return e.info.Kind == rtmp.Keyframe ||
		e.info.Kind == rtmp.Frame && e.Type == rtmp.TypeAudio && !s.hasVideo
}

// newBacklog returns an empty backlog. It is the caller's to give it back to
// memory when it is no longer needed.
func newBacklog(maxAge time.Duration, maxBytes int, memory *memory) *backlog {
	b := &backlog{maxAge: maxAge, maxBytes: maxBytes, memory: memory, entries: entries{spare: &memory.blocks}}
	memory.join(b)
	return b
}

// append adds a message from the encoder and lets go of what is no longer
// needed or over a bound. It never blocks on a follower. Those that sleep don't
// notice before announce.
func (b *backlog) append(e entry) {
	b.mu.Lock()
	b.appendLocked(e)
	b.bound(e.at)
	b.mu.Unlock()
	b.memory.bound()
}

// rejoin adds the first starting point of an encoder that goes on with the
// stream, with the headers that it has sent before. Where these don't fit the
// ones in force another epoch begins; else only those that changed are added.
func (b *backlog) rejoin(opening headers, e entry) {
	b.mu.Lock()
	inForce := b.headersAt(b.end())
	if inForce.sameTracks(opening) {
		for _, h := range opening {
			if inForce.apply(h) {
				h.Timestamp = e.Timestamp
				b.appendLocked(h)
			}
		}
	} else {
		b.epoch++
		b.starts = starts{}
		for _, h := range opening {
			b.starts.at(h)
		}
		own := slices.Clone(opening)
		e.opening = &own
	}
	b.appendLocked(e)
	b.bound(e.at)
	b.mu.Unlock()
	b.memory.bound()
}

// announce tells the followers that sleep of what was appended since the last time.
// A follower with a deputy is not woken: who announces does its work, as long as
// that doesn't block. One goroutine at a time may append and announce.
func (b *backlog) announce() {
	b.mu.Lock()
	if b.announced != b.end() {
		b.announced = b.end()
		b.wake()
	}
	lent := b.lent
	b.lent = b.lent[:0]
	b.mu.Unlock()
	for _, f := range lent {
		f.deputise()
	}
}

// appendLocked adds e. The caller holds the lock.
func (b *backlog) appendLocked(e entry) {
	e.start, e.epoch = b.starts.at(e), b.epoch
	if !b.begun {
		if !e.start {
			// No session can begin before the first starting point: of what comes
			// before it only the headers will ever be of use.
			b.base.apply(e)
			b.first++
			return
		}
		b.begun, b.origin = true, b.first
	}
	b.entries.add(&e)
	b.bytes += e.size()
	b.memory.used.Add(int64(e.size()))
}

// showsVideo reports whether the newest epoch has a picture.
func (b *backlog) showsVideo() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.starts.hasVideo
}

// hasBegun reports whether there has been anything to play.
func (b *backlog) hasBegun() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.begun
}

// release says that the node has received all messages before seq. What no
// replay will need any more is dropped.
func (b *backlog) release(seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.received = max(b.received, seq)
	if b.received >= b.first {
		b.inDoubt = drops{} // it had it
	}
	if start, ok := b.startAtOrBefore(b.received); ok {
		b.drop(int(start-b.first), dropAge)
	}
}

// lag is the age of the oldest message that no node is known to have.
func (b *backlog) lag(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if seq := max(b.received, b.first); seq < b.end() {
		return now.Sub(b.at(seq).at)
	}
	return 0
}

// close says that the encoder is gone. Followers read to the end.
func (b *backlog) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, f := range b.sleepers {
		f.wake()
	}
	b.sleepers = b.sleepers[:0]
}

// settled reports whether the encoder is gone and nothing is left to deliver.
func (b *backlog) settled() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed && b.owed() == 0
}

// undelivered is the number of messages that no node is known to have received.
func (b *backlog) undelivered() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.owed()
}

// owed counts from the first starting point on: what came before it was never
// of use to anybody.
func (b *backlog) owed() uint64 {
	if !b.begun {
		return 0
	}
	return b.end() - max(b.received, b.origin)
}

// held is what the backlog keeps now: bytes, and the age of the oldest message.
func (b *backlog) held(now time.Time) (bytes int, age time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.entries.len() == 0 {
		return 0, 0
	}
	return b.bytes, now.Sub(b.entries.at(0).at)
}

// hasBehind reports whether more than so many bytes come behind seq.
func (b *backlog) hasBehind(seq uint64, bytes int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := b.end(); bytes >= 0 && s > max(seq, b.first); s-- {
		bytes -= b.at(s - 1).size()
	}
	return bytes < 0
}

// setUnhurried says whether messages wait for a node however long it takes.
func (b *backlog) setUnhurried(unhurried bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unhurried = unhurried
}

// end is the sequence number that the next message will have.
func (b *backlog) end() uint64 { return b.first + uint64(b.entries.len()) }

// at is the entry with a sequence number that is in the backlog.
func (b *backlog) at(seq uint64) *entry { return b.entries.at(int(seq - b.first)) }

// bound drops what is over age or size: whole GOPs, oldest first. Within a
// single GOP that is too long it drops message by message: a follower that
// keeps up doesn't care, and no other could use half a GOP.
func (b *backlog) bound(now time.Time) {
	for b.entries.len() > 1 {
		switch {
		case b.bytes > b.maxBytes:
			b.dropOldest(dropBytes)
		case !b.unhurried && now.Sub(b.entries.at(0).at) > b.maxAge:
			b.dropOldest(dropAge)
		default:
			return
		}
	}
}

// dropOldest drops the oldest GOP, or of the only one its oldest message.
func (b *backlog) dropOldest(reason dropReason) {
	n := 1
	if next, ok := b.startAtOrAfter(b.first + 1); ok {
		n = int(next - b.first)
	}
	b.drop(n, reason)
}

// drop forgets the n oldest entries. Their headers stay in force. The reason is for
// those that no node has.
func (b *backlog) drop(n int, reason dropReason) {
	size := 0
	held := b.firstHeld()
	for i := range n {
		e := b.entries.at(i)
		b.base.apply(*e)
		b.loses(b.first+uint64(i), e, reason)
		size += e.size()
		if isFrame := e.info.Kind == rtmp.Frame || e.info.Kind == rtmp.Keyframe; isFrame && b.first+uint64(i) < held {
			e.Recycle() // headers stay in force; the backlog was the last to hold it
		}
	}
	b.bytes -= size
	b.memory.used.Add(int64(-size))
	b.entries.drop(n)
	b.first += uint64(n)
}

// firstHeld is the first message that some follower's reader may still look at.
func (b *backlog) firstHeld() uint64 {
	first := uint64(math.MaxUint64)
	for _, f := range b.followers {
		if f.holds {
			first = min(first, f.from)
		}
	}
	return first
}

// startAtOrBefore finds the last starting point that is not behind seq.
func (b *backlog) startAtOrBefore(seq uint64) (uint64, bool) {
	if b.entries.len() == 0 {
		return 0, false
	}
	for s := min(seq, b.end()-1) + 1; s > b.first; s-- {
		if b.at(s - 1).start {
			return s - 1, true
		}
	}
	return 0, false
}

// startAtOrAfter finds the first starting point that is not before seq.
func (b *backlog) startAtOrAfter(seq uint64) (uint64, bool) {
	for s := seq; s < b.end(); s++ {
		if b.at(s).start {
			return s, true
		}
	}
	return 0, false
}

// headersAt is what a session that begins at seq has to begin with.
func (b *backlog) headersAt(seq uint64) headers {
	h := append(headers(nil), b.base...)
	for i := range b.entries.len() {
		switch at, e := b.first+uint64(i), b.entries.at(i); {
		case at < seq:
			h.apply(*e)
		case at == seq && e.opening != nil:
			return *e.opening
		}
	}
	return h
}

// wake ends the sleep of all followers: of some by waking them, of those with a
// deputy by lending them to who announces.
func (b *backlog) wake() {
	for _, f := range b.sleepers {
		if f.deputy != nil {
			b.lent = append(b.lent, f)
		} else {
			f.wake()
		}
	}
	clear(b.sleepers)
	b.sleepers = b.sleepers[:0]
}
