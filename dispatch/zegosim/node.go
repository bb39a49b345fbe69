package zegosim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"zegorelay/relay/rtmp"
)

const (
	// idleTimeout is how long a publisher may send nothing.
	idleTimeout = 30 * time.Second

	// helloTimeout is how long a connection may take to publish.
	helloTimeout = 10 * time.Second

	anyPort = "127.0.0.1:0"
)

// Node is a media node: an RTMP server that takes the streams it was named for.
type Node struct {
	sim  *Sim
	addr string // host:port, kept over death and revival

	mu    sync.Mutex
	ln    net.Listener // nil while dead
	conns map[net.Conn]bool
	fault NodeFault
}

func newNode(s *Sim) *Node {
	return &Node{sim: s, addr: anyPort, conns: make(map[net.Conn]bool)}
}

// Addr is the node's host:port.
func (n *Node) Addr() string { return n.addr }

// Alive reports whether the node takes connections.
func (n *Node) Alive() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ln != nil
}

// SetFault changes how the node treats new connections.
func (n *Node) SetFault(f NodeFault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fault = f
}

// Kill ends the node as a crash would: its port is closed and every connection
// reset.
func (n *Node) Kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ln == nil {
		return
	}
	_ = n.ln.Close()
	n.ln = nil
	for nc := range n.conns {
		reset(nc)
	}
}

func reset(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = nc.Close()
}

// Revive opens the port of a dead node again.
func (n *Node) Revive() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ln != nil {
		return nil
	}
	ln, err := net.Listen("tcp", n.addr)
	if err != nil {
		return fmt.Errorf("zegosim: node: %w", err)
	}
	n.ln = ln
	if n.addr == anyPort {
		n.addr = ln.Addr().String()
	}
	n.sim.wg.Go(func() { n.accept(ln) })
	return nil
}

func (n *Node) accept(ln net.Listener) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		n.mu.Lock()
		dead := n.ln != ln
		if !dead {
			n.conns[nc] = true
		}
		fault := n.fault
		n.mu.Unlock()
		if dead {
			reset(nc)
			return
		}
		n.sim.wg.Go(func() {
			n.serve(nc, fault)
			n.mu.Lock()
			delete(n.conns, nc)
			n.mu.Unlock()
			_ = nc.Close()
		})
	}
}

// serve takes one connection from its handshake to its end.
func (n *Node) serve(nc net.Conn, fault NodeFault) {
	if fault == SilentHandshake {
		hold(nc)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), helloTimeout)
	session, err := rtmp.Accept(ctx, nc, rtmp.Limits{}, rtmp.Timeouts{Read: idleTimeout, Write: idleTimeout})
	cancel()
	if err != nil {
		return
	}
	switch fault {
	case SilentPublish:
		hold(nc)
		return
	case RefusePublish:
		session.Refuse(rtmp.CodePublishBadName, "the stream is already being published")
		return
	}
	if app := fmt.Sprint(n.sim.o.AppID); session.App != app {
		n.sim.registry.violate("published to application %q, want %s", session.App, app)
		session.Refuse(rtmp.CodePublishBadName, "unknown application")
		return
	}
	number, nth, refused := n.sim.registry.claim(session.Name, n.addr)
	if refused != "" {
		session.Refuse(rtmp.CodePublishBadName, refused)
		return
	}
	err = n.take(nc, session, number, nth, fault)
	clean := errors.Is(err, rtmp.ErrUnpublished)
	n.sim.registry.release(number, clean)
	n.sim.o.Observe(Event{Kind: SessionEnded, StreamID: session.Name, Node: n.addr, Session: number, Clean: clean})
}

// take reads a stream to its end. Its error says how that came.
func (n *Node) take(nc net.Conn, session *rtmp.Session, number, nth int, fault NodeFault) error {
	file, err := n.sim.record(session.Name, nth)
	if err != nil {
		n.sim.registry.violate("recording of %s: %v", session.Name, err)
	}
	defer file.close()
	event := Event{StreamID: session.Name, Node: n.addr, Session: number}
	event.Kind = SessionStarted
	n.sim.o.Observe(event)
	if err := session.Start(); err != nil {
		return err
	}
	switch fault {
	case ResetOnStart:
		reset(nc)
		return rtmp.ErrPeerClosed
	case StopReading:
		hold(nc)
		return rtmp.ErrPeerClosed
	}
	check := check{violate: func(what string) { n.sim.registry.violate("%s, session %d: %s", session.Name, number, what) }}
	event.Kind = MessageReceived
	for {
		m, err := session.Read()
		if err != nil {
			return err
		}
		n.sim.registry.count(number)
		check.message(m)
		if err := file.write(m); err != nil {
			n.sim.registry.violate("recording of %s: %v", session.Name, err)
		}
		event.Message = m
		n.sim.o.Observe(event)
	}
}

// hold keeps a connection without reading from it until it is closed, by Kill
// or after the idle timeout.
func hold(nc net.Conn) {
	// A write deadline doesn't pass by itself, a read would take bytes: wait for
	// the close by asking for nothing.
	deadline := time.Now().Add(idleTimeout)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for now := range tick.C {
		if nc.SetDeadline(deadline) != nil || now.After(deadline) {
			return
		}
	}
}
