package relay

import (
	"bytes"

	"zegorelay/relay/rtmp"
)

// overlap is what the next node repeats of what the last one has sent: nodes
// begin with the newest GOP. Where it does so bit for bit, players are spared
// the repetition, and the stream's clock the guess how long nothing came.
type overlap struct {
	on    bool
	until uint32 // the stream's time of the last that came before
}

// begins looks for the node's first starting point in the backlog, and sets the
// seam's offset by it. False: it is not there, or not for the same headers.
func (o *overlap) begins(e entry, s *seam, clock *streamClock, b *backlog) bool {
	known, ok := b.recall(s.opening, e)
	if !ok {
		return false
	}
	s.offset = known - e.Timestamp
	o.on, o.until = true, clock.newest
	return true
}

// isKnown reports whether the backlog has a message of the node, on its own clock,
// already. Should it say something else than what was there, the two don't
// overlap after all: from then on it goes by the time.
func (o *overlap) isKnown(e entry, s *seam, clock *streamClock, b *backlog) bool {
	raw := e.Timestamp
	e.Timestamp += s.offset
	if int32(e.Timestamp-o.until) > leadIn {
		o.on = false
		return false
	}
	if e.info.Kind == rtmp.SequenceHeader || e.info.Kind == rtmp.Metadata {
		return false // it changes in the middle, or is said again: no harm
	}
	known, newest := b.compare(e)
	if !known && int32(e.Timestamp-newest) <= 0 {
		o.on = false
		s.offset = clock.now(e.at) - raw
	}
	return known
}

// recall finds the stream's time of a starting point that the backlog has, if its
// sequence headers are those in force.
func (b *backlog) recall(opening headers, e entry) (timestamp uint32, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	inForce := b.headersAt(b.end())
	for _, h := range opening {
		if h.info.Kind == rtmp.SequenceHeader && inForce.apply(h) {
			return 0, false
		}
	}
	for i := b.entries.len() - 1; i >= 0 && b.entries.at(i).epoch == b.epoch; i-- {
		if had := b.entries.at(i); had.start && had.Type == e.Type && bytes.Equal(had.Payload, e.Payload) {
			return had.Timestamp, true
		}
	}
	return 0, false
}

// compare looks for e, and for the time of the newest of its type.
func (b *backlog) compare(e entry) (known bool, newest uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	newest = e.Timestamp - 1 // if there is none
	for i := b.entries.len() - 1; i >= 0; i-- {
		had := b.entries.at(i)
		if had.Type != e.Type || had.info.Kind == rtmp.SequenceHeader || had.info.Kind == rtmp.Metadata {
			continue
		}
		if int32(had.Timestamp-newest) > 0 {
			newest = had.Timestamp
		}
		if had.Timestamp == e.Timestamp && bytes.Equal(had.Payload, e.Payload) {
			return true, newest
		}
		if int32(e.Timestamp-had.Timestamp) > leadIn {
			break
		}
	}
	return false, newest
}
