package zegosim

import (
	"context"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// memory is a network within a bubble of testing/synctest: its connections wait
// in a way that lets the bubble's time go on, which TCP doesn't.
type memory struct {
	mu        sync.Mutex
	listeners map[string]*memoryListener
}

func newMemory() *memory { return &memory{listeners: make(map[string]*memoryListener)} }

func (n *memory) Listen(_, addr string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40_000 + len(n.listeners)}
	if addr != anyPort {
		at, _ = net.ResolveTCPAddr("tcp", addr)
	}
	ln := &memoryListener{at: at, calls: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[at.String()] = ln
	return ln, nil
}

func (n *memory) Dial(ctx context.Context, _, addr string) (net.Conn, error) {
	n.mu.Lock()
	ln := n.listeners[addr]
	n.mu.Unlock()
	if ln == nil {
		return nil, syscall.ECONNREFUSED
	}
	client, server := net.Pipe()
	select {
	case ln.calls <- buffered(server):
		return buffered(client), nil
	case <-ln.closed:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

type memoryListener struct {
	at     net.Addr
	calls  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.calls:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return l.at }

// bufferedConn is an end of a net.Pipe that takes writes before they are read:
// an RTMP handshake crosses itself.
type bufferedConn struct {
	net.Conn
	out    chan []byte
	once   sync.Once
	closed chan struct{}
}

func buffered(nc net.Conn) net.Conn {
	c := &bufferedConn{Conn: nc, out: make(chan []byte, 100), closed: make(chan struct{})}
	go c.pump()
	return c
}

func (c *bufferedConn) Write(p []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	select {
	case c.out <- slices.Clone(p):
		return len(p), nil
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

// pump writes until the end, and then for a second what is left.
func (c *bufferedConn) pump() {
	defer c.Conn.Close()
	for {
		select {
		case p := <-c.out:
			if _, err := c.Conn.Write(p); err != nil {
				return
			}
			continue
		default:
		}
		select {
		case p := <-c.out:
			if _, err := c.Conn.Write(p); err != nil {
				return
			}
		case <-c.closed:
			if len(c.out) == 0 {
				return
			}
		}
	}
}

func (c *bufferedConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		_ = c.SetReadDeadline(time.Unix(1, 0))
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	})
	return nil
}
