package relay

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"zegorelay/relay/rtmp"
)

// takeoverGrace is the least time for which the upstream of an encoder that was
// taken over from is held.
const takeoverGrace = 2 * time.Second

// errTakenOver ends an encoder's session for the sake of another's.
var errTakenOver = errors.New("another encoder publishes this stream now")

// publisher is one encoder's stay on a stream.
type publisher struct {
	id       uint64
	since    time.Time
	session  *rtmp.Session
	remote   string
	addr     netip.Addr
	tookOver bool // from an encoder that was still sending

	seam  seam
	pace  pace
	heard atomic.Int64          // when it last sent a message, in ns since the epoch of its stream
	cause atomic.Pointer[error] // why we have ended it; nil: we haven't
	left  chan struct{}         // closed when it will append no more

	file *os.File // its connection, for another process; nil: it stays here
}

func newPublisher(session *rtmp.Session) *publisher {
	remote := session.RemoteAddr()
	return &publisher{since: time.Now(), session: session, remote: remote.String(), addr: addrOf(remote), left: make(chan struct{})}
}

// end ends the publisher's session for a cause, if nobody has done so before. It doesn't
// wait for that.
func (p *publisher) end(cause error) {
	p.cause.CompareAndSwap(nil, &cause)
	_ = p.session.Close()
}

// endedBy is why we have ended the publisher's session, nil if we haven't.
func (p *publisher) endedBy() error {
	if cause := p.cause.Load(); cause != nil {
		return *cause
	}
	return nil
}

// leftWithin waits for the publisher's end and reports whether it has come.
func (p *publisher) leftWithin(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.left:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// seat is the encoder's place on a stream: taken, held for the encoder that was
// lost, or given up for good.
type seat struct {
	mu      sync.Mutex
	holder  *publisher // nil: nobody at the moment
	last    *publisher // who has it or had it
	lost    time.Time  // since when nobody has it
	grace   *time.Timer
	until   time.Time     // when grace is over
	over    bool          // nobody will have it any more
	changed chan struct{} // closed at the next change of all this
}

func (s *seat) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// sit gives the stream to p, if nobody has it. It returns who has it otherwise,
// or nil once the stream has ended.
func (s *push) sit(p *publisher) (ok bool, holder *publisher) {
	s.seat.mu.Lock()
	defer s.seat.mu.Unlock()
	if s.seat.over || s.seat.holder != nil {
		return false, s.seat.holder
	}
	if s.seat.grace != nil {
		s.seat.grace.Stop()
		s.seat.grace = nil
	}
	p.seam.open = s.backlog.hasBegun()
	s.backlog.setUnhurried(false)
	p.heard.Store(int64(time.Since(s.since)))
	s.seat.holder, s.seat.last, s.seat.lost = p, p, time.Time{}
	s.seat.change()
	s.attend(true)
	return true, nil
}

// leave says that p will append no more, for a reason. A goodbye ends the stream, also
// one that is not the encoder's; else it is held for the encoder's return. It returns
// for how long.
func (s *push) leave(p *publisher, reason error, isGoodbye bool) (held time.Duration) {
	s.seat.mu.Lock()
	defer s.seat.mu.Unlock()
	close(p.left)
	s.seat.holder, s.seat.lost = nil, time.Now()
	s.seat.change()
	s.attend(false)
	held = s.o.Grace
	if errors.Is(reason, errTakenOver) || errors.Is(reason, errLeaving) {
		held = max(held, takeoverGrace)
		isGoodbye = false // another encoder is there, or will be
	}
	if isGoodbye || held <= 0 {
		s.endLocked()
		return 0
	}
	s.holdLocked(held)
	return held
}

// holdLocked holds the seat for an encoder that may come back within patience. The
// caller holds the seat's lock.
func (s *push) holdLocked(patience time.Duration) {
	s.seat.until = time.Now().Add(patience)
	var timer *time.Timer
	timer = time.AfterFunc(patience, func() {
		s.seat.mu.Lock()
		defer s.seat.mu.Unlock()
		if s.seat.grace == timer {
			s.log.Info().Stringer(logAfter, rounded(patience)).Msg("the encoder did not come back")
			s.endLocked()
		}
	})
	s.seat.grace = timer
}

// endLocked gives the seat up for good. The stream delivers what it has and
// ends, at the latest after the drain timeout. The caller holds the seat's lock.
func (s *push) endLocked() {
	if s.seat.over {
		return
	}
	s.seat.over, s.seat.grace = true, nil
	s.seat.change()
	s.backlog.close()
	close(s.gone)
	time.AfterFunc(s.o.DrainTimeout, func() { s.cut(errDrainTimeout) })
}
