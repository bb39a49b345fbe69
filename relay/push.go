package relay

import (
	"context"
	"sync/atomic"
	"time"

	"zegorelay/dispatch"
	"zegorelay/relay/rtmp"
)

// push is the errand of a stream that is published here: encoders sit on its
// seat, one at a time, and what they send goes to a node.
type push struct {
	*Stream

	seat     seat
	verdicts chan error // takes the result of the first dispatch, once

	// For run; written may be read by anybody.
	written     atomic.Uint64 // all before it has been written to some node
	wasDoubtful bool          // the last goodbye had no good answer
}

// newPush makes a stream without an encoder; cut must end the context that run
// is given.
func newPush(id, name string, o Options, with *shared, cut context.CancelCauseFunc) *push {
	p := &push{
		Stream:   newStream(id, name, dispatch.Push, o, with, cut),
		seat:     seat{changed: make(chan struct{})},
		verdicts: make(chan error, 1),
	}
	p.errand = p
	return p
}

// needsNode waits until the stream has an encoder or something to deliver. It
// reports false when the stream is over, or ctx is.
func (p *push) needsNode(ctx context.Context) bool {
	for ctx.Err() == nil && !p.settled() {
		p.seat.mu.Lock()
		taken, changed := p.seat.holder != nil, p.seat.changed
		p.seat.mu.Unlock()
		if taken || p.backlog.undelivered() > 0 {
			return true
		}
		p.enter(Idle, "")
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return false
}

func (p *push) claim(ctx context.Context, node *rtmp.Upstream) error { return node.Publish(ctx) }

func (p *push) carry(ctx context.Context, at *node) error {
	if at.uplink == nil {
		at.uplink = newUplink(p, at.contact)
	}
	return at.uplink.run(ctx)
}

func (p *push) judged(verdict error) {
	select {
	case p.verdicts <- verdict:
	default: // it has the first
	}
}

// settled reports whether no encoder will come any more and all is delivered.
func (p *push) settled() bool { return p.backlog.settled() }

func (p *push) isOver() bool { return p.settled() }

// end ends a stream that nobody has. One that somebody has ends with its
// encoder.
func (p *push) end() {
	p.seat.mu.Lock()
	defer p.seat.mu.Unlock()
	if p.seat.holder == nil {
		p.endLocked()
	}
}

func (p *push) publisher() *Publisher {
	p.seat.mu.Lock()
	defer p.seat.mu.Unlock()
	h := p.seat.holder
	if h == nil {
		return nil
	}
	return &Publisher{ID: h.id, Remote: h.remote, Since: h.since, Client: cut(h.session.Client, maxReason), Secure: h.session.IsSecure()}
}

// silence is how long the encoder that is there has sent nothing.
func (p *push) silence() time.Duration {
	p.seat.mu.Lock()
	defer p.seat.mu.Unlock()
	if p.seat.holder == nil {
		return 0
	}
	return p.silentFor(p.seat.holder)
}

func (p *push) kick() bool {
	p.seat.mu.Lock()
	holder := p.seat.holder
	p.seat.mu.Unlock()
	if holder == nil {
		return false
	}
	holder.end(errKicked) // without the lock: a close of TLS may take its time
	return true
}

func (p *push) remote() (addr string, away time.Time) {
	p.seat.mu.Lock()
	defer p.seat.mu.Unlock()
	if p.seat.last != nil {
		addr = p.seat.last.remote
	}
	return addr, p.seat.lost
}

// append takes a message from the encoder, which must have the seat.
func (p *push) append(from *publisher, m rtmp.Message) {
	now := time.Now()
	from.heard.Store(int64(now.Sub(p.since)))
	from.pace.note(m, now)
	p.take(m, now, &from.seam)
}

// silentFor is how long the encoder has sent no message.
func (p *push) silentFor(holder *publisher) time.Duration {
	return time.Since(p.since) - time.Duration(holder.heard.Load())
}
