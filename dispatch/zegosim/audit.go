package zegosim

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"

	"zegorelay/relay/rtmp"
)

const (
	// auditKeeps is how many messages an Audit looks back at, at the least: more
	// than any backlog holds. At the most it is twice as many.
	auditKeeps = 100_000

	maxAuditViolations = 20
)

// Audit holds what one encoder sent against what nodes received of it, by
// content: every message from the first keyframe on must arrive at least once,
// bit for bit, and within a session in the order sent and without a gap. A
// session may go on from a later keyframe; what it left out another session must
// bring. Of a stream without video, any frame of sound is a keyframe.
//
// It may be used by the encoder's and the nodes' goroutines at once. For a
// stream whose content repeats, a keyframe means the latest one sent of its
// content: what comes between must last longer than any replay.
type Audit struct {
	mu      sync.Mutex
	sent    []message // sent[i] has the number base+i
	base    int
	begun   bool             // a keyframe was sent: from there on all counts
	video   bool             // some of it is video
	headers map[digest]int   // what was sent as metadata or sequence header → the latest
	inForce map[slot]digest  // the newest header of its kind
	starts  map[digest]int   // where a session can begin → the latest
	next    map[int]position // by session
	newest  int              // all before it is older than what arrived last
	report  Report
	more    int // violations that are not kept
}

// digest tells payloads apart. Half of a SHA-256 does, and leaves no room for the
// thought that a collision passed for an arrival; processors have it built in.
type digest [16]byte

// digestOf is of the type and the payload. The time is not in it: each session
// has its own. Nor is what only publishers put in front of metadata.
func digestOf(m rtmp.Message) (d digest) {
	sum := sha256.New()
	sum.Write([]byte{byte(m.Type)})
	sum.Write(bytes.TrimPrefix(m.Payload, rtmp.SetDataFrame(nil)))
	copy(d[:], sum.Sum(nil))
	return d
}

func isHeader(k rtmp.Kind) bool { return k == rtmp.Metadata || k == rtmp.SequenceHeader }

// message is what an Audit keeps of one that was sent.
type message struct {
	digest  digest
	arrived bool
	counts  bool // Missing or Pending until it arrives
}

// slot is what a header replaces.
type slot struct {
	typ  rtmp.Type
	info rtmp.Info
}

// position is the number of the message that a session must bring next.
type position struct {
	number  int
	aligned bool // false before its first keyframe
}

// Report is the balance of an Audit. All figures are of messages, and Sent is
// the sum of the next three.
type Report struct {
	Sent     int // from the first keyframe on, without headers brought elsewhere than in their place
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
		inForce: make(map[slot]digest),
		starts:  make(map[digest]int),
		next:    make(map[int]position),
	}
}

// Sent notes the next message that the encoder sends. It comes before the
// sending. It keeps nothing of the payload.
func (a *Audit) Sent(m rtmp.Message) {
	info, d := m.Inspect(), digestOf(m)
	a.mu.Lock()
	defer a.mu.Unlock()
	if m.Type == rtmp.TypeVideo && !a.video {
		a.video = true
		a.waitForKeyframe()
	}
	number := a.base + len(a.sent)
	switch {
	case isHeader(info.Kind):
		a.headers[d] = number
		a.inForce[slot{m.Type, info}] = d
	case info.Kind == rtmp.Keyframe || m.Type == rtmp.TypeAudio && !a.video:
		a.begun = true
		a.starts[d] = number
	}
	a.sent = append(a.sent, message{digest: d, counts: a.begun})
	if a.begun {
		a.report.Sent++
	}
	if len(a.sent) > 2*auditKeeps {
		a.forget(auditKeeps)
	}
}

// waitForKeyframe takes back that what was sent so far must arrive: it was sound
// before the picture, where a session can't begin after all.
func (a *Audit) waitForKeyframe() {
	a.begun = false
	for i := range a.sent {
		a.excuse(&a.sent[i])
	}
}

// Rejoin says that the encoder's connection was lost and that what is sent from
// here on comes by another, for the same session at the node. Its headers may be
// left out where they have not changed, and what comes before its first keyframe.
func (a *Audit) Rejoin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun = false
}

// excuse takes a message that has not arrived out of the balance.
func (a *Audit) excuse(m *message) {
	if m.counts && !m.arrived {
		m.counts = false
		a.report.Sent--
	}
}

// forget drops the n oldest messages; what of them is missing stays counted, as
// do headers in force: they are sent again at any time.
func (a *Audit) forget(n int) {
	for _, m := range a.sent[:n] {
		if m.counts && !m.arrived {
			a.report.Missing++
		}
	}
	a.sent = slices.Clone(a.sent[n:])
	a.base += n
	a.newest = max(a.newest, a.base)
	maps.DeleteFunc(a.starts, func(_ digest, number int) bool { return number < a.base })
	needed := make(map[digest]bool, len(a.inForce))
	for _, d := range a.inForce {
		needed[d] = true
	}
	maps.DeleteFunc(a.headers, func(d digest, number int) bool { return number < a.base && !needed[d] })
}

// Received notes the next message that a node got in a session. It keeps
// nothing of the payload.
func (a *Audit) Received(session int, m rtmp.Message) {
	kind, d := m.Inspect().Kind, digestOf(m)
	a.mu.Lock()
	defer a.mu.Unlock()
	at, known := a.next[session]
	if !known {
		a.next[session] = at
		a.report.Sessions++
	}
	if next := a.at(at.number); at.aligned && next != nil && next.digest == d {
		a.arrive(session, at.number)
		return
	}
	if isHeader(kind) {
		a.receivedHeader(session, d)
		return
	}
	start, isStart := a.starts[d]
	switch {
	case isStart && (!at.aligned || start > at.number):
		a.arrive(session, start)
	case kind != rtmp.Keyframe:
		a.violate("session %d: %v at %d ms is not what was sent next", session, m.Type, m.Timestamp)
	case !isStart:
		a.violate("session %d: a keyframe that was never sent", session)
	default:
		a.violate("session %d: a keyframe that came before", session)
	}
}

// receivedHeader notes a header that is not what was sent next. A session begins
// with the headers in force; with that, one that was on its way is there.
func (a *Audit) receivedHeader(session int, d digest) {
	number, ok := a.headers[d]
	if !ok {
		a.violate("session %d: a header that was never sent", session)
		return
	}
	if m := a.at(number); m != nil {
		a.excuse(m)
	}
}

// at is the message of a number, nil if it is forgotten or not sent yet.
func (a *Audit) at(number int) *message {
	if number < a.base || number >= a.base+len(a.sent) {
		return nil
	}
	return &a.sent[number-a.base]
}

// arrive notes the arrival of a message that is kept.
func (a *Audit) arrive(session, number int) {
	a.next[session] = position{number: number + 1, aligned: true}
	a.newest = max(a.newest, number+1)
	m := a.at(number)
	switch {
	case m.arrived:
		a.report.Repeated++
	case m.counts:
		a.report.Arrived++
	}
	m.arrived = true
}

func (a *Audit) violate(format string, args ...any) {
	if len(a.report.Violations) == maxAuditViolations {
		a.more++
		return
	}
	a.report.Violations = append(a.report.Violations, fmt.Sprintf(format, args...))
}

// Report returns the balance as it stands. It looks at every message that is
// kept: a few milliseconds at the most.
func (a *Audit) Report() Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.report
	r.Violations = withMore(r.Violations, a.more)
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
