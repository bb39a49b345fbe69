package relay

import (
	"zegorelay/dispatch"
	"zegorelay/relay/handover"
	"zegorelay/relay/media"
)

// What was counted in the process before goes on here: no counter falls at a restart.

// recall takes in what was counted before.
func (s *Server) recall(p *handover.Process) {
	s.tally.connections.Store(p.Connections)
	s.tally.publishersEver.Store(p.PublishersEver)
	s.tally.playsEver.Store(p.PlaysEver)
	s.tally.throttled.Store(p.Throttled)
	s.news.last = p.Events
	s.news.missed.Store(p.EventsMissed)
	for reason, n := range p.Rejects {
		s.tally.rejects[reason] = n
	}
	for _, d := range p.Dispatches {
		s.tally.dispatches[dispatchKind{dispatch.Direction(d.Direction), d.Code}] = dispatchSum{d.Requests, d.Took}
	}
}

func (d *drops) recall(counts []uint64) {
	for i := range min(len(counts), len(d)*len(d[0])) {
		d[i/len(d[0])][i%len(d[0])] = counts[i]
	}
}

// recall takes in what was counted before, and the headers that say what is measured.
func (s *Stream) recall(kept *handover.Counters, inForce headers) {
	c := &s.counters
	for counter, n := range map[interface{ Store(n uint64) }]uint64{
		&c.bytesIn: kept.BytesIn, &c.messagesIn: kept.MessagesIn, &c.bytesOut: kept.BytesOut, &c.messagesOut: kept.MessagesOut,
		&c.replayed: kept.Replayed, &c.dropped: kept.Dropped, &c.dispatches: kept.Dispatches, &c.sessions: kept.Sessions,
		&c.publishes: kept.Publishes, &c.plays: kept.Plays, &c.bytesPlayed: kept.BytesPlayed, &c.skipped: kept.Skipped,
	} {
		counter.Store(n)
	}
	s.health.dropped = kept.Dropped // what was before is no news
	s.outage.total = kept.Outage
	s.departures.by, s.lostBy.by, s.missedAt.by = kept.Departures, kept.LostBy, kept.MissedAt
	for i := range inForce {
		s.meter.Note(inForce[i].Message, inForce[i].info, inForce[i].at)
	}
	video, audio := media.Counters(kept.Video), media.Counters(kept.Audio)
	s.meter.Recall(video, audio)
	s.observed.advisor.Recall(video, audio, slowDrops(s.backlog.losses()))
}
