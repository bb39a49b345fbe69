package zegosim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"zegorelay/relay/rtmp"
)

// Play is one play session at a node.
type Play struct {
	StreamID string
	Node     string    // host:port
	Started  time.Time // by Options.Now
	Ended    time.Time // zero while it lasts
	Messages int       // sent
}

// showing is one play session while it lasts.
type showing struct {
	sim     *Sim
	life    *life
	nc      net.Conn
	session *rtmp.Session
	number  int
	ended   chan Ending // takes one
	gone    chan struct{}
}

// show serves a player from its play to its end.
func (n *Node) show(l *life, nc net.Conn, session *rtmp.Session, fault NodeFault) {
	if refused := n.sim.registry.view(session.Name, n.addr); refused != "" {
		session.Refuse(rtmp.CodePlayFailed, refused)
		return
	}
	v := newViewer()
	channel := n.sim.channel(session.Name)
	if !channel.join(v) {
		if len(n.sim.o.Clip) == 0 {
			session.Refuse(rtmp.CodePlayNotFound, "nobody publishes it")
			return
		}
		stop := n.sim.playClip(v)
		defer stop()
	}
	defer channel.leave(v)
	s := &showing{
		sim: n.sim, life: l, nc: nc, session: session, number: n.sim.registry.beginPlay(session.Name, n.addr),
		ended: make(chan Ending, 1), gone: make(chan struct{}),
	}
	defer n.sim.registry.endPlay(s.number)
	n.audience(session.Name, s)
	defer n.dismissViewer(session.Name, s)

	var listener sync.WaitGroup
	listener.Go(func() {
		defer close(s.gone)
		_ = session.Hold()
	})
	s.run(v, fault)
	_ = nc.Close()
	listener.Wait()
}

// run sends what comes until the player or the publisher goes, or the node ends
// it.
func (s *showing) run(v *viewer, fault NodeFault) {
	s.session.StartPlay()
	if s.session.Flush() != nil {
		return
	}
	switch fault {
	case ResetOnStart:
		reset(s.nc)
		return
	case CloseOnStart:
		return
	case StopReading: // a player meets a node that sends nothing
		s.hold()
		return
	}
	for {
		select {
		case m := <-v.queue:
			s.session.Queue(m)
			if s.session.Flush() != nil {
				return
			}
			s.sim.registry.sent(s.number)
			continue
		case how := <-s.ended:
			s.end(how)
		case <-v.over:
			if v.err == nil {
				s.session.EndPlay()
			}
		case <-s.gone:
		case <-s.life.over:
		}
		return
	}
}

// hold keeps the connection, and sends nothing.
func (s *showing) hold() {
	select {
	case <-s.gone:
	case <-s.life.over:
	}
}

// end ends the session as the node was told.
func (s *showing) end(how Ending) {
	switch how {
	case CloseSession:
	case ResetSession:
		reset(s.nc)
	case UnpublishSession:
		s.session.EndPlay()
	case EOFSession:
		_ = s.session.SayEOF()
		s.hold()
	case FailSession:
		_ = s.session.Say("error", rtmp.CodePlayFailed, "this node goes down")
		s.hold()
	case MoveSession:
		if to, ok := s.sim.registry.assign(s.session.Name, typePull, s.sim.nodes); ok {
			_ = s.session.AskToReconnect("rtmp://" + to.addr + "/" + s.session.App)
		}
		s.hold()
	case StallSession, BlackholeSession:
		s.hold()
	}
}

// EndPlays ends the play sessions of a stream at the node, and says how many there
// were. Towards a player StallSession and BlackholeSession are the same: nothing
// more comes.
func (n *Node) EndPlays(streamID string, how Ending) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.showings[streamID] {
		select {
		case s.ended <- how:
		default: // it has been told
		}
	}
	return len(n.showings[streamID])
}

// audience puts a showing where EndPlays finds it.
func (n *Node) audience(streamID string, s *showing) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.showings[streamID] == nil {
		n.showings[streamID] = make(map[*showing]bool)
	}
	n.showings[streamID][s] = true
}

func (n *Node) dismissViewer(streamID string, s *showing) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.showings[streamID], s)
}

// playClip sends the clip to a viewer again and again, in its own time, until
// stop.
func (s *Sim) playClip(v *viewer) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		var offset uint32
		for begun := time.Now(); ctx.Err() == nil; {
			last, err := s.playOnce(ctx, v, begun, offset)
			if err != nil {
				return
			}
			offset += last
		}
	})
	return func() {
		cancel()
		work.Wait()
	}
}

// clipStep is the time from the clip's last message to its first.
const clipStep = 40

// playOnce sends the clip once, its time shifted by offset. It returns how long it
// is, in ms.
func (s *Sim) playOnce(ctx context.Context, v *viewer, begun time.Time, offset uint32) (length uint32, err error) {
	clip, err := rtmp.NewFLVReader(bytes.NewReader(s.o.Clip))
	if err != nil {
		return 0, err
	}
	for {
		m, err := clip.Next()
		if errors.Is(err, io.EOF) {
			return length + clipStep, nil
		} else if err != nil {
			return 0, err
		}
		length = max(length, m.Timestamp)
		m.Timestamp += offset
		select {
		case <-time.After(time.Until(begun.Add(time.Duration(m.Timestamp) * time.Millisecond))):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		select {
		case v.queue <- m:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
