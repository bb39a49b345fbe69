package relay

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"zegorelay/relay/rtmp"
)

// idleShare is the part of the bound that may lie idle in the pool: one in so
// many.
const idleShare = 8

// memory bounds what the backlogs of the process keep in all. Over the bound
// whole GOPs go, oldest first, whichever stream they are of: those of streams
// without a node are older than what a stream that keeps up holds.
type memory struct {
	most int64
	used atomic.Int64
	pool *rtmp.Pool // of what the backlogs hold

	blocks sync.Pool // of their entries, which a collection empties in the end

	mu       sync.Mutex
	backlogs map[*backlog]bool
}

func newMemory(most int64) *memory {
	return &memory{most: most, pool: rtmp.NewPool(int(most / idleShare)), backlogs: make(map[*backlog]bool)}
}

func (m *memory) join(b *backlog) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.backlogs[b] = true
}

// leave takes back what a backlog holds that nobody will read any more.
func (m *memory) leave(b *backlog) {
	m.mu.Lock()
	delete(m.backlogs, b)
	m.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.received = b.end() // nobody is owed it any more
	b.drop(b.entries.len(), dropMemory)
}

// bound makes room if there is too little, and a sixteenth more: so that not
// every message has to look at every stream. The caller holds no backlog's lock.
func (m *memory) bound() {
	if m.used.Load() <= m.most {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used.Load() <= m.most {
		return // somebody else was here
	}
	m.shrink(m.most - m.most/16)
}

// halve makes room for a copy of all that there is. The caller holds no backlog's lock.
func (m *memory) halve() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shrink(m.most / 2)
}

// shrink drops GOPs, oldest first, until no more than goal is used. The caller holds
// the lock.
func (m *memory) shrink(goal int64) {
	for m.used.Load() > goal {
		dropped := false
		for _, b := range m.oldest() {
			if m.used.Load() <= goal {
				return
			}
			dropped = b.giveWay() || dropped
		}
		if !dropped {
			return
		}
	}
}

// oldest returns the backlogs whose oldest message is at least half as old as
// the oldest of all, that one first.
func (m *memory) oldest() []*backlog {
	now := time.Now()
	ages := make(map[*backlog]time.Duration, len(m.backlogs))
	var most time.Duration
	for b := range m.backlogs {
		if _, age := b.held(now); age > 0 {
			ages[b] = age
			most = max(most, age)
		}
	}
	maps.DeleteFunc(ages, func(_ *backlog, age time.Duration) bool { return age < most/2 })
	return slices.SortedFunc(maps.Keys(ages), func(x, y *backlog) int { return cmp.Compare(ages[y], ages[x]) })
}

// giveWay drops the oldest GOP of b for the sake of all. It reports whether
// there was one.
func (b *backlog) giveWay() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.entries.len() == 0 {
		return false
	}
	b.dropOldest(dropMemory)
	return true
}
