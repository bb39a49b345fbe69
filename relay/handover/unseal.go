package handover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

const (
	mostReason   = 300 // bytes that a problem quotes of the state
	mostProblems = 1000
)

// Unseal reads what Seal has written. f stays the caller's, its offset where it was, and
// nothing in s is of it. What it says is believed as little as what a peer says: there
// is nothing in s that the code behind could stumble over.
//
// Problems says, in a sentence each, what is left out of s: streams and players that are
// damaged or make no sense, at most a thousand. The others are there. err is why nothing is: f is no sealed
// file in memory or has more than most bytes, it is something else or of another
// version, its head is damaged. s is nil then.
//
// Whatever is in the file, no more is allocated than about a hundred times its size:
// what takes a byte there may be a struct here. What Seal wrote takes little more than
// its size.
func Unseal(f *os.File, most int64) (s *State, problems []error, err error) {
	b, release, err := mapMemory(f, most)
	if err == nil {
		defer release()
		s, problems, err = parse(b)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("unseal a state: %w", err)
	}
	return s, problems, nil
}

// parse reads a whole state. It keeps nothing of b.
func parse(b []byte) (s *State, problems []error, err error) {
	records, err := open(b)
	if err != nil {
		return nil, nil, err
	}
	mode, err := decoding()
	if err != nil {
		return nil, nil, err
	}
	h, err := readHead(records, mode)
	if err != nil {
		return nil, nil, fmt.Errorf("the head: %w", err)
	}
	in := intake{mode: mode, taken: make(map[Socket]bool), streams: make(map[name]bool)}
	in.takeHead(&h)
	seen, err := in.takeStreams(records)
	if err != nil {
		in.problem(fmt.Errorf("the end is missing: %w", err))
	}
	if missing := h.Streams - seen; missing > 0 {
		in.problem(fmt.Errorf("%d of %d streams are missing", missing, h.Streams))
	}
	return &in.state, in.problems, nil
}

// open finds the records of a state.
func open(b []byte) (*records, error) {
	rest, ok := strings.CutPrefix(string(b[:min(len(b), len(magic)+2)]), magic)
	switch {
	case !ok || len(rest) < 2:
		return nil, errors.New("it is something else")
	case binary.BigEndian.Uint16([]byte(rest)) != version:
		return nil, fmt.Errorf("it has version %d, this program knows version %d", binary.BigEndian.Uint16([]byte(rest)), version)
	}
	return &records{left: b[len(magic)+2:]}, nil
}

// decoding says what CBOR is taken. Its bounds are those of what is nested and
// repeated; what a field may hold, check knows.
func decoding() (cbor.DecMode, error) {
	return cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:   16,
		MaxArrayElements:  mostEntries,
		MaxMapPairs:       1024,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		UTF8:              cbor.UTF8DecodeInvalid, // the words of a peer need not be text
	}.DecMode()
}

// headRecord is a head whose clients are not looked at yet: what one stranger has said
// must not end everything.
type headRecord struct {
	head
	Clients []cbor.RawMessage // instead of the head's
}

func readHead(r *records, mode cbor.DecMode) (h headRecord, err error) {
	kind, body, err := r.next()
	switch {
	case err != nil:
		return h, err
	case kind != kindHead:
		return h, errors.New("something else comes first")
	}
	return h, brief(mode.Unmarshal(body, &h))
}

// intake collects what of a state is sound.
type intake struct {
	mode     cbor.DecMode
	state    State
	problems []error
	taken    map[Socket]bool
	streams  map[name]bool
}

// name is what no two streams have.
type name struct{ direction, id string }

func (in *intake) problem(err error) {
	if len(in.problems) < mostProblems {
		in.problems = append(in.problems, err)
	}
}

// takeHead takes what is not of one stream. Streams matter more: counts that make no
// sense begin again.
func (in *intake) takeHead(h *headRecord) {
	in.state.At, in.state.Process = h.At, h.Process
	if now := Now(); h.At <= 0 || h.At > now {
		in.problem(errors.New("the state's time is none that has been: now is taken instead"))
		in.state.At = now
	}
	if err := h.Process.check(); err != nil {
		in.problem(fmt.Errorf("what the process has counted: %w", err))
		in.state.Process = Process{}
	}
	for i, l := range h.Listeners {
		err := l.check()
		if err == nil {
			err = in.claim(l.Socket)
		}
		if err != nil {
			in.problem(fmt.Errorf("listener %d: %w", i, err))
			continue
		}
		in.state.Listeners = append(in.state.Listeners, l)
	}
	for i, body := range h.Clients {
		if err := in.takeClient(body); err != nil {
			in.problem(fmt.Errorf("client %d: %w", i, err))
		}
	}
}

func (in *intake) takeClient(body []byte) error {
	var c Client
	if err := in.mode.Unmarshal(body, &c); err != nil {
		return brief(err)
	}
	if err := checkSession(&c.Session); err != nil {
		return err
	}
	if err := in.claim(c.Socket); err != nil {
		return err
	}
	in.state.Clients = append(in.state.Clients, c)
	return nil
}

// takeStreams takes streams up to the end, and counts also those that are none. Its
// error is why there was no end.
func (in *intake) takeStreams(r *records) (seen int, err error) {
	for {
		kind, body, err := r.next()
		switch {
		case errors.Is(err, errCutShort):
			return seen, err
		case err == nil && kind == kindEnd:
			return seen, nil
		case err == nil && kind != kindStream:
			err = errors.New("it is something else")
		case err == nil:
			err = in.takeStream(body)
		}
		if err != nil {
			in.problem(fmt.Errorf("stream %d: %w", seen, err))
		}
		seen++
	}
}

// streamRecord is a Stream whose players are not looked at yet.
type streamRecord struct {
	Stream
	Players []cbor.RawMessage // instead of the Stream's
}

func (in *intake) takeStream(body []byte) error {
	var raw streamRecord
	if err := in.mode.Unmarshal(body, &raw); err != nil {
		return brief(err)
	}
	s := &raw.Stream
	if err := s.check(); err != nil {
		return err
	}
	name := name{s.Direction, s.ID}
	if in.streams[name] {
		return fmt.Errorf("%s %q is there twice", s.Direction, s.ID)
	}
	var sockets []Socket
	if s.Publisher != nil {
		sockets = append(sockets, s.Publisher.Socket)
	}
	if s.Node != nil {
		sockets = append(sockets, s.Node.Socket)
	}
	if err := in.claim(sockets...); err != nil {
		return fmt.Errorf("%s %q: %w", s.Direction, s.ID, err)
	}
	in.streams[name] = true
	for _, player := range raw.Players {
		if err := in.takePlayer(s, player); err != nil {
			in.problem(fmt.Errorf("a player of %s %q: %w", s.Direction, s.ID, err))
		}
	}
	in.state.Streams = append(in.state.Streams, *s)
	return nil
}

// takePlayer takes one alone: what one stranger says must not end a stream for all
// others.
func (in *intake) takePlayer(s *Stream, body []byte) error {
	var p Player
	if err := in.mode.Unmarshal(body, &p); err != nil {
		return brief(err)
	}
	if err := p.check(&s.Backlog); err != nil {
		return err
	}
	if err := in.claim(p.Socket); err != nil {
		return err
	}
	s.Players = append(s.Players, p)
	return nil
}

// claim has sockets be somebody's, all or none.
func (in *intake) claim(sockets ...Socket) error {
	for i, s := range sockets {
		switch {
		case s == 0:
			return errors.New("it has no socket")
		case in.taken[s] || slices.Contains(sockets[:i], s):
			return errors.New("its socket is somebody else's already")
		}
	}
	for _, s := range sockets {
		in.taken[s] = true
	}
	return nil
}

// brief is an error that a log can bear: some quote what they don't like.
func brief(err error) error {
	if err == nil || len(err.Error()) <= mostReason {
		return err
	}
	return errors.New(err.Error()[:mostReason] + " …")
}
