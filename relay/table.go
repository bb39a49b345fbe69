package relay

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"zegorelay/dispatch"
	"zegorelay/relay/rtmp"
)

// publishEvery is the least time between the first dispatches of two publishes,
// or two pulls, of a stream.
const publishEvery = time.Second

// table holds the streams that there are, by StreamId, and remembers those that
// have just been.
type table struct {
	pushes map[string]*push
	pulls  map[string]*pull

	asked map[address]time.Time // when a stream's last beginning asks for a node, if that is recent
}

func newTable() table {
	return table{
		pushes: make(map[string]*push),
		pulls:  make(map[string]*pull),
		asked:  make(map[address]time.Time),
	}
}

// published returns the stream of an id that is published here, nil if there is
// none.
func (s *Server) published(id string) *push {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams.pushes[id]
}

// find returns the stream of an id. One that is new is under way, with p as its
// encoder.
func (s *Server) find(life context.Context, id string, p *publisher) (stream *push, isNew bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.streams.pushes[id]; ok {
		return old, false, nil
	}
	if s.streams.size() >= s.o.MaxStreams {
		return nil, false, denied(rejectLimit, "all %d streams are in use: raise ZEGORELAY_MAX_STREAMS", s.o.MaxStreams)
	}
	ctx, cut := context.WithCancelCause(life)
	book := s.rules.Load()
	stream = newPush(id, book.nameOf(id), book.ruleOf(id).over(s.o), s.shared, cut)
	stream.sit(p)
	s.streams.pushes[id] = stream
	s.begin(ctx, stream.Stream)
	return stream, true, nil
}

// findPull returns the pulled stream of an id: one that there is, or a new one,
// which is under way and asks ZEGO for a node when it has a player.
func (s *Server) findPull(life context.Context, id string) (*pull, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.streams.pulls[id]; ok {
		return old, nil
	}
	if s.streams.size() >= s.o.MaxStreams {
		return nil, unplayable(rejectLimit, rtmp.CodePlayFailed, "all %d streams are in use: raise ZEGORELAY_MAX_STREAMS", s.o.MaxStreams)
	}
	ctx, cut := context.WithCancelCause(life)
	p := newPull(id, s.rules.Load().nameOf(id), s.o, s.shared, cut)
	s.streams.pulls[id] = p
	s.begin(ctx, p.Stream)
	return p, nil
}

// begin runs a stream that is new in the table until it is over, and takes it out.
// The caller holds the lock.
func (s *Server) begin(ctx context.Context, stream *Stream) {
	stream.notBefore = s.streams.debounce(address{stream.direction, stream.id}, time.Now())
	s.follow(ctx, stream)
}

// follow runs a stream until it is over, and takes it out of the table; or until another
// process goes on with it.
func (s *Server) follow(ctx context.Context, stream *Stream) {
	s.wg.Go(func() {
		defer stream.cut(nil)
		if !stream.run(ctx) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.streams.forget(stream)
		close(stream.closed)
	})
}

func (t *table) forget(stream *Stream) {
	if stream.direction == dispatch.Pull {
		delete(t.pulls, stream.id)
	} else {
		delete(t.pushes, stream.id)
	}
}

func (t *table) size() int { return len(t.pushes) + len(t.pulls) }

// debounce is when a stream that begins now may ask ZEGO for a node: at once, but
// at most once a second however often its encoder, or player, reconnects.
func (t *table) debounce(a address, now time.Time) time.Time {
	maps.DeleteFunc(t.asked, func(_ address, at time.Time) bool { return now.Sub(at) > publishEvery })
	at := now
	switch last, ok := t.asked[a]; {
	case ok && last.After(now):
		at = last // the one before this ended before its turn came
	case ok:
		at = last.Add(publishEvery)
	}
	t.asked[a] = at
	return at
}

// all returns every stream, in no order.
func (s *Server) all() []*Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Stream, 0, s.streams.size())
	for _, p := range s.streams.pushes {
		all = append(all, p.Stream)
	}
	for _, p := range s.streams.pulls {
		all = append(all, p.Stream)
	}
	return all
}

// Streams returns the state of all streams, sorted by StreamId, what is published
// here before what is only played.
func (s *Server) Streams() []Status {
	streams := s.all()
	all := make([]Status, 0, len(streams))
	for _, st := range streams {
		all = append(all, st.Status())
	}
	slices.SortFunc(all, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.StreamID, b.StreamID), -cmp.Compare(a.Direction, b.Direction))
	})
	return all
}
