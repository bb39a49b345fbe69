package handover

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// What a state may hold. Where RTMP or the rest of the program has a bound, this is the
// same or looser: a state of another version must not fail by a hair.
const (
	mostAge     = 10 * 365 * 24 * time.Hour
	mostID      = 512     // ZEGO takes 256 bytes
	mostText    = 4 << 10 // of ours and ZEGO's
	mostWords   = 1 << 20 // of a peer's: what one command may hold
	mostKeys    = 64      // of a map
	mostKey     = 64
	mostCodes   = 1024 // that dispatches are counted by
	mostNodes   = 64
	mostHeaders = 64
	mostEntries = 1 << 20
	mostLosses  = 12 // reasons × tracks
	mostFlights = 4096
	mostSeq     = 1 << 62 // behind it nothing overflows
	mostCount   = math.MaxInt32
)

// Streams' directions.
const (
	push = "push"
	pull = "pull"
)

// check says what in s the code behind could stumble over. Players are not looked at,
// nor is what s must not share with others.
func (s *Stream) check() error {
	if err := s.checkName(); err != nil {
		return err
	}
	b := &s.Backlog
	err := cmp.Or(
		ages("age", s.Age, s.LastMedia, s.Clock.Age, s.Away, s.Grace, s.Linger, s.Retry.Wait, s.Counters.Outage),
		age("age of the loss", s.LostAge),
		within("failures in a row", s.Retry.Failures, 0, mostCount),
		text("text", mostText, s.Moved, s.Remote),
		b.check(),
		within("what is written", s.Written, 0, b.end()),
		s.Answer.check(),
		s.Publisher.check(s.Direction),
		s.Node.check(b),
		s.Counters.check(),
	)
	if err != nil {
		return fmt.Errorf("%s %q: %w", s.Direction, s.ID, err)
	}
	return nil
}

func (s *Stream) checkName() error {
	switch {
	case s.Direction != push && s.Direction != pull:
		return errors.New("it has no direction")
	case s.ID == "" || len(s.ID) > mostID || !utf8.ValidString(s.ID) || strings.ContainsFunc(s.ID, unicode.IsControl):
		return errors.New("its name is none")
	}
	return nil
}

func (a *Answer) check() error {
	if a == nil {
		return nil
	}
	return cmp.Or(
		within("nodes", len(a.Nodes), 0, mostNodes),
		text("node", mostText, a.Nodes...),
		text("request id", mostText, a.RequestID),
		ages("age of the answer", a.Age),
	)
}

func (p *Publisher) check(direction string) error {
	switch {
	case p == nil:
		return nil
	case direction != push:
		return errors.New("it has an encoder")
	}
	return wrap("encoder", cmp.Or(
		ages("age", p.Age, p.Heard, p.Pace.Age, p.Pace.Media),
		within("count of messages", p.Pace.Count, 0, math.MaxInt),
		p.Seam.check(),
		checkPublisher(&p.Session),
	))
}

func (s *Seam) check() error {
	return wrap("seam", cmp.Or(ages("age", s.Age), headers("header", s.Opening)))
}

func (n *Node) check(b *Backlog) error {
	if n == nil {
		return nil
	}
	return wrap("node", cmp.Or(
		text("URL", mostText, n.Asked, n.URL),
		ages("age", n.Age),
		checkUpstream(&n.Upstream),
		n.Reader.check(b),
		n.checkFlights(b),
		n.Seam.check(),
	))
}

// checkFlights looks at positions: one too far on would have media let go of that the
// node has not received.
func (n *Node) checkFlights(b *Backlog) error {
	if err := within("writes under way", len(n.Flights), 0, mostFlights); err != nil {
		return err
	}
	var last Flight
	for _, f := range n.Flights {
		if err := cmp.Or(
			within("end of a write", f.End, last.End, n.Upstream.Conn.Queued),
			within("message behind a write", f.Next, last.Next, b.end()),
		); err != nil {
			return err
		}
		last = f
	}
	return nil
}

// check is for a player of the stream that has the backlog.
func (p *Player) check(b *Backlog) error {
	return cmp.Or(
		ages("age", p.Age),
		p.Reader.check(b),
		checkPlayer(&p.Session),
	)
}

func (c *Counters) check() error {
	return cmp.Or(
		counts("departures", c.Departures),
		counts("losses of nodes", c.LostBy),
		counts("missed nodes", c.MissedAt),
	)
}

func (p *Process) check() error {
	if err := cmp.Or(counts("rejects", p.Rejects), within("dispatches", len(p.Dispatches), 0, mostCodes)); err != nil {
		return err
	}
	for _, d := range p.Dispatches {
		if err := cmp.Or(text("dispatches", mostKey, d.Direction, d.Code), ages("dispatches", d.Took)); err != nil {
			return err
		}
	}
	return nil
}

func (l *Listener) check() error {
	switch l.Protocol {
	case "rtmp", "rtmps", "http":
		return text("address", mostText, l.Asked)
	default:
		return errors.New("it has no protocol")
	}
}

// counts checks what is counted by a word.
func counts(what string, by map[string]uint64) error {
	if err := within(what, len(by), 0, mostKeys); err != nil {
		return err
	}
	for key := range by {
		if err := text(what, mostKey, key); err != nil {
			return err
		}
	}
	return nil
}

func text(what string, most int, all ...string) error {
	for _, s := range all {
		if len(s) > most {
			return fmt.Errorf("%s: %d bytes, at most %d are taken", what, len(s), most)
		}
	}
	return nil
}

func ages(what string, all ...time.Duration) error {
	for _, d := range all {
		if err := within(what, d, 0, mostAge); err != nil {
			return err
		}
	}
	return nil
}

func age(what string, d *time.Duration) error {
	if d == nil {
		return nil
	}
	return ages(what, *d)
}

// within checks a number, least and most included.
func within[T cmp.Ordered](what string, v, least, most T) error {
	if v < least || v > most {
		return fmt.Errorf("%s: %v is not from %v to %v", what, v, least, most)
	}
	return nil
}

func wrap(what string, err error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", what, err)
	}
	return err
}
