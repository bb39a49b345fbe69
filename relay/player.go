package relay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"zegorelay/dispatch"
	"zegorelay/relay/rtmp"
)

var (
	// errAbsent ends a player that has waited in vain.
	errAbsent = errors.New("the stream isn't there")

	// errEnded ends one that has all.
	errEnded = errors.New("the stream has ended")

	// errTooSlow ends one that takes nothing.
	errTooSlow = errors.New("the player takes nothing")
)

// player is one local player's stay on a stream. The stream doesn't notice how
// fast it is.
type player struct {
	stream  *Stream
	session *rtmp.Session
	log     zerolog.Logger
	since   time.Time
	end     context.CancelCauseFunc

	listener sync.WaitGroup // hears what the player says
	heard    error          // why it has said nothing more; of listener

	begun    atomic.Bool // it has been given something
	bytes    uint64
	skipped  uint64
	follower *follower // nil before it begins
	clock    timeline

	file *os.File // its connection, for another process; nil: it stays here
}

func newPlayer(stream *Stream, session *rtmp.Session) *player {
	return &player{
		stream:  stream,
		session: session,
		log:     stream.log.With().Stringer(logRemote, session.RemoteAddr()).Logger(),
		since:   time.Now(),
	}
}

// audience is all players of a stream.
type audience struct {
	mu      sync.Mutex
	players map[*player]bool
}

func (a *audience) enter(p *player) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.players == nil {
		a.players = make(map[*player]bool)
	}
	a.players[p] = true
}

func (a *audience) exit(p *player) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.players, p)
}

func (a *audience) size() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.players)
}

// dismiss ends all players, and reports whether there was one.
func (a *audience) dismiss(reason error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for p := range a.players {
		p.end(reason)
	}
	return len(a.players) > 0
}

// turnAway ends those who still wait for the picture.
func (a *audience) turnAway(reason error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for p := range a.players {
		if !p.begun.Load() {
			p.end(reason)
		}
	}
}

// play serves a player to the end of its connection, or of its stream.
func (s *Server) play(ctx, life context.Context, session *rtmp.Session, visit *visit) {
	stream, leave, err := s.stage(ctx, life, session)
	if err != nil {
		s.decline(ctx, session, err)
		return
	}
	p := newPlayer(stream, session)
	stream.counters.plays.Add(1)
	s.tally.playsEver.Add(1)
	p.log.Info().Str(logClient, cut(p.session.Client, maxReason)).Msg("player joined")
	s.show(ctx, p, visit, leave)
}

// show has a player see its stream, to the end of either. Leave is called when it
// has left.
func (s *Server) show(ctx context.Context, p *player, visit *visit, leave func()) {
	visit.stays()
	server, session := ctx, p.session
	ctx, p.end = context.WithCancelCause(ctx)
	defer p.end(nil)
	s.tally.players.Add(1)
	defer s.tally.players.Add(-1)
	p.stream.audience.enter(p)
	defer func() {
		if p.file == nil { // else it stays, with another process
			p.stream.audience.exit(p)
			leave()
		}
	}()
	if refused := refusalFor(p.stream.lastVerdict()); refused != nil && p.stream.direction == dispatch.Pull {
		p.end(refused) // it came while p was on its way in
	}
	reason := p.run(ctx)
	if p.file == nil {
		defer context.AfterFunc(server, func() { _ = session.Close() })() // nobody waits for last words
		p.conclude(reason)
	}
	p.listener.Wait()
}

// stage finds the stream that a session wants to play. The caller calls leave when
// the player does. The error is a *refusal, or why ctx ended.
func (s *Server) stage(ctx, life context.Context, session *rtmp.Session) (stream *Stream, leave func(), err error) {
	addr := addrOf(session.RemoteAddr())
	if !contains(s.o.PlayAllow, addr) {
		return nil, nil, unplayable(rejectAuth, rtmp.CodePlayFailed, "%s may not play here: ZEGORELAY_PLAY_ALLOW says who may", addr)
	}
	wanted, err := s.wanted(ctx, session)
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		return nil, nil, unplayable(refused.kind, rtmp.CodePlayFailed, "%s", refused.reason).of(refused.stream)
	case err != nil:
		return nil, nil, err
	case wanted.direction == dispatch.Push:
		push := s.published(wanted.id)
		if push == nil {
			return nil, nil, unplayable(rejectBadKey, rtmp.CodePlayNotFound, "%s is not being published here", s.rules.Load().nameOf(wanted.id)).of(wanted.id)
		}
		return push.Stream, func() {}, nil
	}
	pull, err := s.pulled(ctx, life, wanted.id)
	if err != nil {
		return nil, nil, err
	}
	return pull.Stream, func() { pull.leave(isShutdown(ctx)) }, nil
}

func unplayable(kind, code, format string, args ...any) *refusal {
	return &refusal{kind: kind, code: code, reason: fmt.Sprintf(format, args...)}
}

// pulled returns the stream of a StreamId that is, from now on, pulled for one
// player more. One that is about to end is waited for.
func (s *Server) pulled(ctx, life context.Context, id string) (*pull, error) {
	for {
		p, err := s.findPull(life, id)
		if err != nil {
			return nil, err
		}
		if refused := refusalFor(p.lastVerdict()); refused != nil {
			return nil, unplayable(rejectZego, rtmp.CodePlayFailed, "%s", refused.reason).of(id)
		}
		if p.join() {
			return p, nil
		}
		select {
		case <-p.closed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// run shows the stream until ctx or the stream ends, and returns why. A player that
// comes before there is anything is held; so is one whose stream has lost its node.
func (p *player) run(ctx context.Context) error {
	begun := time.Now()
	p.listener.Go(func() {
		p.heard = guarded(p.session.Hold)
		p.end(p.heard)
	})
	defer context.AfterFunc(ctx, func() { p.hurry(ctx) })()
	if p.stream.direction == dispatch.Pull {
		defer whenSilent(p.stream.o.PullWait, p.stream.lastMediaSince(begun), func() { p.end(errAbsent) })()
	}
	reason := p.feed(ctx)
	if isLeaving(ctx) {
		p.listener.Wait()
		if !errors.Is(p.heard, rtmp.ErrPaused) {
			reason = p.heard // it was quicker
		} else if err := p.leave(); err == nil {
			return reason
		}
	}
	p.follower.close()
	if errors.Is(reason, errDrained) {
		reason = errEnded
	}
	p.log.Info().Str(logReason, reason.Error()).Stringer(logAfter, rounded(time.Since(p.since))).
		Uint64(logBytes, p.bytes).Uint64(logSkipped, p.skipped).Msg("player gone")
	return reason
}

// hurry has what is being written done soon, once ctx has ended, or paused, if another
// process is to go on.
func (p *player) hurry(ctx context.Context) {
	switch {
	case !isLeaving(ctx):
		p.session.Hurry()
	case !p.session.Pause(time.Now().Add(messagePatience)):
		_ = p.session.Close()
	}
}

// leave makes the player fit for another process, if that can be.
func (p *player) leave() (err error) {
	p.file, err = p.session.File()
	return err
}

// feed writes what the backlog has, as it comes. One that takes nothing is given
// up; one that is only slow misses GOPs.
func (p *player) feed(ctx context.Context) error {
	if p.follower == nil {
		p.follower = p.stream.backlog.view()
	} else if err := p.flush(); err != nil { // what another process has left
		return err
	}
	follower := p.follower
	batch := make([]entry, 0, batchMessages)
	for {
		var err error
		if batch, err = follower.read(ctx, batch[:0], batchBytes); err != nil {
			return err
		}
		p.skipped += follower.dropped
		p.stream.counters.skipped.Add(follower.dropped)
		follower.dropped = 0
		if err := p.write(batch); err != nil {
			return err
		}
		clear(batch) // the payloads are the backlog's to keep, not ours
	}
}

// write sends a batch in one system call.
func (p *player) write(batch []entry) error {
	if !p.begun.Load() {
		p.begun.Store(true)
		p.session.StartPlay()
	}
	size := 0
	for i := range batch {
		m := batch[i].Message
		m.Timestamp = p.clock.at(m.Timestamp)
		p.session.Queue(m)
		size += len(m.Payload)
	}
	p.bytes += uint64(size)
	p.stream.counters.bytesPlayed.Add(uint64(size))
	return p.flush()
}

func (p *player) flush() error {
	err := p.session.Flush()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errTooSlow
	case err != nil:
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// conclude tells a player why there is no more, if it can still hear it, and
// closes.
func (p *player) conclude(reason error) {
	var refused *refusal
	isOver := errors.Is(reason, errEnded) || errors.Is(reason, errAbsent) || errors.Is(reason, errShutdown)
	switch {
	case errors.As(reason, &refused):
		p.session.Refuse(rtmp.CodePlayFailed, cut(refused.reason, maxReason))
	case isOver && p.begun.Load():
		p.session.EndPlay()
	case isOver:
		p.session.Refuse(rtmp.CodePlayNotFound, cut(p.stream.absence(), maxReason))
	default:
		_ = p.session.Close()
	}
}

// absence says why there is nothing to play.
func (s *Stream) absence() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	why := s.now.lastError
	if why == "" {
		why = "it ended before it began"
	}
	return fmt.Sprintf("%s isn't there: %s", s.id, why)
}
