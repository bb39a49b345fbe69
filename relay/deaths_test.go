package relay_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
	"zegorelay/relay/rtmp"
)

// register is the register of deaths: of what a stream's node died, and when the
// next one had the stream's first keyframe.
type register struct {
	mu       sync.Mutex
	pending  map[string]*death // by stream
	sessions map[string]int    // by stream: the newest
	last     map[string]*death // by stream
	done     []*death
	troubles int // API and nodes that are not well
}

type death struct {
	kind     string
	at       time.Time
	session  int           // that died
	took     time.Duration // to the first keyframe elsewhere
	alone    bool          // API and all nodes were well from death to rebirth
	before   uint64        // messages that the stream had replayed
	replayed uint64        // for this death
}

func newRegister() *register {
	return &register{pending: make(map[string]*death), last: make(map[string]*death), sessions: make(map[string]int)}
}

// observe is told what happens at nodes.
func (r *register) observe(e zegosim.Event) {
	if e.Kind == zegosim.SessionEnded {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions[e.StreamID] = max(r.sessions[e.StreamID], e.Session)
	d := r.pending[e.StreamID]
	if d != nil && e.Session > d.session && e.Kind == zegosim.MessageReceived && e.Message.Inspect().Kind == rtmp.Keyframe {
		d.took = time.Since(d.at)
		r.done = append(r.done, d)
		delete(r.pending, e.StreamID)
	}
}

// dies notes that a stream's session is about to be ended; replayed is what the
// stream has replayed so far.
func (r *register) dies(key, kind string, replayed uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := r.last[key]; last != nil { // all that it has cost is known by now
		last.replayed = replayed - last.before
	}
	d := &death{kind: kind, at: time.Now(), session: r.sessions[key], alone: r.troubles == 0, before: replayed}
	r.pending[key], r.last[key] = d, d
}

// lives takes a death back: there was no session to end.
func (r *register) lives(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pending, key)
	delete(r.last, key)
}

func (r *register) isDead(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pending[key] != nil
}

// trouble counts what is not well. A death that meets trouble is not alone.
func (r *register) trouble(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.troubles += n
	for _, d := range r.pending {
		d.alone = d.alone && r.troubles == 0
	}
}

// table logs, by kind, how many deaths there were and how long the next node
// took to have a keyframe: of those alone the median and the 99th percentile, of
// all the longest, and the messages replayed for one death.
func (r *register) table(t *testing.T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	alone, all := make(map[string][]time.Duration), make(map[string][]time.Duration)
	replayed := make(map[string]uint64)
	for _, d := range r.done {
		replayed[d.kind] += d.replayed
		all[d.kind] = append(all[d.kind], d.took)
		if d.alone {
			alone[d.kind] = append(alone[d.kind], d.took)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d deaths\n%-10s %6s %6s %9s %9s %9s %9s\n", len(r.done), "kind", "deaths", "alone", "median", "p99", "longest", "replayed")
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%-10s %6d %6d %9v %9v %9v %9d\n", kind, len(all[kind]), len(alone[kind]),
			percentile(alone[kind], 50), percentile(alone[kind], 99), percentile(all[kind], 100), replayed[kind]/uint64(len(all[kind])))
	}
	t.Log(b.String())
	if len(r.done) < 10 {
		t.Errorf("only %d deaths", len(r.done))
	}
}

// within fails if half of the deaths of a kind cost more than most.
func (r *register) within(t *testing.T, kind string, most time.Duration) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var took []time.Duration
	for _, d := range r.done {
		if d.kind == kind {
			took = append(took, d.took)
		}
	}
	if median := percentile(took, 50); median > most {
		t.Errorf("%s: the next node had the stream after %v, at most %v are allowed", kind, median, most)
	}
}

func percentile(d []time.Duration, p int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.SortFunc(d, cmp.Compare[time.Duration])
	return d[min(len(d)*p/100, len(d)-1)].Round(time.Millisecond)
}
