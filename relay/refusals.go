package relay

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// refusalLife is how long a refusal that doesn't come again is remembered.
	refusalLife = 10 * time.Minute

	// maxRefusals bounds what is remembered of all clients; the oldest goes first.
	maxRefusals = 4096

	// maxReasons bounds the different reasons that one address gets lines of its own
	// for: reasons quote what clients say, and a client can say something else every
	// time.
	maxReasons = 16
)

// refusals counts clients that are refused again and again, so that one which tries
// ten times a second, all night, is worth a few lines of the log.
type refusals struct {
	mu sync.Mutex
	repeats[refusalKey]
	reasons map[netip.Addr]int // how many keys an address has
}

type refusalKey struct {
	addr   netip.Addr
	reason string // empty: any, of an address with too many
}

func newRefusals() *refusals {
	r := &refusals{reasons: make(map[netip.Addr]int)}
	r.repeats = repeats[refusalKey]{most: maxRefusals, life: refusalLife, forgot: r.release}
	return r
}

// count counts a refusal. It returns how many there were of its kind lately, and
// whether that is worth a line: the first is, then every doubling.
func (r *refusals) count(addr netip.Addr, reason string) (times int, isWorthALine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.forget(now)
	addr = network(addr)
	key := refusalKey{addr, reason}
	if r.get(key) == nil && r.reasons[addr] >= maxReasons {
		key.reason = ""
	}
	if times = r.note(key, now); times == 1 {
		r.reasons[addr]++
	}
	return times, times&(times-1) == 0
}

// release gives an address the place of a key back that is forgotten.
func (r *refusals) release(key refusalKey) {
	if r.reasons[key.addr]--; r.reasons[key.addr] == 0 {
		delete(r.reasons, key.addr)
	}
}
