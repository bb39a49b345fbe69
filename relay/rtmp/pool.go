package rtmp

import (
	"math/bits"
	"slices"
	"sync"
)

const (
	// Payloads have sizes of four steps from one power of two to the next: a
	// quarter of it is wasted at the most, an eighth on average.
	poolSteps = 4

	poolLeast = 256     // bytes of the smallest class
	poolMost  = 4 << 20 // of the largest; what is longer is not kept
)

// Pool keeps the memory of payloads that nobody holds any more for those to come:
// media that is forwarded leaves nothing for the garbage collector. It may be
// used by many goroutines at once. A nil Pool keeps nothing.
type Pool struct {
	most    int // bytes that may lie idle
	mu      sync.Mutex
	idle    int
	classes []class
}

// class is what lies idle of one size.
type class struct {
	free [][]byte
	low  int // the fewest that lay there since the last Trim
}

// NewPool returns an empty Pool, in which at most so many bytes lie idle.
func NewPool(mostIdle int) *Pool {
	last, _ := classOf(poolMost)
	return &Pool{most: mostIdle, classes: make([]class, last+1)}
}

// Idle is how many bytes lie idle.
func (p *Pool) Idle() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.idle
}

// Trim lets go of half of what has lain idle since the last Trim: a peak's leavings
// are gone after a few of them, and what a long GOP takes in the end is not.
func (p *Pool) Trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.classes {
		c := &p.classes[i]
		surplus := (c.low + 1) / 2
		for _, b := range c.free[:surplus] {
			p.idle -= cap(b)
		}
		c.free = slices.Delete(c.free, 0, surplus)
		c.low = len(c.free)
	}
}

// classOf finds the smallest class for n bytes, and what it has room for.
func classOf(n int) (class, size int) {
	n = max(n, poolLeast)
	power := bits.Len(uint(n-1)) - 1 // n is in (2^power, 2^(power+1)], but for poolLeast
	base := 1 << power
	step := base / poolSteps
	steps := (n - base + step - 1) / step
	if n <= base { // poolLeast itself
		steps = 0
	}
	least := bits.Len(poolLeast) - 1
	return (power-least)*poolSteps + steps + poolSteps, base + steps*step
}

// get returns room for n bytes with whatever there was before.
func (p *Pool) get(n int) []byte {
	if p == nil || n > poolMost {
		return make([]byte, n)
	}
	i, size := classOf(n)
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &p.classes[i]
	if len(c.free) == 0 {
		return make([]byte, n, size)
	}
	last := len(c.free) - 1
	b := c.free[last]
	c.free[last] = nil
	c.free, c.low = c.free[:last], min(c.low, last)
	p.idle -= size
	return b[:n]
}

// put takes memory back that get has given.
func (p *Pool) put(b []byte) {
	i, size := classOf(cap(b))
	if p == nil || size != cap(b) || size > poolMost {
		return // too long to have come from here
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.idle+size > p.most {
		return
	}
	p.idle += size
	p.classes[i].free = append(p.classes[i].free, b)
}

// Recycle gives the memory of the payload back to where it came from, if it came
// from a Pool. Nobody may hold the message, or a copy of it, any more.
func (m Message) Recycle() {
	if m.home != nil {
		m.home.put(m.Payload)
	}
}
