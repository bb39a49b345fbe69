package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"zegorelay/dispatch"
	"zegorelay/relay/handover"
	"zegorelay/relay/rtmp"
)

// GoOn has Run begin with what another process has left: the streams of a bundle, out of
// which it takes their connections; it closes the rest. It is called once, before Run,
// and never fails: what can't go on is logged and left out. An encoder or a player that
// is left out is closed, and its reconnect is served; a stream without its node asks for
// another one.
func (s *Server) GoOn(b *handover.Bundle) {
	defer b.Close()
	r := &reviver{s: s, bundle: b, at: time.Now().Add(-b.State.At.Since())}
	s.recall(&b.State.Process)
	for i := range b.State.Streams {
		st := &b.State.Streams[i]
		if err := r.try(func() error { return r.stream(st) }); err != nil {
			s.o.Log.Warn().Str(logStreamID, st.ID).Err(err).Msg("a stream can't go on: its encoder and players have to connect anew")
		}
	}
	for i := range b.State.Clients {
		if err := r.try(func() error { return r.client(&b.State.Clients[i]) }); err != nil {
			s.o.Log.Warn().Err(err).Msg("a client that waits for an answer can't go on: it has to connect anew")
		}
	}
	r.bundle, r.taken = nil, nil // what was taken in is the streams' now, and soon not needed any more
	s.o.Log.Info().Int(logStreams, r.streams).Int(logEncoders, r.encoders).Int(logNodes, r.nodes).Int(logPlayers, r.players).
		Stringer(logAfter, rounded(time.Since(r.at))).Msg("zegorelay goes on where the process before has stopped")
}

// reviver makes streams of what another process has left.
type reviver struct {
	s      *Server
	bundle *handover.Bundle
	at     time.Time  // when everything stopped
	taken  []net.Conn // out of the bundle, by what is being tried

	streams, encoders, nodes, players int
}

// try has f revive something. What can't be revived leaves nothing behind: its
// connections are closed, and nothing of it runs.
func (r *reviver) try(f func() error) error {
	r.taken = nil
	running := len(r.s.revived)
	err := guarded(f)
	if err != nil {
		r.s.revived = r.s.revived[:running]
		for _, nc := range r.taken {
			_ = nc.Close()
		}
	}
	return err
}

// client has a client that another process has not answered be answered.
func (r *reviver) client(kept *handover.Client) error {
	session, err := r.session(kept.Socket, &kept.Session, r.s.timeouts())
	if err != nil {
		return err
	}
	r.whenRun(func(ctx, life context.Context) {
		r.s.keepOn(ctx, session.Conn(), func(ctx context.Context, visit *visit) { r.s.answer(ctx, life, session, visit) })
	})
	return nil
}

func (r *reviver) stream(st *handover.Stream) (err error) {
	book := r.s.rules.Load()
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	switch {
	case st.Direction == string(dispatch.Push) && r.s.streams.pushes[st.ID] == nil:
		p := newPush(st.ID, book.nameOf(st.ID), book.ruleOf(st.ID).over(r.s.o), r.s.shared, nil)
		r.push(p, st)
		r.s.streams.pushes[st.ID] = p
	case st.Direction == string(dispatch.Pull) && r.s.streams.pulls[st.ID] == nil:
		p := newPull(st.ID, book.nameOf(st.ID), r.s.o, r.s.shared, nil)
		r.pull(p, st)
		r.s.streams.pulls[st.ID] = p
	default:
		return errors.New("it is there twice")
	}
	r.streams++
	return nil
}

// whenRun has f called when Run begins.
func (r *reviver) whenRun(f func(ctx, life context.Context)) {
	r.s.revived = append(r.s.revived, f)
}

// run has a stream run when Run does.
func (r *reviver) run(s *Stream, st *handover.Stream, begin func()) {
	r.whenRun(func(_, life context.Context) {
		var ctx context.Context
		ctx, s.cut = context.WithCancelCause(life)
		s.notBefore = r.at.Add(st.Retry.Wait)
		begin()
		s.tell(EventContinued, levelInfo, "zegorelay was restarted; the stream goes on", "")
		r.s.follow(ctx, s)
	})
}

func (r *reviver) push(p *push, st *handover.Stream) {
	r.fill(p.Stream, st)
	p.written.Store(st.Written)
	p.wasDoubtful = st.WasDoubtful
	if p.node = r.node(p.Stream, st.Node); p.node != nil {
		p.node.uplink = r.uplink(p, st.Node)
	}
	holder := r.publisher(p, st)
	if holder == nil {
		p.seat.last, p.seat.lost = &publisher{remote: st.Remote}, r.at.Add(-st.Away)
	}
	r.run(p.Stream, st, func() {
		p.seat.mu.Lock()
		defer p.seat.mu.Unlock()
		switch {
		case st.Over:
			p.endLocked()
		case holder == nil && st.Publisher != nil: // it could not be taken over
			p.holdLocked(max(p.o.Grace, takeoverGrace))
		case holder == nil:
			p.holdLocked(max(time.Until(r.at.Add(st.Grace)), 0))
		}
	})
	if holder != nil {
		r.whenRun(func(ctx, _ context.Context) { r.s.goOn(ctx, p, holder) })
	}
	for i := range st.Players {
		r.player(p.Stream, &st.Players[i], func(context.Context) {})
	}
}

// goOn has an encoder that another process had publish here.
func (s *Server) goOn(ctx context.Context, stream *push, p *publisher) {
	s.keepOn(ctx, p.session.Conn(), func(ctx context.Context, visit *visit) {
		s.host(ctx, stream, p, visit, func() error {
			_ = p.session.Flush() // what another process has left; a connection that is gone will say so
			return nil
		})
	})
	if !s.rules.Load().lists(stream.id) {
		stream.unlist()
	}
}

func (r *reviver) publisher(stream *push, st *handover.Stream) *publisher {
	kept := st.Publisher
	if kept == nil {
		return nil
	}
	session, err := r.session(kept.Socket, &kept.Session, r.s.timeouts())
	if err != nil {
		stream.log.Warn().Err(err).Msg("the encoder can't go on: it has to connect anew")
		return nil
	}
	p := newPublisher(session)
	p.id, p.since, p.tookOver = kept.ID, r.at.Add(-kept.Age), kept.TookOver
	stream.sit(p)
	stream.backlog.setUnhurried(st.Backlog.Unhurried)
	p.seam = *r.seam(&kept.Seam)
	p.heard.Store(int64(kept.Heard))
	p.pace = pace{last: kept.Pace.Last, media: kept.Pace.Media, count: kept.Pace.Count, ahead: kept.Pace.Ahead}
	if kept.Pace.Runs {
		p.pace.begun = r.at.Add(-kept.Pace.Age)
	}
	r.encoders++
	return p
}

func (r *reviver) uplink(p *push, kept *handover.Node) *uplink {
	follower, clock := r.follower(p.backlog, carrier, &kept.Reader)
	u := &uplink{
		s: p, at: p.node.contact, upstream: p.node.upstream, follower: follower, clock: clock,
		batch: make([]entry, 0, firstBatch),
	}
	for _, f := range kept.Flights {
		u.ledger.underWay = append(u.ledger.underWay, flight{end: f.End, next: f.Next})
	}
	return u
}

func (r *reviver) pull(p *pull, st *handover.Stream) {
	r.fill(p.Stream, st)
	if p.node = r.node(p.Stream, st.Node); p.node != nil {
		p.node.seam = r.seam(&st.Node.Seam)
	}
	for i := range st.Players {
		if r.player(p.Stream, &st.Players[i], func(ctx context.Context) { p.leave(isShutdown(ctx)) }) {
			p.join()
		}
	}
	r.run(p.Stream, st, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case st.Over:
			p.endLocked()
		case p.players == 0 && len(st.Players) > 0: // none could be taken over
			p.lingerLocked(max(p.o.PullIdle, takeoverGrace))
		case p.players == 0:
			p.lingerLocked(max(time.Until(r.at.Add(st.Linger)), 0))
		}
	})
}

// player has a player that another process had see its stream here, if it can be.
func (r *reviver) player(stream *Stream, kept *handover.Player, leave func(ctx context.Context)) bool {
	session, err := r.session(kept.Socket, &kept.Session, r.s.timeouts())
	if err != nil {
		stream.log.Warn().Err(err).Msg("a player can't go on: it has to connect anew")
		return false
	}
	p := newPlayer(stream, session)
	p.since, p.bytes, p.skipped = r.at.Add(-kept.Age), kept.Bytes, kept.Skipped
	p.begun.Store(kept.Begun)
	p.follower, p.clock = r.follower(stream.backlog, viewer, &kept.Reader)
	r.players++
	r.whenRun(func(ctx, _ context.Context) {
		r.s.keepOn(ctx, session.Conn(), func(ctx context.Context, visit *visit) {
			r.s.show(ctx, p, visit, func() { leave(ctx) })
		})
	})
	return true
}

// conn takes a connection out of the bundle.
func (r *reviver) conn(s handover.Socket) (net.Conn, error) {
	file, ok := r.bundle.Take(s)
	if !ok {
		return nil, errors.New("its connection is not there any more")
	}
	defer file.Close() // nc has its own
	nc, err := net.FileConn(file)
	switch {
	case err != nil:
		return nil, fmt.Errorf("its connection: %w", err)
	case nc.RemoteAddr() == nil: // the far side has reset it
		_ = nc.Close()
		return nil, errors.New("its connection has ended meanwhile")
	}
	r.taken = append(r.taken, nc)
	return nc, nil
}

func (r *reviver) session(s handover.Socket, state *rtmp.SessionState, timeouts rtmp.Timeouts) (*rtmp.Session, error) {
	nc, err := r.conn(s)
	if err != nil {
		return nil, err
	}
	session, err := rtmp.ResumeSession(nc, r.s.o.Limits, timeouts, state)
	if err != nil {
		_ = nc.Close()
	}
	return session, err
}

// node is the session with a node that another process had, if it can go on.
func (r *reviver) node(stream *Stream, kept *handover.Node) *node {
	if kept == nil {
		return nil
	}
	n, err := r.reviveNode(kept)
	if err != nil {
		stream.log.Warn().Err(err).Msg("the session with the node can't go on: another one is asked for")
		stream.lostAt = r.at
		return nil
	}
	r.nodes++
	stream.enter(stream.onAir(), n.node.Host())
	return n
}

func (r *reviver) reviveNode(kept *handover.Node) (*node, error) {
	n := &node{since: r.at.Add(-kept.Age)}
	nc, err := r.conn(kept.Socket)
	if err != nil {
		return nil, err
	}
	if n.asked, err = dispatch.ParseNode(kept.Asked); err == nil {
		n.node, err = dispatch.ParseNode(kept.URL)
	}
	if err == nil {
		n.target, err = rtmp.ParseTarget(kept.URL)
	}
	if err == nil {
		n.upstream, err = r.s.o.Nodes.Resume(nc, &kept.Upstream, r.at)
	}
	if err != nil {
		_ = nc.Close()
	}
	return n, err
}

func (r *reviver) follower(b *backlog, role role, kept *handover.Reader) (*follower, timeline) {
	f := &follower{
		b: b, role: role, from: kept.Next, next: kept.Next, lost: kept.Lost, begun: kept.Begun, epoch: kept.Epoch,
		given: r.entries(kept.Given), dropped: kept.Dropped, woken: make(chan struct{}, 1),
	}
	b.followers = append(b.followers, f)
	return f, timeline{begun: kept.Ticks, last: kept.Last, now: kept.Now}
}

func (r *reviver) seam(kept *handover.Seam) *seam {
	s := &seam{
		offset: kept.Offset, overlaps: kept.Overlaps, overlap: overlap{on: kept.Overlap, until: kept.Until},
		open: kept.Open, starts: starts{hasVideo: kept.HasVideo}, opening: r.entries(kept.Opening),
	}
	if kept.Waits {
		s.since = r.at.Add(-kept.Age)
	}
	return s
}

// fill brings a new stream to where another process had it.
func (r *reviver) fill(s *Stream, st *handover.Stream) {
	s.since = r.at.Add(-st.Age)
	s.lastMedia.Store(int64(st.LastMedia))
	s.clock.newest = st.Clock.Newest
	if st.Clock.Runs {
		s.clock.at = r.at.Add(-st.Clock.Age)
	}
	if st.LostAge != nil {
		s.lostAt = r.at.Add(-*st.LostAge)
	}
	s.retry.failures = st.Retry.Failures
	s.wasSent = st.WasSent
	if moved, err := dispatch.ParseNode(st.Moved); err == nil {
		s.moved = moved
	}
	if st.Answer != nil {
		s.remembered.at, s.remembered.answer.RequestID = r.at.Add(-st.Answer.Age), st.Answer.RequestID
		for _, rawURL := range st.Answer.Nodes {
			if n, err := dispatch.ParseNode(rawURL); err == nil {
				s.remembered.answer.Nodes = append(s.remembered.answer.Nodes, n)
			}
		}
	}
	r.backlog(s.backlog, &st.Backlog)
	s.recall(&st.Counters, s.backlog.headersAt(s.backlog.end()))
}

func (r *reviver) backlog(b *backlog, kept *handover.Backlog) {
	b.first, b.base = kept.First, r.entries(kept.Base)
	for i := range kept.Entries {
		e := r.entry(&kept.Entries[i])
		b.entries.add(&e)
		b.bytes += e.size()
	}
	b.starts.hasVideo, b.epoch = kept.HasVideo, kept.Epoch
	b.begun, b.origin, b.received, b.unhurried = kept.Begun, kept.Origin, kept.Received, kept.Unhurried
	b.lost.recall(kept.Lost)
	b.inDoubt.recall(kept.InDoubt)
	b.announced = b.end()
	b.memory.used.Add(int64(b.bytes))
}

func (r *reviver) entries(kept []handover.Entry) []entry {
	var all []entry
	for i := range kept {
		all = append(all, r.entry(&kept[i]))
	}
	return all
}

func (r *reviver) entry(kept *handover.Entry) entry {
	m := rtmp.Message{Type: kept.Type, Timestamp: kept.Timestamp, Payload: kept.Payload}
	e := entry{Message: m, info: m.Inspect(), start: kept.Start, at: r.at.Add(-kept.Age), epoch: kept.Epoch}
	if kept.Opening != nil {
		opening := headers(r.entries(kept.Opening))
		e.opening = &opening
	}
	return e
}
