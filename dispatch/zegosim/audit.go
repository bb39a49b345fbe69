package zegosim

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"sync"

	"zegorelay/relay/rtmp"
)

const (
	// auditKeeps is how many messages an Audit looks back at: more than any
	// backlog holds.
	auditKeeps = 100_000

	maxAuditViolations = 20
)

// Audit holds what one encoder sent against what nodes received of it, by
// content: every message from the first keyframe on must arrive at least once,
// bit for bit, and within a session in the order sent and without a gap.
//
// It may be used by the encoder's and the nodes' goroutines at once. For a
// stream whose content repeats, a keyframe means the latest one sent of its
// content: the repetition must be longer than any replay.
type Audit struct {
	mu      sync.Mutex
	sent    []message // sent[i] has the number base+i
	base    int
	begun   bool           // a keyframe was sent: from there on all counts
	headers map[digest]int // what was sent as metadata or sequence header
	keys    map[digest]int // keyframe → number of the latest
	at      map[int]int    // session → number of the next message; absent before its keyframe
	seen    map[int]bool   // sessions
	newest  int            // all before it are older than what arrived last
	report  Report
}

// digest tells payloads apart. Half of a SHA-256 does, without the chance that
// a faster sum's collision passes for an arrival.
type digest [16]byte

type message struct {
	digest  digest
	arrived bool
	counts  bool // from the first keyframe on
}

// Report is the balance of an Audit. All figures are of messages.
type Report struct {
	Sent     int // from the first keyframe on
	Arrived  int // of these, once or more
	Missing  int // sent before one that arrived, and not arrived
	Pending  int // sent after all that arrived: under way, or lost
	Repeated int // arrivals of what had arrived before
	Sessions int

	// Violations say what arrived altered, out of order or never sent.
	Violations []string
}

// NewAudit returns an empty Audit.
func NewAudit() *Audit {
	return &Audit{
		headers: make(map[digest]int),
		keys:    make(map[digest]int),
		at:      make(map[int]int),
		seen:    make(map[int]bool),
	}
}

func digestOf(m rtmp.Message) (d digest) {
	sum := sha256.Sum256(append([]byte{byte(m.Type)}, m.Payload...))
	copy(d[:], sum[:])
	return d
}

func isHeader(k rtmp.Kind) bool { return k == rtmp.Metadata || k == rtmp.SequenceHeader }

// Sent notes the next message that the encoder sends. It comes before the
// sending.
func (a *Audit) Sent(m rtmp.Message) {
	kind, d := m.Inspect().Kind, digestOf(m)
	a.mu.Lock()
	defer a.mu.Unlock()
	number := a.base + len(a.sent)
	switch {
	case isHeader(kind):
		a.headers[d] = number
	case kind == rtmp.Keyframe:
		a.begun = true
		a.keys[d] = number
	}
	a.sent = append(a.sent, message{digest: d, counts: a.begun})
	if a.begun {
		a.report.Sent++
	}
	if len(a.sent) > 2*auditKeeps {
		a.forget(auditKeeps)
	}
}

// forget drops the n oldest messages; what of them is missing stays counted.
func (a *Audit) forget(n int) {
	for _, m := range a.sent[:n] {
		if m.counts && !m.arrived {
			a.report.Missing++
		}
	}
	a.sent = append([]message(nil), a.sent[n:]...)
	a.base += n
	a.newest = max(a.newest, a.base)
	maps.DeleteFunc(a.keys, func(_ digest, number int) bool { return number < a.base })
}

// Received notes the next message that a node got in a session.
func (a *Audit) Received(session int, m rtmp.Message) {
	kind, d := m.Inspect().Kind, digestOf(m)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.seen[session] {
		a.seen[session] = true
		a.report.Sessions++
	}
	next, aligned := a.at[session]
	if aligned && next < a.base+len(a.sent) && next >= a.base && a.sent[next-a.base].digest == d {
		a.arrive(session, next)
		return
	}
	if isHeader(kind) {
		if _, ok := a.headers[d]; !ok {
			a.violate("session %d: a header that was never sent", session)
		}
		return
	}
	key, isKey := a.keys[d]
	switch {
	case kind != rtmp.Keyframe:
		a.violate("session %d: %v at %d ms is not what was sent next", session, m.Type, m.Timestamp)
	case !isKey:
		a.violate("session %d: a keyframe that was never sent", session)
	case aligned && key < next:
		a.violate("session %d: a keyframe that came before", session)
	default:
		a.arrive(session, key)
	}
}

// arrive notes the arrival of a message.
func (a *Audit) arrive(session, number int) {
	a.at[session] = number + 1
	a.newest = max(a.newest, number+1)
	m := &a.sent[number-a.base]
	switch {
	case m.arrived:
		a.report.Repeated++
	case m.counts:
		a.report.Arrived++
	}
	m.arrived = true
}

func (a *Audit) violate(format string, args ...any) {
	if len(a.report.Violations) < maxAuditViolations {
		a.report.Violations = append(a.report.Violations, fmt.Sprintf(format, args...))
	}
}

// Report returns the balance as it stands.
func (a *Audit) Report() Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.report
	r.Violations = append([]string(nil), r.Violations...)
	for i, m := range a.sent {
		switch {
		case !m.counts || m.arrived:
		case a.base+i < a.newest:
			r.Missing++
		default:
			r.Pending++
		}
	}
	return r
}
