package relay

import (
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
	mu                  sync.Mutex
	repeats[netip.Addr] // wrong ones
}

func newGuesses() *guesses {
	return &guesses{repeats: repeats[netip.Addr]{most: maxGuessers, life: guessLife}}
}

// failed notes a wrong guess.
func (g *guesses) failed(addr netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.forget(now)
	g.note(network(addr), now)
}

// delay is how long an answer to an address has to take.
func (g *guesses) delay(addr netip.Addr) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	who := g.get(network(addr))
	if who == nil {
		return 0
	}
	beyond := who.times - freeGuesses
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
