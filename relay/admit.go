package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zegorelay/dispatch"
	"zegorelay/relay/rtmp"
)

const (
	// verdictWait is how long a publish waits for ZEGO's first verdict. Encoders
	// never retry a first connect that is refused or slow, so only what a person
	// must mend is worth the wait.
	verdictWait = 2 * time.Second

	// goodbyeWait is how long a publish waits for the goodbye of the encoder that
	// has its stream: an encoder that stops and starts at once may connect before
	// we have read what it said on its old connection.
	goodbyeWait = 300 * time.Millisecond

	// silentAfter is how long an encoder has to send nothing to be taken for lost.
	silentAfter = 3 * time.Second

	// handoverWait is how long a publish waits for the previous one of the same
	// stream, which has said goodbye, to leave the node.
	handoverWait = 2 * time.Second
)

// refusal is why a client may not publish, or play: a status code that clients
// know and a sentence that tells a person what to do.
type refusal struct {
	kind   string // for the tally
	code   string
	reason string
	stream string // that was wanted, if it can be one
}

func (r *refusal) Error() string { return r.reason }

func denied(kind, format string, args ...any) *refusal {
	return &refusal{kind: kind, code: rtmp.CodePublishDenied, reason: fmt.Sprintf(format, args...)}
}

// of names the stream that was wanted.
func (r *refusal) of(stream string) *refusal {
	named := *r
	named.stream = stream
	return &named
}

// admit decides whether a session may publish, and gives it its stream, which is
// then under way. The error is a *refusal, or why ctx ended.
func (s *Server) admit(ctx, life context.Context, session *rtmp.Session) (*push, *publisher, error) {
	wanted, err := s.wanted(ctx, session)
	if err != nil {
		return nil, nil, err
	}
	p := newPublisher(session)
	p.id = s.tally.connections.Add(1)
	stream, isNew, err := s.claim(ctx, life, wanted.id, p)
	if err != nil {
		return nil, nil, err
	}
	if !s.rules.Load().lists(wanted.id) { // SetRules has not seen p there
		stream.leave(p, errUnlisted, true)
		return nil, nil, denied(rejectBadKey, "%s", errUnlisted).of(wanted.id)
	}
	if !isNew {
		return stream, p, nil
	}
	select {
	case verdict := <-stream.verdicts:
		if refused := refusalFor(verdict); refused != nil {
			stream.leave(p, refused, true)
			return nil, nil, refused.of(wanted.id)
		}
	case <-time.After(verdictWait):
	case <-ctx.Done():
		if !isLeaving(ctx) { // else it goes on with who comes next, who hears the verdict
			stream.leave(p, nil, true)
			return nil, nil, context.Cause(ctx)
		}
	}
	return stream, p, nil
}

// claim gives p the stream of an id: a new one, or one that waits for its
// encoder, or one that another encoder has to leave. One that only drains is
// waited for.
func (s *Server) claim(ctx, life context.Context, id string, p *publisher) (stream *push, isNew bool, err error) {
	patience := time.After(handoverWait)
	for {
		stream, isNew, err := s.find(life, id, p)
		if err != nil || isNew {
			return stream, isNew, err
		}
		if refused := refusalFor(stream.lastVerdict()); refused != nil {
			return nil, false, refused.of(id)
		}
		ok, holder := stream.sit(p)
		switch {
		case ok:
			return stream, false, nil
		case holder != nil:
			if err := s.contend(ctx, stream, p, holder); err != nil {
				return nil, false, err
			}
			continue
		}
		select {
		case <-stream.closed:
		case <-patience:
			stream.cut(errReplaced)
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
	}
}

// contend makes way for p on a stream that holder has, or says why not.
func (s *Server) contend(ctx context.Context, stream *push, p, holder *publisher) error {
	switch {
	case holder.leftWithin(ctx, goodbyeWait):
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	isSilent := stream.silentFor(holder) >= silentAfter
	if !stream.o.Conflict.yields(holder, p, isSilent) {
		return &refusal{
			kind:   rejectConflict,
			stream: stream.id,
			code:   rtmp.CodePublishBadName,
			reason: fmt.Sprintf("%s is already being published by %s: stop it there first", *stream.name.Load(), holder.remote),
		}
	}
	p.tookOver = !isSilent
	stream.log.Warn().Str(logRemote, p.remote).Str(logFrom, holder.remote).Bool(logSilent, isSilent).
		Msg("another encoder took the stream over")
	holder.end(errTakenOver)
	select {
	case <-holder.left:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// errReplaced ends a stream that drains for too long while its encoder is back.
var errReplaced = errors.New("the encoder publishes anew")

// refusalFor turns the verdict on a first dispatch into a refusal, if only a
// person can mend it. Everything else heals, and accepts the encoder.
func refusalFor(verdict error) *refusal {
	if verdict == nil {
		return nil
	}
	reason := "ZEGO: " + verdict.Error()
	var z *dispatch.Error
	if errors.As(verdict, &z) {
		reason = fmt.Sprintf("%s: %s", z, z.Advice())
	}
	switch dispatch.VerdictOf(verdict) {
	case dispatch.Operator:
		return &refusal{kind: rejectZego, code: rtmp.CodePublishDenied, reason: reason}
	case dispatch.ThisStream:
		return &refusal{kind: rejectZego, code: rtmp.CodePublishBadName, reason: reason}
	default:
		return nil
	}
}
