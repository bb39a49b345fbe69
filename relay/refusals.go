package relay

import (
	"container/list"
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
	mu      sync.Mutex
	seen    map[refusalKey]*list.Element // of *refusalCount
	byAge   list.List                    // the longest not seen first
	reasons map[netip.Addr]int           // how many of seen an address has
}

type refusalKey struct {
	addr   netip.Addr
	reason string // empty: any, of an address with too many
}

type refusalCount struct {
	refusalKey
	times int
	last  time.Time
}

func newRefusals() *refusals {
	return &refusals{seen: make(map[refusalKey]*list.Element), reasons: make(map[netip.Addr]int)}
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
	if r.seen[key] == nil && r.reasons[addr] >= maxReasons {
		key.reason = ""
	}
	e := r.seen[key]
	if e == nil {
		e = r.byAge.PushBack(&refusalCount{refusalKey: key})
		r.seen[key] = e
		r.reasons[addr]++
	}
	c := e.Value.(*refusalCount)
	c.times, c.last = c.times+1, now
	r.byAge.MoveToBack(e)
	return c.times, c.times&(c.times-1) == 0
}

// network is what one client has to itself: of IPv6 that is a /64, at least.
func network(addr netip.Addr) netip.Addr {
	if !addr.Is6() {
		return addr
	}
	p, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return addr
	}
	return p.Addr()
}

// forget makes room for one more, and drops what has not come again.
func (r *refusals) forget(now time.Time) {
	for e := r.byAge.Front(); e != nil; e = r.byAge.Front() {
		c := e.Value.(*refusalCount)
		if len(r.seen) < maxRefusals && now.Sub(c.last) < refusalLife {
			return
		}
		r.byAge.Remove(e)
		delete(r.seen, c.refusalKey)
		if r.reasons[c.addr]--; r.reasons[c.addr] == 0 {
			delete(r.reasons, c.addr)
		}
	}
}
