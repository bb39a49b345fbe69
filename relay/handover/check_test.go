package handover

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"zegorelay/relay/rtmp"
)

func long(most int) string { return strings.Repeat("x", most+1) }

func many(n int) map[string]uint64 {
	m := make(map[string]uint64)
	for i := range n {
		m[fmt.Sprint(i)] = 1
	}
	return m
}

func TestCheck(t *testing.T) {
	if err := filledStream(t).check(); err != nil {
		t.Fatal(err)
	}
	pulled := filledStream(t)
	pulled.Direction, pulled.Publisher = pull, nil
	if err := pulled.check(); err != nil {
		t.Fatal(err)
	}
	bare := Stream{ID: "cam1", Direction: push}
	if err := bare.check(); err != nil {
		t.Fatal(err)
	}
	too := mostAge + 1
	for name, change := range map[string]func(*Stream){
		"no direction":          func(s *Stream) { s.Direction = "" },
		"no id":                 func(s *Stream) { s.ID = "" },
		"a long id":             func(s *Stream) { s.ID = long(mostID) },
		"a line in an id":       func(s *Stream) { s.ID = "a\nb" },
		"an id that is no text": func(s *Stream) { s.ID = "\xff" },

		"age":            func(s *Stream) { s.Age = -1 },
		"last media":     func(s *Stream) { s.LastMedia = too },
		"clock":          func(s *Stream) { s.Clock.Age = -1 },
		"loss":           func(s *Stream) { s.LostAge = &too },
		"away":           func(s *Stream) { s.Away = -1 },
		"grace":          func(s *Stream) { s.Grace = -1 },
		"linger":         func(s *Stream) { s.Linger = -1 },
		"wait":           func(s *Stream) { s.Retry.Wait = -1 },
		"outage":         func(s *Stream) { s.Counters.Outage = -1 },
		"failures":       func(s *Stream) { s.Retry.Failures = -1 },
		"moved":          func(s *Stream) { s.Moved = long(mostText) },
		"remote":         func(s *Stream) { s.Remote = long(mostText) },
		"written":        func(s *Stream) { s.Written = 3 },
		"nodes":          func(s *Stream) { s.Answer.Nodes = make([]string, mostNodes+1) },
		"a node's URL":   func(s *Stream) { s.Answer.Nodes[0] = long(mostText) },
		"request id":     func(s *Stream) { s.Answer.RequestID = long(mostText) },
		"answer":         func(s *Stream) { s.Answer.Age = -1 },
		"departures":     func(s *Stream) { s.Counters.Departures = many(mostKeys + 1) },
		"loss of nodes":  func(s *Stream) { s.Counters.LostBy = map[string]uint64{long(mostKey): 1} },
		"missed nodes":   func(s *Stream) { s.Counters.MissedAt = many(mostKeys + 1) },
		"pulled encoder": func(s *Stream) { s.Direction = pull },

		"encoder's age":     func(s *Stream) { s.Publisher.Age = -1 },
		"heard":             func(s *Stream) { s.Publisher.Heard = -1 },
		"encoder plays":     func(s *Stream) { s.Publisher.Session.Action = rtmp.Play },
		"pace's age":        func(s *Stream) { s.Publisher.Pace.Age = -1 },
		"pace":              func(s *Stream) { s.Publisher.Pace.Media = too },
		"pace's count":      func(s *Stream) { s.Publisher.Pace.Count = -1 },
		"seam":              func(s *Stream) { s.Publisher.Seam.Age = -1 },
		"headers of a seam": func(s *Stream) { s.Publisher.Seam.Opening = make([]Entry, mostHeaders+1) },
		"words":             func(s *Stream) { s.Publisher.Session.TCURL = long(mostWords) },
		"encoder's session": func(s *Stream) { s.Publisher.Session.Conn.ChunkSize = 0 },

		"URL":              func(s *Stream) { s.Node.URL = long(mostText) },
		"URL asked":        func(s *Stream) { s.Node.Asked = long(mostText) },
		"node's age":       func(s *Stream) { s.Node.Age = -1 },
		"node's name":      func(s *Stream) { s.Node.Upstream.Name = long(mostText) },
		"dialled":          func(s *Stream) { s.Node.Upstream.Age = -1 },
		"no window":        func(s *Stream) { s.Node.Upstream.Window = -1 },
		"window":           func(s *Stream) { s.Node.Upstream.Window = 1 << 32 },
		"node's session":   func(s *Stream) { s.Node.Upstream.Conn.OutChunkSize = 0 },
		"node's seam":      func(s *Stream) { s.Node.Seam.Age = -1 },
		"writes":           func(s *Stream) { s.Node.Flights = make([]Flight, mostFlights+1) },
		"write never done": func(s *Stream) { s.Node.Flights[0].End = 2 },
		"write of nothing": func(s *Stream) { s.Node.Flights[0].Next = 3 },
		"writes back": func(s *Stream) {
			s.Node.Flights = []Flight{{1, 1}, {0, 1}}
		},
		"messages back": func(s *Stream) { s.Node.Flights = []Flight{{1, 1}, {1, 0}} },
	} {
		fails(t, name, change)
	}
}

func fails(t *testing.T, name string, change func(*Stream)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		s := filledStream(t)
		change(s)
		if s.check() == nil {
			t.Error("that is fine")
		}
	})
}

func TestCheckBacklog(t *testing.T) {
	for name, change := range map[string]func(*Backlog, *Reader){
		"overflow":       func(b *Backlog, _ *Reader) { b.First = math.MaxUint64 },
		"first":          func(b *Backlog, _ *Reader) { b.First = mostSeq + 1 },
		"too many":       func(b *Backlog, _ *Reader) { b.Entries = slices.Repeat(b.Entries, mostEntries+1) },
		"origin":         func(b *Backlog, _ *Reader) { b.Origin = 3 },
		"received":       func(b *Backlog, _ *Reader) { b.Received = 3 },
		"losses":         func(b *Backlog, _ *Reader) { b.Lost = make([]uint64, mostLosses+1) },
		"doubts":         func(b *Backlog, _ *Reader) { b.InDoubt = make([]uint64, mostLosses+1) },
		"base":           func(b *Backlog, _ *Reader) { b.Base[0].Type = rtmp.TypeCommand },
		"not begun":      func(b *Backlog, _ *Reader) { b.Begun = false },
		"no media":       func(b *Backlog, _ *Reader) { b.Entries[0].Type = rtmp.TypeAggregate },
		"long":           func(b *Backlog, _ *Reader) { b.Entries[0].Payload = make([]byte, mostMessage+1) },
		"from never":     func(b *Backlog, _ *Reader) { b.Entries[0].Age = -1 },
		"opening":        func(b *Backlog, _ *Reader) { b.Entries[0].Opening = make([]Entry, mostHeaders+1) },
		"opening's own":  func(b *Backlog, _ *Reader) { b.Entries[0].Opening[0].Opening = []Entry{} },
		"opening's type": func(b *Backlog, _ *Reader) { b.Entries[0].Opening[0].Type = 0 },
		"older epoch":    func(b *Backlog, _ *Reader) { b.Entries = []Entry{b.Entries[0], b.Entries[0]}; b.Entries[1].Epoch = 0 },
		"epoch falls": func(b *Backlog, _ *Reader) {
			e := b.Entries[0]
			b.Entries = []Entry{e, e, e}
			b.Entries[1].Epoch = 0
		},
		"newer epoch": func(b *Backlog, _ *Reader) { b.Epoch = 0 },
		"behind":      func(b *Backlog, _ *Reader) { b.Epoch = 2 },

		"next":         func(_ *Backlog, r *Reader) { r.Next = 3 },
		"given":        func(_ *Backlog, r *Reader) { r.Given[0].Payload = make([]byte, mostMessage+1) },
		"reader ahead": func(_ *Backlog, r *Reader) { r.Epoch = 2 },
	} {
		fails(t, name, func(s *Stream) { change(&s.Backlog, &s.Node.Reader) })
	}
}

func TestCheckConn(t *testing.T) {
	for name, change := range map[string]func(*rtmp.ConnState, *rtmp.ChunkStreamState){
		"no chunk size":    func(c *rtmp.ConnState, _ *rtmp.ChunkStreamState) { c.ChunkSize, c.Left = 0, 0 },
		"chunk size":       func(c *rtmp.ConnState, _ *rtmp.ChunkStreamState) { c.ChunkSize = mostChunkSize + 1 },
		"chunk streams":    func(c *rtmp.ConnState, _ *rtmp.ChunkStreamState) { c.Left, c.ChunkStreams = 0, ids(mostChunkStreams+1) },
		"input":            func(c *rtmp.ConnState, _ *rtmp.ChunkStreamState) { c.Input = make([]byte, mostInput+1) },
		"never acks":       func(c *rtmp.ConnState, _ *rtmp.ChunkStreamState) { c.AckEvery = mostWindow + 1 },
		"always acks":      func(c *rtmp.ConnState, _ *rtmp.ChunkStreamState) { c.AckEvery = 0 },
		"acks too much":    func(c *rtmp.ConnState, _ *rtmp.ChunkStreamState) { c.Acked = 2 },
		"no chunk size up": func(c *rtmp.ConnState, _ *rtmp.ChunkStreamState) { c.OutChunkSize = 0 },
		"chunk size up":    func(c *rtmp.ConnState, _ *rtmp.ChunkStreamState) { c.OutChunkSize = 1 << 31 },
		"sent":             func(c *rtmp.ConnState, _ *rtmp.ChunkStreamState) { c.Sent = make([]rtmp.SentState, mostSent+1) },
		"queued":           func(c *rtmp.ConnState, _ *rtmp.ChunkStreamState) { c.Queued = math.MaxUint64 },
		"unsent": func(c *rtmp.ConnState, _ *rtmp.ChunkStreamState) {
			c.Unsent, c.Queued = make([]byte, mostInput+1), mostSeq
		},
		"more unsent":   func(c *rtmp.ConnState, _ *rtmp.ChunkStreamState) { c.Unsent = make([]byte, 2) },
		"acked unsent":  func(c *rtmp.ConnState, _ *rtmp.ChunkStreamState) { c.PeerAcked = 2 + handshakeBytes },
		"step":          func(c *rtmp.ConnState, _ *rtmp.ChunkStreamState) { c.AckStep = mostWindow + 1 },
		"id":            func(c *rtmp.ConnState, cs *rtmp.ChunkStreamState) { cs.ID, c.Under = 1, 1 },
		"large id":      func(c *rtmp.ConnState, cs *rtmp.ChunkStreamState) { cs.ID, c.Under = mostChunkID+1, mostChunkID+1 },
		"id twice":      func(c *rtmp.ConnState, cs *rtmp.ChunkStreamState) { c.ChunkStreams = append(c.ChunkStreams, *cs) },
		"length":        func(_ *rtmp.ConnState, cs *rtmp.ChunkStreamState) { cs.Length = mostMessage + 1 },
		"body":          func(c *rtmp.ConnState, cs *rtmp.ChunkStreamState) { c.Left, cs.Body = 0, make([]byte, 3) },
		"body to come":  func(_ *rtmp.ConnState, cs *rtmp.ChunkStreamState) { cs.Body = make([]byte, 2) },
		"no message":    func(c *rtmp.ConnState, cs *rtmp.ChunkStreamState) { c.Left, cs.Begun = 0, false },
		"left of none":  func(_ *rtmp.ConnState, cs *rtmp.ChunkStreamState) { cs.Begun, cs.Body = false, nil },
		"under nothing": func(c *rtmp.ConnState, _ *rtmp.ChunkStreamState) { c.Under = 4 },
		"long chunk":    func(c *rtmp.ConnState, cs *rtmp.ChunkStreamState) { c.Left, cs.Length = 2, 4 },
		"bodies": func(c *rtmp.ConnState, _ *rtmp.ChunkStreamState) {
			c.Left, c.ChunkStreams = 0, ids(5)
			for i := range c.ChunkStreams {
				c.ChunkStreams[i].Begun = true
				c.ChunkStreams[i].Length = mostMessage
				c.ChunkStreams[i].Body = make([]byte, mostMessage)
			}
		},
	} {
		fails(t, name, func(s *Stream) {
			c := &s.Publisher.Session.Conn
			change(c, &c.ChunkStreams[0])
		})
	}
}

func ids(n int) []rtmp.ChunkStreamState {
	all := make([]rtmp.ChunkStreamState, n)
	for i := range all {
		all[i].ID = uint32(3 + i)
	}
	return all
}
