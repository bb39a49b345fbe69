package relay

import (
	"context"
	"sync"
	"time"

	"zegorelay/dispatch"
	"zegorelay/relay/rtmp"
)

const (
	// pullBacklog is the most that players may be behind: for them nothing has to
	// outlast an outage.
	pullBacklog = 10 * time.Second

	// pullRetryMax is the longest wait for another node while somebody sits before
	// a black screen.
	pullRetryMax = 2 * time.Second
)

// pull is the errand of a stream that is published elsewhere and played here: for
// as long as it has players, and a while longer, a node fills the backlog that
// they read.
type pull struct {
	*Stream

	mu      sync.Mutex
	players int
	idle    *time.Timer   // while there is none
	until   time.Time     // when idle is over
	over    bool          // nobody will play any more
	changed chan struct{} // closed at the next change of all this
}

// newPull makes a stream without a player; cut must end the context that run is
// given.
func newPull(id, name string, o Options, with *shared, cut context.CancelCauseFunc) *pull {
	o.Backlog = min(o.Backlog, pullBacklog)
	o.RetryMax = min(o.RetryMax, pullRetryMax)
	p := &pull{Stream: newStream(id, name, dispatch.Pull, o, with, cut), changed: make(chan struct{})}
	p.errand = p
	return p
}

func (p *pull) change() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// join makes the stream one player's more, and reports false once it is over.
func (p *pull) join() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return false
	}
	if p.idle != nil {
		p.idle.Stop()
		p.idle = nil
	}
	p.players++
	p.change()
	p.attend(true)
	return true
}

// leave makes it one player's less. The last one's stream goes on for a while, or
// ends at once.
func (p *pull) leave(atOnce bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.players--
	p.change()
	p.attend(p.players > 0)
	switch {
	case p.players > 0:
	case atOnce || p.o.PullIdle <= 0:
		p.endLocked()
	default:
		p.lingerLocked(p.o.PullIdle)
	}
}

// lingerLocked has the stream go on for a while without players. The caller holds the
// lock.
func (p *pull) lingerLocked(patience time.Duration) {
	p.until = time.Now().Add(patience)
	var timer *time.Timer
	timer = time.AfterFunc(patience, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.idle == timer {
			p.endLocked()
		}
	})
	p.idle = timer
}

func (p *pull) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endLocked()
}

// endLocked ends the stream for good: whoever still plays it has what there is
// and is told. The caller holds the lock.
func (p *pull) endLocked() {
	if p.over {
		return
	}
	p.over, p.idle = true, nil
	p.change()
	p.backlog.close()
	close(p.gone)
}

// needsNode waits until somebody plays. It reports false when nobody will, or ctx
// is over.
func (p *pull) needsNode(ctx context.Context) bool {
	for ctx.Err() == nil {
		p.mu.Lock()
		players, over, changed := p.players, p.over, p.changed
		p.mu.Unlock()
		switch {
		case over:
			return false
		case players > 0:
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

func (p *pull) settled() bool { return true }

func (p *pull) isOver() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over
}

func (p *pull) publisher() *Publisher { return nil }

// silence is how long the node has sent nothing.
func (p *pull) silence() time.Duration { return time.Since(p.lastMediaSince(p.since)()) }

func (p *pull) kick() bool { return p.audience.dismiss(errKicked) }

func (p *pull) remote() (addr string, away time.Time) { return "", time.Time{} }

// judged turns those away who wait for what only a person can mend.
func (p *pull) judged(verdict error) {
	if refused := refusalFor(verdict); refused != nil {
		p.audience.turnAway(refused)
	}
}

func (p *pull) claim(ctx context.Context, node *rtmp.Upstream) error { return node.Play(ctx) }

// carry brings what a node sends into the backlog. It returns nil when nobody
// plays any more, else why the session ended before.
func (p *pull) carry(ctx context.Context, at *node) error {
	session, end := context.WithCancelCause(ctx)
	defer stopWith(session, at.upstream)()
	begun := time.Now()
	defer whenSilent(p.o.StallTimeout, p.lastMediaSince(begun), func() { end(errMute) })()
	leave := make(chan struct{})
	defer p.mayMoveOn(sync.OnceFunc(func() { close(leave) }))()

	var work sync.WaitGroup
	work.Go(func() {
		select {
		case <-p.gone:
			at.upstream.Unplay() // and what reads from it returns
		case <-leave:
			end(errRedispatch)
			at.upstream.Unplay()
		case <-session.Done():
		}
	})
	at.upstream.TrySend(func() []rtmp.Message { return nil }) // what another process has left
	if at.seam == nil {
		p.meter.Begin()
		at.seam = &seam{open: p.backlog.hasBegun(), overlaps: true}
	}
	end(guarded(func() error { return p.read(at.upstream, at.seam) }))
	work.Wait()
	select {
	case <-p.gone:
		return nil
	default:
		return context.Cause(session) // the first to know knows best
	}
}

// read takes a node's media until its session is over.
func (p *pull) read(node *rtmp.Upstream, behind *seam) error {
	node.UsePool(p.backlog.memory.pool)
	node.BeforeWait(p.backlog.announce)
	defer p.backlog.announce() // what came in one read with the end
	for {
		m, err := node.Read()
		if err != nil {
			return err
		}
		p.take(m, time.Now(), behind)
	}
}
