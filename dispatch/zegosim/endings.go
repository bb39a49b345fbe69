package zegosim

import (
	"errors"

	"zegorelay/relay/rtmp"
)

// Ending is a way for a node to end the publish sessions that it has. It takes
// new ones all the while. What came before the ending has arrived, what comes
// behind it has not.
type Ending int

// Endings of a session.
const (
	CloseSession     Ending = iota + 1 // closes the connection in order
	ResetSession                       // resets it
	UnpublishSession                   // says NetStream.Unpublish.Success, and waits for the publisher to go
	EOFSession                         // says StreamEOF, likewise
	FailSession                        // says NetStream.Failed, likewise
	StallSession                       // reads no more: the publisher meets a zero window once the buffers are full
	BlackholeSession                   // on Linux: what arrives is not even acknowledged; elsewhere as StallSession
	MoveSession                        // asks the publisher to go on at the next living node, by E-RTMP's ReconnectRequest
)

// Endings are all of them.
func Endings() []Ending {
	return []Ending{CloseSession, ResetSession, UnpublishSession, EOFSession, FailSession,
		StallSession, BlackholeSession, MoveSession}
}

// String is the name that tables and logs use.
func (e Ending) String() string {
	return [...]string{"none", "close", "reset", "unpublish", "eof", "fail", "stall", "blackhole", "move"}[e]
}

var errEnded = errors.New("ended by the node")

// End ends the session of a stream at the node. It reports false if there is
// none. The StreamId is free from then on, or held for as long as Options.Linger
// says; a publisher that is asked to move has it until it goes.
func (n *Node) End(streamID string, how Ending) bool {
	n.mu.Lock()
	p := n.publications[streamID]
	n.mu.Unlock()
	if p == nil {
		return false
	}
	if how == MoveSession {
		return p.move()
	}
	return p.end(how)
}

// end ends the publication for the registry, and then for its publisher.
func (p *publication) end(how Ending) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return false
	}
	if how == BlackholeSession {
		swallow(p.nc) // from here on nothing of what it sends arrives
	}
	p.finish(false, errEnded.Error()+": "+how.String())
	switch how {
	case CloseSession:
		_ = p.nc.Close()
	case ResetSession:
		reset(p.nc)
	case UnpublishSession:
		_ = p.session.Say("status", "NetStream.Unpublish.Success", "this node goes down")
	case EOFSession:
		_ = p.session.SayEOF()
	case FailSession:
		_ = p.session.Say("error", "NetStream.Failed", "this node goes down")
	case StallSession, BlackholeSession:
		close(p.stalled)
	}
	return true
}

// move asks the publisher to go on at another node.
func (p *publication) move() bool {
	to, ok := p.sim.registry.assign(p.of.StreamID, typePush, p.sim.nodes)
	if !ok {
		return false
	}
	return p.session.AskToReconnect("rtmp://"+to.addr+"/"+p.session.App) == nil
}

// note takes a message of the publisher. It reports false if the session has
// ended before.
func (p *publication) note(m rtmp.Message) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return false
	}
	p.sim.registry.received(p.of.Number, len(m.Payload))
	p.observe(Event{Kind: MessageReceived, Message: m})
	p.channel.send(m)
	return true
}

// finish ends the session in the registry, if it has not ended yet. The caller
// holds the lock.
func (p *publication) finish(clean bool, reason string) {
	if p.over {
		return
	}
	p.over = true
	p.channel.end() // before the name is free for another
	p.sim.registry.release(p.of.Number, clean, reason)
	p.observe(Event{Kind: SessionEnded, Clean: clean, Err: reason})
}

// linger keeps the connection of a session that the node has ended, as that way
// of ending has it.
func (p *publication) linger() {
	select {
	case <-p.stalled:
		p.life.hold()
	default:
		p.farewell()
	}
}

// enlist puts a publication where End finds it.
func (n *Node) enlist(p *publication) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.publications[p.of.StreamID] = p
}

func (n *Node) delist(p *publication) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.publications[p.of.StreamID] == p {
		delete(n.publications, p.of.StreamID)
	}
}
