package relay

import (
	"slices"

	"zegorelay/relay/rtmp"
)

// dropReason is why media is given up.
type dropReason uint8

const (
	dropAge    dropReason = iota // older than the backlog may be
	dropBytes                    // more than one stream may hold
	dropMemory                   // more than the process may hold
	dropSlow                     // the node is behind: it goes on with the newest GOP
	dropReasons
)

func (r dropReason) String() string { return [...]string{"age", "bytes", "memory", "slow"}[r] }

// drops counts messages that were given up, by reason and track.
type drops [dropReasons][3]uint64

func trackOf(t rtmp.Type) int {
	switch t {
	case rtmp.TypeAudio:
		return 0
	case rtmp.TypeVideo:
		return 1
	default:
		return 2
	}
}

// list is what was counted, without zeros.
func (d *drops) list() (all []Drop) {
	for reason, tracks := range d {
		for track, n := range tracks {
			if n > 0 {
				all = append(all, Drop{
					Track:    [...]string{"audio", "video", "data"}[track],
					Reason:   dropReason(reason).String(),
					Messages: n,
				})
			}
		}
	}
	return all
}

// add adds what was counted elsewhere, which is zero from then on.
func (d *drops) add(other *drops) {
	for reason := range other {
		for track := range other[reason] {
			d[reason][track] += other[reason][track]
		}
	}
	*other = drops{}
}

// loses notes that entry seq is given up, unless the node has it. What was written
// and is not known to have arrived is in doubt until the node is heard of, or lost.
// The caller holds the lock.
func (b *backlog) loses(seq uint64, e *entry, reason dropReason) {
	switch {
	case seq < max(b.received, b.origin) || !b.begun:
	case seq < b.carried():
		b.inDoubt[reason][trackOf(e.Type)]++
	default:
		b.lost[reason][trackOf(e.Type)]++
	}
}

// carried is up to where a session with a node has read: 0 if there is none.
func (b *backlog) carried() uint64 {
	i := slices.IndexFunc(b.followers, func(f *follower) bool { return f.role == carrier })
	if i < 0 {
		return 0
	}
	return b.followers[i].next
}

// losses lists what was given up before a node had it.
func (b *backlog) losses() []Drop {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost.list()
}
