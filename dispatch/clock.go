package dispatch

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// skewWorthTelling is how far this machine's clock may be off before it is told:
// a signature is refused from 10 minutes on.
const skewWorthTelling = 60 * time.Second

// signingClock is the clock that signs: this machine's, and the Date headers of
// ZEGO's answers to hold it against.
type signingClock struct {
	now  func() time.Time
	warn func(string)

	mu       sync.Mutex
	measured bool
	skew     time.Duration // this machine's clock is ahead of ZEGO's by so much
	applied  time.Duration // what is taken off before signing
	told     bool          // in this episode
}

// time is what to sign with.
func (c *signingClock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now().Add(-c.applied)
}

// look measures the skew by an answer to a call that began at a time. The header
// has whole seconds, and was written at some time since the call began.
func (c *signingClock) look(h http.Header, began time.Time) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	ended := c.now()
	middle := began.Add(ended.Sub(began) / 2)
	c.mu.Lock()
	c.measured, c.skew = true, middle.Sub(date.Add(time.Second/2)).Round(time.Second)
	skew := c.skew
	tell := skew.Abs() >= skewWorthTelling && !c.told
	c.told = skew.Abs() >= skewWorthTelling
	c.mu.Unlock()
	if tell {
		c.warn(fmt.Sprintf("this machine's clock is %s ZEGO's: set it, or signatures will be refused from 10 minutes on", aheadOf(skew)))
	}
}

// aheadOf is "1m0s ahead of" or "1m0s behind".
func aheadOf(skew time.Duration) string {
	if skew < 0 {
		return fmt.Sprintf("%v behind", -skew)
	}
	return fmt.Sprintf("%v ahead of", skew)
}

// correct has the measured skew taken off from now on. It reports false if there
// is nothing to correct: then a signature that has expired has another reason.
func (c *signingClock) correct() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.measured || (c.skew-c.applied).Abs() < skewWorthTelling {
		return false
	}
	c.applied = c.skew
	return true
}

func (c *signingClock) lastSkew() (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.skew, c.measured
}
