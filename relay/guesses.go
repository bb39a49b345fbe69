package relay

import (
	"container/list"
	"context"
	"net/netip"
	"sync"
	"time"
)

const (
	// Wrong keys and passwords are forgiven a few times: people mistype, and cameras
	// repeat it. Beyond, every answer to the address takes longer, up to a time that
	// an encoder with a good key behind the same address still waits for.
	freeGuesses   = 3
	guessDelayMin = 125 * time.Millisecond
	guessDelayMax = 2 * time.Second

	// guessLife is how long an address that guesses no more is remembered.
	guessLife = 5 * time.Minute

	// maxGuessers bounds what is remembered; the oldest goes first.
	maxGuessers = 4096
)

// guesses slows down who tries keys. All answers are slowed, not only the wrong ones:
// else who gets none at once would know, and go on to the next.
type guesses struct {
	mu    sync.Mutex
	seen  map[netip.Addr]*list.Element // of *guesser
	byAge list.List                    // the longest not seen first
}

type guesser struct {
	addr  netip.Addr
	wrong int
	last  time.Time
}

func newGuesses() *guesses { return &guesses{seen: make(map[netip.Addr]*list.Element)} }

// failed notes a wrong guess.
func (g *guesses) failed(addr netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.forget(now)
	addr = network(addr)
	e := g.seen[addr]
	if e == nil {
		e = g.byAge.PushBack(&guesser{addr: addr})
		g.seen[addr] = e
	}
	who := e.Value.(*guesser)
	who.wrong, who.last = who.wrong+1, now
	g.byAge.MoveToBack(e)
}

// delay is how long an answer to an address has to take.
func (g *guesses) delay(addr netip.Addr) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.seen[network(addr)]
	if e == nil {
		return 0
	}
	who := e.Value.(*guesser)
	beyond := who.wrong - freeGuesses
	if beyond < 0 || time.Since(who.last) >= guessLife {
		return 0
	}
	return min(guessDelayMin<<min(beyond, 8), guessDelayMax)
}

// wait holds an answer back for as long as the address has earned, or until ctx ends.
func (g *guesses) wait(ctx context.Context, addr netip.Addr) error {
	delay := g.delay(addr)
	if delay == 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// forget makes room for one more, and drops who has not guessed for long.
func (g *guesses) forget(now time.Time) {
	for e := g.byAge.Front(); e != nil; e = g.byAge.Front() {
		who := e.Value.(*guesser)
		if len(g.seen) < maxGuessers && now.Sub(who.last) < guessLife {
			return
		}
		g.byAge.Remove(e)
		delete(g.seen, who.addr)
	}
}
