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

// admit decides whether a session may publish and returns its stream, which is
// then under way. The error is a *refusal, or why ctx ended.
func (s *Server) admit(ctx, life context.Context, session *rtmp.Session) (*Stream, error) {
	if session.Action != rtmp.Publish {
		return nil, &refusal{code: rtmp.CodePlayFailed, reason: "nothing can be played here, only published"}
	}
	id, err := s.streamID(session.App, session.Name)
	if err != nil {
		return nil, err
	}
	stream, err := s.claim(ctx, life, id, session)
	if err != nil {
		return nil, err
	}
	select {
	case verdict := <-stream.verdict:
		if refused := refusalFor(verdict); refused != nil {
			stream.end()
			return nil, refused
		}
	case <-time.After(verdictWait):
	case <-ctx.Done():
		stream.end()
		return nil, context.Cause(ctx)
	}
	return stream, nil
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

// claim enters a new stream into the table and starts it. A stream of the same
// id that only drains is waited for.
func (s *Server) claim(ctx, life context.Context, id string, session *rtmp.Session) (*Stream, error) {
	deadline := time.After(handoverWait)
	for {
		s.mu.Lock()
		old, taken := s.streams[id]
		if !taken && len(s.streams) < s.o.MaxStreams {
			ctx, cut := context.WithCancelCause(life)
			stream := newStream(id, session, s.o, cut)
			stream.notBefore = s.debounce(id, time.Now())
			s.streams[id] = stream
			s.wg.Go(func() {
				defer cut(nil)
				stream.run(ctx)
				s.forget(stream)
			})
			s.mu.Unlock()
			return stream, nil
		}
		s.mu.Unlock()

		if !taken {
			return nil, denied("all %d streams are in use: raise ZEGORELAY_MAX_STREAMS", s.o.MaxStreams)
		}
		if !old.endsWithin(ctx, goodbyeWait) {
			return nil, &refusal{
				code:   rtmp.CodePublishBadName,
				reason: fmt.Sprintf("%s is already being published by %s: stop it there first", id, old.remote),
			}
		}
		select {
		case <-old.closed:
		case <-deadline:
			old.cut(errReplaced)
			deadline = nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
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
