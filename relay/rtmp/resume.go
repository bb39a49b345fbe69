package rtmp

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"time"
)

// State is all of a paused session but its connection. Nobody else may use the
// session any more. It is an error if nobody could go on with it.
func (s *Session) State() (SessionState, error) {
	conn := s.c.state()
	var err error
	if conn.Mute && s.Action == Play { // an encoder may send on and hear nothing
		err = s.c.out.failed
	}
	return SessionState{
		Conn: conn, Action: s.Action, App: s.App, Name: s.Name, TCURL: s.TCURL, Client: s.Client, User: s.User, StreamID: s.streamID,
	}, err
}

// State is what it is for a Session.
func (u *Upstream) State() (UpstreamState, error) {
	return UpstreamState{
		Conn: u.c.state(), Age: time.Since(u.begun), Name: u.name, StreamID: u.streamID, Window: u.window.Load(),
	}, u.c.out.failed
}

// File is the session's connection, once more: closing either leaves the other open.
func (s *Session) File() (*os.File, error) { return s.c.file() }

// File is what it is for a Session.
func (u *Upstream) File() (*os.File, error) { return u.c.file() }

// ResumeSession goes on with a Session of another process, on its connection. What is
// left to be written goes out with the next Flush. It does no I/O; the state is not
// believed further than a peer would be.
func ResumeSession(nc net.Conn, limits Limits, timeouts Timeouts, state *SessionState) (*Session, error) {
	c, err := resumeConn(nc, limits, &state.Conn)
	if err != nil {
		return nil, err
	}
	if state.Action != Publish && state.Action != Play {
		return nil, fmt.Errorf("%w: neither publishes nor plays", errOddState)
	}
	c.setTimeouts(timeouts)
	endHalfOpen(nc, timeouts.Read)
	return &Session{
		Action: state.Action, App: state.App, Name: state.Name, TCURL: state.TCURL, Client: state.Client, User: state.User,
		c: c, streamID: state.StreamID,
	}, nil
}

// Resume goes on with an Upstream of another process that was taken down at a time, on
// its connection. What is left to be written goes out with the next Flush. It does no
// I/O.
func (d Dialer) Resume(nc net.Conn, state *UpstreamState, at time.Time) (*Upstream, error) {
	c, err := resumeConn(nc, d.Limits, &state.Conn)
	if err != nil {
		return nil, err
	}
	boundUnsent(nc)
	u := &Upstream{c: c, begun: at.Add(-state.Age), name: state.Name, streamID: state.StreamID}
	u.window.Store(min(max(state.Window, windowLeast), windowMost))
	return u, nil
}

// errMute says that a write had failed before the session was handed over.
var errMute = errors.New("a write had failed before")

// errOddState says that a state is none that a session can be in.
var errOddState = errors.New("an impossible state")

// file is the connection's descriptor, once more.
func (c *conn) file() (*os.File, error) {
	tcp, ok := c.nc.(*net.TCPConn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return tcp.File()
}

func (c *conn) state() ConnState {
	in, out := c.in, c.out
	s := ConnState{
		Received:     in.received,
		ChunkSize:    uint32(in.chunkSize),
		Input:        in.buf[in.start:in.end],
		Left:         uint32(in.left),
		Unrepeated:   in.unrepeated,
		AckEvery:     c.ackEvery,
		Acked:        c.acked,
		OutChunkSize: uint32(out.chunkSize),
		Queued:       out.queued,
		Unsent:       out.unsent(),
		Mute:         out.failed != nil,
		PeerAcked:    c.peerAcked.Load(),
		PeerAcks:     c.peerAcks.Load(),
		AckStep:      c.ackStep.Load(),
		OddAcks:      c.oddAcks.Load(),
	}
	if in.left > 0 {
		s.Under = in.under.id
	}
	for _, id := range slices.Sorted(maps.Keys(in.chunkStreams)) {
		cs := in.chunkStreams[id]
		s.ChunkStreams = append(s.ChunkStreams, ChunkStreamState{
			ID: cs.id, Timestamp: cs.timestamp, Delta: cs.delta, Extended: cs.extended, Extension: cs.extension,
			Length: uint32(cs.length), Type: cs.typ, StreamID: cs.streamID, Begun: cs.begun, Body: cs.body,
		})
	}
	for _, sent := range out.sent {
		s.Sent = append(s.Sent, SentState{Used: sent.used, Timestamp: sent.timestamp, StreamID: sent.streamID})
	}
	return s
}

func resumeConn(nc net.Conn, limits Limits, s *ConnState) (*conn, error) {
	limits = limits.withDefaults()
	c := newConn(nc, limits)
	if err := c.in.resume(s); err != nil {
		return nil, err
	}
	c.out.resume(s)
	c.ackEvery, c.acked = min(max(s.AckEvery, 1), ackAtMost), min(s.Acked, s.Received)
	c.peerAcked.Store(s.PeerAcked)
	c.peerAcks.Store(s.PeerAcks)
	c.ackStep.Store(s.AckStep)
	c.oddAcks.Store(s.OddAcks)
	c.queued.Store(s.Queued)
	return c, nil
}

func (r *Reader) resume(s *ConnState) error {
	if s.ChunkSize == 0 || s.ChunkSize > 1<<24 || len(s.ChunkStreams) > r.limits.ChunkStreams || len(s.Input) > r.limits.UnfinishedBytes {
		return errOddState
	}
	r.received, r.chunkSize, r.unrepeated = s.Received, int(s.ChunkSize), s.Unrepeated
	r.buf = make([]byte, max(firstRead, 2*len(s.Input)))
	r.end = copy(r.buf, s.Input)
	for i := range s.ChunkStreams {
		if err := r.resumeChunkStream(&s.ChunkStreams[i]); err != nil {
			return err
		}
	}
	if s.Left == 0 {
		return nil
	}
	under, ok := r.chunkStreams[s.Under]
	if !ok || !under.begun || int64(len(under.body))+int64(s.Left) > int64(under.length) {
		return errOddState
	}
	r.under, r.left = under, int(s.Left)
	return nil
}

func (r *Reader) resumeChunkStream(s *ChunkStreamState) error {
	cs := &chunkStream{
		id: s.ID, timestamp: s.Timestamp, delta: s.Delta, extended: s.Extended, extension: s.Extension,
		length: int(s.Length), typ: s.Type, streamID: s.StreamID,
	}
	if _, isThere := r.chunkStreams[s.ID]; isThere || s.Length > 1<<24-1 || len(s.Body) > cs.length {
		return errOddState
	}
	r.chunkStreams[s.ID] = cs
	if !s.Begun {
		return nil
	}
	if err := r.begin(cs); err != nil {
		return err
	}
	if cs.room < len(s.Body) {
		if err := r.grow(cs, len(s.Body)); err != nil {
			return err
		}
	}
	cs.body = append(cs.body, s.Body...)
	return nil
}

// unsent is what was queued and not written.
func (w *Writer) unsent() []byte {
	w.collect()
	return slices.Concat(w.pieces...)
}

func (w *Writer) resume(s *ConnState) {
	w.chunkSize, w.queued = int(max(s.OutChunkSize, 1)), s.Queued
	for id := range min(len(s.Sent), len(w.sent)) {
		w.sent[id] = sentHeader{used: s.Sent[id].Used, timestamp: s.Sent[id].Timestamp, streamID: s.Sent[id].StreamID}
	}
	if len(s.Unsent) > 0 {
		w.pieces = append(w.pieces, s.Unsent)
	}
	if s.Mute {
		w.failed = errMute
	}
}
