package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"zegorelay/dispatch"
	"zegorelay/relay/rtmp"
)

const (
	// writeTimeout is how long an encoder may take to read our few answers.
	writeTimeout = 10 * time.Second

	// maxReason is what of a refusal's sentence encoders show whole.
	maxReason = 200
)

// handle serves one connection from its handshake to its end. When ctx ends the
// connection is closed; what its stream still has to deliver has until life
// ends.
func (s *Server) handle(ctx, life context.Context, nc net.Conn, visit *visit) {
	session, err := s.gate.Accept(ctx, nc, s.o.Limits, s.timeouts())
	if errors.Is(err, rtmp.ErrWrongLogin) {
		s.guesses.failed(addrOf(nc.RemoteAddr()))
		s.tellRefusal(nc.RemoteAddr(), "login", "", dispatch.Push, denied(rejectAuth, "%s", err))
		return
	}
	if err != nil {
		// Port scanners and health checks come here: not a word above debug.
		s.o.Log.Debug().Stringer(logRemote, nc.RemoteAddr()).Err(err).Msg("connection ended before it published or played")
		if reason := rejectOf(err); reason != "" {
			s.tally.reject(reason)
		}
		return
	}
	s.answer(ctx, life, session, visit)
}

// answer gives a client what it wants, or says why not.
func (s *Server) answer(ctx, life context.Context, session *rtmp.Session, visit *visit) {
	if session.Action == rtmp.Play {
		s.play(ctx, life, session, visit)
	} else {
		s.publish(ctx, life, session, visit)
	}
}

// decline doesn't give a client what it wants: it is refused, or, if another process is
// about to go on, that one answers it.
func (s *Server) decline(ctx context.Context, session *rtmp.Session, err error) {
	if errors.Is(err, errLeaving) && s.leaveUnanswered(session) {
		return
	}
	s.refuse(ctx, session, err)
}

// timeouts are those of encoders, and of players as long as nothing is played.
func (s *Server) timeouts() rtmp.Timeouts {
	return rtmp.Timeouts{Read: s.o.PublisherTimeout, Write: writeTimeout}
}

// refuse tells a client why not, unless err is only that its time was over.
func (s *Server) refuse(ctx context.Context, session *rtmp.Session, err error) {
	var refused *refusal
	if !errors.As(err, &refused) {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = session.Close() })()
	what := map[rtmp.Action]string{rtmp.Publish: "publish", rtmp.Play: "play"}[session.Action]
	s.tellRefusal(session.RemoteAddr(), what, session.Client, directionOf(session), refused)
	session.Refuse(refused.code, cut(refused.reason, maxReason))
}

// tellRefusal tells operators that a client is refused.
func (s *Server) tellRefusal(remote net.Addr, what, client string, direction dispatch.Direction, refused *refusal) {
	s.tally.reject(refused.kind)
	times, tell := s.lobby.refused.count(addrOf(remote), refused.reason)
	if !tell {
		return
	}
	s.o.Log.Warn().Stringer(logRemote, remote).Str(logClient, cut(client, maxReason)).
		Str(logReason, refused.reason).Int(logTries, times).Msg(what + " refused")
	s.news.tellRefused(s.rules.Load().nameOf(refused.stream), refused.stream, direction, remote.String(), refused.reason)
}

// directionOf is which way the media of a client would go.
func directionOf(session *rtmp.Session) dispatch.Direction {
	if session.Action == rtmp.Play {
		return dispatch.Pull
	}
	return dispatch.Push
}

// publish serves an encoder to the end of its connection.
func (s *Server) publish(ctx, life context.Context, session *rtmp.Session, visit *visit) {
	stream, p, err := s.admit(ctx, life, session)
	if err != nil {
		s.decline(ctx, session, err)
		return
	}
	s.tally.publishersEver.Add(1)
	s.host(ctx, stream, p, visit, func() error { return s.welcome(stream, p) })
}

// host has an encoder publish to the end of its connection, and begins with what
// greet does.
func (s *Server) host(ctx context.Context, stream *push, p *publisher, visit *visit, greet func() error) {
	visit.stays()
	defer stopWith(ctx, p.session)()
	s.tally.publishers.Add(1)
	reason := guarded(func() error {
		if err := greet(); err != nil {
			return err
		}
		return s.ingest(ctx, stream, p)
	})
	s.tally.publishers.Add(-1)
	if errors.Is(reason, rtmp.ErrPaused) && p.endedBy() == nil {
		var err error
		if p.file, err = p.session.File(); err == nil {
			return // another process goes on with it
		}
		reason = fmt.Errorf("%w: %w", errLeaving, err)
	}
	s.part(ctx, stream, p, reason)
}

// part takes leave of an encoder that is gone.
func (s *Server) part(ctx context.Context, stream *push, p *publisher, reason error) {
	if cause := p.endedBy(); cause != nil {
		reason = cause
	}
	isGoodbye := errors.Is(reason, rtmp.ErrUnpublished)
	held := stream.leave(p, reason, isGoodbye || errors.Is(reason, errUnlisted) || isShutdown(ctx))
	event := stream.log.Info().Str(logRemote, p.remote).Str(logReason, reason.Error())
	if held > 0 {
		event = event.Stringer(logHeld, rounded(held))
	}
	event.Msg("encoder gone")
	stream.departures.add(departureOf(reason))
	if held > 0 {
		stream.tell(EventPublisherLost, levelWarn, "the encoder "+p.remote+" is gone: "+reason.Error(), "")
	}
	if isGoodbye {
		p.session.Linger()
	}
}

// welcome tells an encoder that it may publish, and everybody else that it does.
func (s *Server) welcome(stream *push, p *publisher) error {
	if err := p.session.Start(); err != nil {
		return err
	}
	stream.meter.Begin()
	what, kind := "encoder started to publish", EventStarted
	if stream.counters.publishes.Add(1) > 1 {
		what, kind = "encoder went on with the stream", EventPublisherBack
	}
	stream.tell(kind, levelInfo, what+", from "+p.remote, "")
	stream.log.Info().Str(logRemote, p.remote).Str(logClient, cut(p.session.Client, maxReason)).Msg(what)
	return nil
}

// ingest reads an encoder's messages into its stream. It returns why the
// encoder is gone.
func (s *Server) ingest(ctx context.Context, stream *push, p *publisher) error {
	p.session.UsePool(stream.backlog.memory.pool)
	p.session.BeforeWait(stream.backlog.announce)
	defer stream.backlog.announce() // what came in one read with the end
	for {
		m, err := p.session.Read()
		switch {
		case err == nil:
			stream.append(p, m)
			stream.brake(ctx, p)
		case errors.Is(err, rtmp.ErrPaused), errors.Is(err, rtmp.ErrUnpublished):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return errSilent
		default:
			return err
		}
	}
}

var errSilent = errors.New("the encoder was silent for too long")

func cut(s string, most int) string {
	if len(s) > most {
		return s[:most-len("…")] + "…"
	}
	return s
}
