package zegosim

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// acceptPause is how long a node waits when it can't accept, as when the process
// is out of descriptors.
const acceptPause = 10 * time.Millisecond

// Node is a media node: an RTMP server that takes, and gives, the streams it was
// named for.
// It may be used by many goroutines at once.
type Node struct {
	sim  *Sim
	addr string // host:port, kept over death and revival

	mu    sync.Mutex
	life  *life // nil while dead
	fault NodeFault

	publications map[string]*publication      // by StreamId
	showings     map[string]map[*showing]bool // by StreamId
}

// life is a node from one opening of its port to the next death. The node's mu
// guards conns.
type life struct {
	ln    net.Listener
	over  chan struct{}
	conns map[net.Conn]bool
}

func newNode(s *Sim) *Node {
	return &Node{
		sim: s, addr: anyPort,
		publications: make(map[string]*publication), showings: make(map[string]map[*showing]bool),
	}
}

// Addr is the node's host:port.
func (n *Node) Addr() string { return n.addr }

// Alive reports whether the node takes connections.
func (n *Node) Alive() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.life != nil
}

// SetFault changes how the node treats new connections; Healthy ends it.
func (n *Node) SetFault(f NodeFault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fault = f
	if n.life != nil {
		n.life.listenUnder(f)
	}
}

// Kill ends the node as a crash would: its port is closed and every connection
// reset. It doesn't wait for the sessions to end.
func (n *Node) Kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.life == nil {
		return
	}
	_ = n.life.ln.Close()
	close(n.life.over)
	for nc := range n.life.conns {
		reset(nc)
	}
	n.life = nil
}

// reset closes a connection as a crash does, where it is of a kind that can be.
func reset(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = nc.Close()
}

// Revive opens the port of a dead node again. Its error says that the port is
// taken, or that the Sim was closed.
func (n *Node) Revive() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.life != nil {
		return nil
	}
	ln, err := n.sim.o.Listen("tcp", n.addr)
	if err != nil {
		return fmt.Errorf("zegosim: node: %w", err)
	}
	l := &life{ln: ln, over: make(chan struct{}), conns: make(map[net.Conn]bool)}
	if !n.sim.spawn(func() { n.accept(l) }) {
		return errors.Join(errClosed, ln.Close())
	}
	if n.addr == anyPort {
		n.addr = ln.Addr().String()
	}
	n.life = l
	l.listenUnder(n.fault)
	return nil
}

// listenUnder makes the port hear connections, or not.
func (l *life) listenUnder(f NodeFault) {
	if f == Blackhole {
		swallow(l.ln)
	} else {
		restore(l.ln)
	}
}

// accept serves the connections of one life. It has one goroutine for each.
func (n *Node) accept(l *life) {
	for {
		nc, err := l.ln.Accept()
		if err != nil {
			select {
			case <-l.over:
				return
			case <-time.After(acceptPause):
				continue
			}
		}
		fault, ok := n.admit(l, nc)
		served := ok && n.sim.spawn(func() {
			defer n.dismiss(l, nc)
			n.serve(l, nc, fault)
		})
		if !served {
			reset(nc) // it came in while the node died
		}
	}
}

// admit puts a connection where Kill finds it, unless Kill was faster.
func (n *Node) admit(l *life, nc net.Conn) (fault NodeFault, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.life != l {
		return Healthy, false
	}
	l.conns[nc] = true
	return n.fault, true
}

func (n *Node) dismiss(l *life, nc net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(l.conns, nc)
	_ = nc.Close()
}
