package main

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"zegorelay/relay/rtmp"
)

// sink is the far end of a relay: a node, or a player.
type sink struct {
	b     *bench
	ln    net.Listener
	wrap  func(net.Conn) net.Conn
	conns sync.Map // of net.Conn

	bytes    atomic.Uint64
	messages atomic.Uint64
	faults   atomic.Uint64 // lost, repeated, reordered, retimed or altered

	mu        sync.Mutex
	measuring bool
	latencies []time.Duration
	arrived   map[uint32]uint64 // stream → messages, the newest number and one
}

func (b *bench) newSink() (*sink, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return &sink{b: b, ln: ln, arrived: make(map[uint32]uint64)}, nil
}

func (s *sink) addr() string { return s.ln.Addr().String() }

// serve takes publishes until close.
func (s *sink) serve() {
	for {
		nc, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.conns.Store(nc, true)
		go func() {
			defer nc.Close()
			in := nc
			if s.wrap != nil {
				in = s.wrap(nc)
			}
			session, err := rtmp.Accept(context.Background(), in, rtmp.Limits{}, rtmp.Timeouts{})
			if err != nil || session.Start() != nil {
				return
			}
			s.take(session.Read)
		}()
	}
}

func (s *sink) close() {
	_ = s.ln.Close()
	s.conns.Range(func(nc, _ any) bool {
		_ = nc.(net.Conn).Close()
		return true
	})
}

// position is how far one session is.
type position struct {
	begun bool
	next  uint64
	shift uint32 // from the source's time to this session's
}

// take reads a session to its end, and holds every message against the last.
func (s *sink) take(read func() (rtmp.Message, error)) {
	var at position
	for {
		m, err := read()
		if err != nil {
			return
		}
		if k := m.Inspect().Kind; m.Type == rtmp.TypeData || k != rtmp.Frame && k != rtmp.Keyframe {
			continue
		}
		s.note(m, &at)
	}
}

func (s *sink) note(m rtmp.Message, at *position) {
	l, err := s.b.filler.read(m)
	now := s.b.now()
	s.bytes.Add(uint64(len(m.Payload)))
	s.messages.Add(1)
	if !at.begun {
		at.begun, at.next, at.shift = true, l.number, m.Timestamp-l.time
	}
	if err != nil || l.number != at.next || m.Timestamp-l.time != at.shift {
		s.faults.Add(1 + min(max(l.number, at.next)-min(l.number, at.next), 1<<20))
	}
	at.next = l.number + 1
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.measuring {
		s.latencies = append(s.latencies, now-l.sent)
	}
	s.arrived[l.stream] = max(s.arrived[l.stream], at.next)
}

// missing is what of the streams has not arrived behind what has.
func (s *sink) missing(streams []*stream) (n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range streams {
		n += st.sent - min(s.arrived[st.number], st.sent)
	}
	return n
}

// measure begins to keep latencies; the function that it returns ends that, and
// gives the p50 and the p99.
func (s *sink) measure() (end func() (p50, p99 time.Duration)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.measuring, s.latencies = true, make([]time.Duration, 0, 1<<20)
	return func() (time.Duration, time.Duration) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.measuring = false
		if len(s.latencies) == 0 {
			return 0, 0
		}
		slices.Sort(s.latencies)
		return s.latencies[len(s.latencies)/2], s.latencies[len(s.latencies)*99/100]
	}
}
