package relay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
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

	// publishEvery is the least time between the first dispatches of two
	// publishes of a stream.
	publishEvery = time.Second

	maxStreamID = 256
)

// refusal is why an encoder may not publish: a status code that encoders know
// and a sentence that tells a person what to do.
type refusal struct {
	code   string
	reason string
}

func (r *refusal) Error() string { return r.reason }

func denied(format string, args ...any) *refusal {
	return &refusal{code: rtmp.CodePublishDenied, reason: fmt.Sprintf(format, args...)}
}

// admit decides whether a session may publish, and gives it its stream, which is
// then under way. The error is a *refusal, or why ctx ended.
func (s *Server) admit(ctx, life context.Context, session *rtmp.Session) (*Stream, *publisher, error) {
	if session.Action != rtmp.Publish {
		return nil, nil, &refusal{code: rtmp.CodePlayFailed, reason: "nothing can be played here, only published"}
	}
	id, err := s.streamID(session.App, session.Name)
	if err != nil {
		return nil, nil, err
	}
	p := newPublisher(session)
	stream, isNew, err := s.claim(ctx, life, id, p)
	if err != nil || !isNew {
		return stream, p, err
	}
	select {
	case verdict := <-stream.verdicts:
		if refused := refusalFor(verdict); refused != nil {
			stream.leave(p, true)
			return nil, nil, refused
		}
	case <-time.After(verdictWait):
	case <-ctx.Done():
		stream.leave(p, true)
		return nil, nil, context.Cause(ctx)
	}
	return stream, p, nil
}

// streamID finds the StreamId that a publish is for. Encoders with one field
// put the key behind the application, and what follows a question mark is not
// part of the key.
func (s *Server) streamID(app, name string) (string, error) {
	key, _, _ := strings.Cut(name, "?")
	if behind, ok := strings.CutPrefix(app, s.o.App+"/"); ok && key == "" {
		app, key = s.o.App, behind
	}
	switch {
	case app != s.o.App:
		return "", denied("unknown application %s: publish to rtmp://HOST/%s with your stream key", quoted(app), s.o.App)
	case key == "":
		return "", denied("no stream key: publish to rtmp://HOST/%s/KEY, or fill in the stream key", s.o.App)
	}
	id := strings.NewReplacer("{app}", app, "{key}", key).Replace(s.o.StreamID)
	if !isStreamID(id) {
		return "", denied("the stream key %s can't be a ZEGO StreamId: use 1 to %d letters, digits, - and _ only",
			quoted(key), maxStreamID)
	}
	return id, nil
}

// isStreamID holds id against ZEGO's rule.
func isStreamID(id string) bool {
	if id == "" || len(id) > maxStreamID {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// quoted makes a peer's word fit for a sentence: escaped, and cut.
func quoted(word string) string {
	const most = 64
	if len(word) > most {
		return fmt.Sprintf("%q…", word[:most])
	}
	return fmt.Sprintf("%q", word)
}

// claim gives p the stream of an id: a new one, or one that waits for its
// encoder, or one that another encoder has to leave. One that only drains is
// waited for.
func (s *Server) claim(ctx, life context.Context, id string, p *publisher) (stream *Stream, isNew bool, err error) {
	patience := time.After(handoverWait)
	for {
		stream, isNew, err := s.find(life, id, p)
		if err != nil || isNew {
			return stream, isNew, err
		}
		if refused := refusalFor(stream.lastVerdict()); refused != nil {
			return nil, false, refused
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

// find returns the stream of an id. One that is new is under way, with p as its
// encoder.
func (s *Server) find(life context.Context, id string, p *publisher) (stream *Stream, isNew bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.streams[id]; ok {
		return old, false, nil
	}
	if len(s.streams) >= s.o.MaxStreams {
		return nil, false, denied("all %d streams are in use: raise ZEGORELAY_MAX_STREAMS", s.o.MaxStreams)
	}
	ctx, cut := context.WithCancelCause(life)
	stream = newStream(id, s.o, s.memory, cut)
	stream.notBefore = s.debounce(id, time.Now())
	stream.sit(p)
	s.streams[id] = stream
	s.wg.Go(func() {
		defer cut(nil)
		stream.run(ctx)
		s.forget(stream)
	})
	return stream, true, nil
}

// contend makes way for p on a stream that holder has, or says why not.
func (s *Server) contend(ctx context.Context, stream *Stream, p, holder *publisher) error {
	if holder.leftWithin(ctx, goodbyeWait) {
		return nil
	}
	isSilent := stream.silentFor(holder) >= silentAfter
	if !s.o.Conflict.yields(holder, p, isSilent) {
		return &refusal{
			code:   rtmp.CodePublishBadName,
			reason: fmt.Sprintf("%s is already being published by %s: stop it there first", stream.id, holder.remote),
		}
	}
	p.tookOver = !isSilent
	stream.log.Warn().Str(logRemote, p.remote).Str(logFrom, holder.remote).Bool(logSilent, isSilent).
		Msg("another encoder takes the stream over")
	holder.displace()
	select {
	case <-holder.left:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// debounce is when a stream that publishes now may ask ZEGO for a node: at
// once, but at most once a second however often its encoder reconnects. The
// caller holds the lock.
func (s *Server) debounce(id string, now time.Time) time.Time {
	maps.DeleteFunc(s.asked, func(_ string, at time.Time) bool { return now.Sub(at) > publishEvery })
	at := now
	switch last, ok := s.asked[id]; {
	case ok && last.After(now):
		at = last // the publish before this one ended before its turn came
	case ok:
		at = last.Add(publishEvery)
	}
	s.asked[id] = at
	return at
}

// errReplaced ends a stream that drains for too long while its encoder is back.
var errReplaced = errors.New("the encoder publishes anew")

// forget takes a stream that has ended out of the table.
func (s *Server) forget(stream *Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, stream.id)
	close(stream.closed)
}

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
		return &refusal{code: rtmp.CodePublishDenied, reason: reason}
	case dispatch.ThisStream:
		return &refusal{code: rtmp.CodePublishBadName, reason: reason}
	default:
		return nil
	}
}
