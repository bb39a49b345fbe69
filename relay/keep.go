package relay

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"zegorelay/relay/handover"
)

// This file says what of the relay another process needs to go on, and revive.go how
// it does: nothing else knows of either. TestEveryFieldIsDecided holds both against
// what there is.

// keeper makes a bundle of what has stopped. Nobody else uses any of it any more.
type keeper struct {
	at     time.Time
	bundle *handover.Bundle
	failed func(what string, err error)
}

// keep returns all that was left when everything stopped.
func (s *Server) keep() *handover.Bundle {
	s.memory.halve() // on its way to the next process there is all of it twice
	k := keeper{
		at:     time.Now(),
		bundle: handover.NewBundle(),
		failed: func(what string, err error) { s.o.Log.Warn().Err(err).Msg(what) },
	}
	state := k.bundle.State
	state.At, state.Process = handover.Now(), s.process()
	for _, p := range s.streams.pushes {
		state.Streams = append(state.Streams, k.push(p))
	}
	for _, p := range s.streams.pulls {
		state.Streams = append(state.Streams, k.pull(p))
	}
	for _, c := range s.putOff {
		if kept := k.client(c); kept != nil {
			state.Clients = append(state.Clients, *kept)
		}
	}
	slices.SortFunc(state.Streams, func(a, b handover.Stream) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Direction, b.Direction))
	})
	return k.bundle
}

func (s *Server) process() handover.Process {
	totals := s.Totals()
	p := handover.Process{
		Connections:    s.tally.connections.Load(),
		PublishersEver: totals.PublishersEver,
		PlaysEver:      totals.PlaysEver,
		Throttled:      totals.Throttled,
		Events:         s.news.newest(),
		EventsMissed:   totals.EventsDropped,
		Rejects:        totals.Rejects,
	}
	for _, d := range totals.Dispatches {
		p.Dispatches = append(p.Dispatches, handover.Dispatches{
			Direction: string(d.Direction), Code: d.Code, Requests: d.Requests, Took: d.Took,
		})
	}
	return p
}

func (k *keeper) client(c *client) *handover.Client {
	session, err := c.session.State()
	socket, notPut := k.bundle.Put(c.file)
	if err = errors.Join(err, notPut); err != nil {
		k.failed("a client can't be handed over", err)
		return nil
	}
	return &handover.Client{Socket: socket, Session: session}
}

func (k *keeper) push(p *push) handover.Stream {
	s := k.stream(p.Stream)
	seat := &p.seat
	seat.mu.Lock()
	defer seat.mu.Unlock()
	s.Over, s.Written, s.WasDoubtful = seat.over, p.written.Load(), p.wasDoubtful
	if seat.last != nil {
		s.Remote = seat.last.remote
	}
	if seat.grace != nil {
		seat.grace.Stop()
		s.Grace = max(seat.until.Sub(k.at), 1)
	}
	s.Away = k.age(seat.lost)
	if p.node != nil && s.Node != nil {
		s.Node.Flights = p.node.uplink.ledger.keep()
		s.Node.Reader = k.reader(p.node.uplink.follower, &p.node.uplink.clock)
	}
	if h := seat.holder; h != nil {
		if s.Publisher = k.publisher(h); s.Publisher == nil { // it is closed, and may come back
			s.Grace = max(p.o.Grace, takeoverGrace)
		}
	}
	return s
}

func (k *keeper) publisher(p *publisher) *handover.Publisher {
	session, err := p.session.State()
	socket, notPut := k.bundle.Put(p.file)
	if err = errors.Join(err, notPut); err != nil {
		k.failed("an encoder can't be handed over", err)
		return nil
	}
	return &handover.Publisher{
		Socket: socket, Session: session, ID: p.id, Age: k.age(p.since), TookOver: p.tookOver, Heard: time.Duration(p.heard.Load()),
		Seam: k.seam(&p.seam),
		Pace: handover.Pace{
			Runs: !p.pace.begun.IsZero(), Age: k.age(p.pace.begun), Last: p.pace.last, Media: p.pace.media, Count: p.pace.count, Ahead: p.pace.ahead,
		},
	}
}

func (k *keeper) pull(p *pull) handover.Stream {
	s := k.stream(p.Stream)
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Over = p.over
	if p.idle != nil {
		p.idle.Stop()
		s.Linger = max(p.until.Sub(k.at), 1)
	}
	if p.players > len(s.Players) && len(s.Players) == 0 { // they are closed, and may come back
		s.Linger = max(p.o.PullIdle, takeoverGrace)
	}
	if p.node != nil && s.Node != nil {
		s.Node.Seam = k.seam(p.node.seam)
	}
	return s
}

func (k *keeper) stream(s *Stream) handover.Stream {
	kept := handover.Stream{
		ID: s.id, Direction: string(s.direction), Age: k.age(s.since), LastMedia: time.Duration(s.lastMedia.Load()),
		Clock:    handover.Clock{Newest: s.clock.newest, Age: k.age(s.clock.at), Runs: !s.clock.at.IsZero()},
		Backlog:  k.backlog(s.backlog),
		Node:     k.node(s.node),
		Retry:    handover.Retry{Failures: s.retry.failures, Wait: max(s.now.nextTry.Sub(k.at), s.notBefore.Sub(k.at), 0)},
		Moved:    s.moved.URL(),
		WasSent:  s.wasSent,
		Counters: s.keepCounters(k.at),
	}
	if !s.lostAt.IsZero() {
		age := k.age(s.lostAt)
		kept.LostAge = &age
	}
	if a := s.remembered; len(a.answer.Nodes) > 0 {
		kept.Answer = &handover.Answer{RequestID: a.answer.RequestID, Age: k.age(a.at)}
		for _, n := range a.answer.Nodes {
			kept.Answer.Nodes = append(kept.Answer.Nodes, n.URL())
		}
	}
	for p := range s.audience.players {
		if player := k.player(p); player != nil {
			kept.Players = append(kept.Players, *player)
		}
	}
	slices.SortFunc(kept.Players, func(a, b handover.Player) int { return cmp.Compare(a.Socket, b.Socket) })
	return kept
}

func (k *keeper) node(n *node) *handover.Node {
	if n == nil {
		return nil
	}
	upstream, err := n.upstream.State()
	socket, notPut := k.bundle.Put(n.file)
	if err = errors.Join(err, notPut); err != nil {
		k.failed("a session with a node can't be handed over", err)
		return nil
	}
	return &handover.Node{Socket: socket, Asked: n.asked.URL(), URL: n.node.URL(), Upstream: upstream, Age: k.age(n.since)}
}

func (k *keeper) player(p *player) *handover.Player {
	if p.file == nil || p.follower == nil {
		return nil
	}
	session, err := p.session.State()
	socket, notPut := k.bundle.Put(p.file)
	if err = errors.Join(err, notPut); err != nil {
		k.failed("a player can't be handed over", err)
		return nil
	}
	return &handover.Player{
		Socket: socket, Session: session, Reader: k.reader(p.follower, &p.clock), Begun: p.begun.Load(), Age: k.age(p.since),
		Bytes: p.bytes, Skipped: p.skipped,
	}
}

// reader is a follower and the clock of what it reads.
func (k *keeper) reader(f *follower, clock *timeline) handover.Reader {
	return handover.Reader{
		Next: f.next, Lost: f.lost, Begun: f.begun, Epoch: f.epoch, Given: k.entries(f.given), Dropped: f.dropped,
		Ticks: clock.begun, Last: clock.last, Now: clock.now,
	}
}

func (l *ledger) keep() (flights []handover.Flight) {
	for _, f := range l.underWay {
		flights = append(flights, handover.Flight{End: f.end, Next: f.next})
	}
	return flights
}

func (k *keeper) seam(s *seam) handover.Seam {
	return handover.Seam{
		Offset: s.offset, Overlaps: s.overlaps, Overlap: s.overlap.on, Until: s.overlap.until, Open: s.open,
		Waits: !s.since.IsZero(), Age: k.age(s.since), HasVideo: s.starts.hasVideo, Opening: k.entries(s.opening),
	}
}

func (k *keeper) backlog(b *backlog) handover.Backlog {
	kept := make([]handover.Entry, b.entries.len())
	for i := range kept {
		kept[i] = k.entry(b.entries.at(i))
	}
	return handover.Backlog{
		First: b.first, Entries: kept, Base: k.entries(b.base), HasVideo: b.starts.hasVideo, Epoch: b.epoch,
		Begun: b.begun, Origin: b.origin, Received: b.received, Unhurried: b.unhurried, Lost: b.lost.keep(), InDoubt: b.inDoubt.keep(),
	}
}

func (k *keeper) entries(all []entry) []handover.Entry {
	kept := make([]handover.Entry, len(all))
	for i := range all {
		kept[i] = k.entry(&all[i])
	}
	return kept
}

func (k *keeper) entry(e *entry) handover.Entry {
	kept := handover.Entry{Type: e.Type, Timestamp: e.Timestamp, Payload: e.Payload, Age: k.age(e.at), Start: e.start, Epoch: e.epoch}
	if e.opening != nil {
		kept.Opening = k.entries(*e.opening) // not nil: an epoch may open without headers
	}
	return kept
}

func (d *drops) keep() (counts []uint64) {
	for _, tracks := range d {
		counts = append(counts, tracks[:]...)
	}
	return counts
}

func (s *Stream) keepCounters(now time.Time) handover.Counters {
	c := &s.counters
	video, audio := s.meter.Counters()
	return handover.Counters{
		BytesIn: c.bytesIn.Load(), MessagesIn: c.messagesIn.Load(), BytesOut: c.bytesOut.Load(), MessagesOut: c.messagesOut.Load(),
		Replayed: c.replayed.Load(), Dropped: c.dropped.Load(), Dispatches: c.dispatches.Load(), Sessions: c.sessions.Load(),
		Publishes: c.publishes.Load(), Plays: c.plays.Load(), BytesPlayed: c.bytesPlayed.Load(), Skipped: c.skipped.Load(),
		Outage: s.outage.total + s.outage.present(now),
		Video:  handover.TrackCounters(video), Audio: handover.TrackCounters(audio),
		Departures: s.departures.read(), LostBy: s.lostBy.read(), MissedAt: s.missedAt.read(),
	}
}

// age is how long ago t was; 0 for none.
func (k *keeper) age(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(k.at.Sub(t), 0)
}
