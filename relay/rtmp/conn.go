package rtmp

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yutopp/go-rtmp/message"
)

// ackAtMost is how many bytes we take without an Acknowledgement, whatever the
// peer's window says: some encoders stop when they wait for one too long.
const ackAtMost = 1 << 20

// pongsASecond is more than any peer needs.
const pongsASecond = 10

// User control events that we know (§7.1.7). All others are ignored.
const (
	eventStreamEOF   = 1
	eventPingRequest = 6
)

// Timeouts bound the silence of a connection in each direction, from the last
// byte that moved. Zero means no bound.
type Timeouts struct {
	Read, Write time.Duration
}

// conn is what both kinds of session share: messages in, messages out, and the
// protocol control messages in between. One goroutine may read while others
// send.
type conn struct {
	nc       net.Conn
	in       *Reader
	timeouts Timeouts

	// For the reading goroutine.
	ackEvery uint64 // bytes from one Acknowledgement of ours to the next
	acked    uint64 // bytes acknowledged so far
	readBy   time.Time
	parts    []Message // of an aggregate, not returned yet
	pongs    int       // in the second that begins at pongsOf
	pongsOf  time.Time

	peerAcked atomic.Uint64 // what the peer acknowledged, unwrapped
	peerAcks  atomic.Uint64 // how often it did
	ackStep   atomic.Uint64 // the most bytes from one time to the next
	oddAcks   atomic.Bool   // they don't count all bytes from the first on

	queued atomic.Uint64 // bytes of all that was queued: known while a write hangs

	beforeWait func()                    // is called before input is waited for; may be nil
	stopBy     atomic.Pointer[time.Time] // it is to be paused, at the latest then; nil: it isn't

	mu      sync.Mutex // guards out and writeBy, and keeps messages whole
	out     *Writer
	writeBy time.Time
}

func newConn(nc net.Conn, limits Limits) *conn {
	wire := unannounced(nc)
	c := &conn{nc: nc, in: NewReader(wire, limits), out: NewWriter(wire), ackEvery: ackAtMost}
	c.in.onRead, c.in.beforeRead, c.out.onFailure = c.afterRead, c.beforeRead, c.afterFailure
	return c
}

// closeWith closes the connection when ctx ends, which is how cancellation
// reaches a blocked read or write. The caller stops it.
func (c *conn) closeWith(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = c.nc.Close() })
}

// causeOf prefers the reason why ctx ended to what the closed connection says.
func causeOf(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// read returns the next message that is not protocol control. Aggregates come
// as their parts.
func (c *conn) read() (Message, error) {
	for {
		if len(c.parts) > 0 {
			m := c.parts[0]
			c.parts = c.parts[1:]
			return m, nil
		}
		m, err := c.in.ReadMessage()
		if err != nil {
			if err = c.afterReadFailure(err); err == nil {
				continue
			}
			return Message{}, err
		}
		switch m.Type {
		case TypeAggregate:
			if c.parts, err = splitAggregate(m); err != nil {
				return Message{}, err
			}
		case TypeAck:
			c.noteAck(m)
		case TypeWindowAckSize:
			c.noteWindow(m)
		case TypeSetPeerBandwidth:
			// It would bound what we send; TCP does that (§5.4.5).
		case TypeUserControl:
			if err := c.userControl(m); err != nil {
				return Message{}, err
			}
		default:
			return m, nil
		}
	}
}

// userControl answers pings (§7.1.7) and passes the end of a stream on as an
// error.
func (c *conn) userControl(m Message) error {
	if len(m.Payload) < 6 {
		return nil
	}
	value := binary.BigEndian.Uint32(m.Payload[2:])
	switch binary.BigEndian.Uint16(m.Payload) {
	case eventPingRequest:
		if !c.mayPong(time.Now()) {
			return nil
		}
		pong := message.UserCtrlEventPingResponse{Timestamp: value}
		return c.send(controlMessage(&message.UserCtrl{Event: &pong}))
	case eventStreamEOF:
		return &StatusError{Code: "StreamEOF", Description: "the peer ended the stream"}
	default:
		return nil
	}
}

// mayPong bounds our answers to a flood of pings.
func (c *conn) mayPong(now time.Time) bool {
	if now.Sub(c.pongsOf) >= time.Second {
		c.pongs, c.pongsOf = 0, now
	}
	c.pongs++
	return c.pongs <= pongsASecond
}

// noteWindow takes the peer's word on how often it wants to hear from us
// (§5.4.4). A window of 0 means nothing and is ignored.
func (c *conn) noteWindow(m Message) {
	if len(m.Payload) < 4 {
		return
	}
	if window := binary.BigEndian.Uint32(m.Payload); window > 0 {
		c.ackEvery = min(uint64(window), ackAtMost)
	}
}

// noteAck unwraps the 32-bit sequence number (§5.4.3). Some peers tell the bytes
// since their last Acknowledgement instead, some wrap elsewhere: their numbers
// stand still, fall, or run ahead of what was sent. From then on they are not
// believed.
func (c *conn) noteAck(m Message) {
	if len(m.Payload) < 4 || c.oddAcks.Load() {
		return
	}
	last := c.peerAcked.Load()
	ahead := int32(binary.BigEndian.Uint32(m.Payload) - uint32(last))
	sent := c.queued.Load() + handshakeBytes
	if ahead <= 0 || last+uint64(ahead) > sent {
		c.oddAcks.Store(true)
		return
	}
	c.ackStep.Store(max(c.ackStep.Load(), uint64(ahead)))
	c.peerAcked.Store(last + uint64(ahead))
	c.peerAcks.Add(1)
}

// afterRead runs after every read from the connection. At most one
// Acknowledgement is sent for it, however small the peer's window.
func (c *conn) afterRead() error {
	c.extend(&c.readBy, c.timeouts.Read, c.nc.SetReadDeadline)
	if c.in.received-c.acked < c.ackEvery {
		return nil
	}
	c.acked = c.in.received
	return c.send(controlMessage(&message.Ack{SequenceNumber: uint32(c.acked)}))
}

// send queues messages and writes them, with whatever else is queued.
func (c *conn) send(messages ...Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range messages {
		c.out.Queue(m)
	}
	return c.flush()
}

// flush writes what is queued. The caller holds mu.
func (c *conn) flush() error {
	c.queued.Store(c.out.Queued())
	c.extend(&c.writeBy, c.timeouts.Write, c.nc.SetWriteDeadline)
	return peerError(c.out.Flush())
}

// tryFlush writes what goes without waiting. The caller holds mu.
func (c *conn) tryFlush() (done bool) {
	c.queued.Store(c.out.Queued())
	c.extend(&c.writeBy, c.timeouts.Write, c.nc.SetWriteDeadline)
	return c.out.TryFlush()
}

// setTimeouts sets the bounds of silence, counted from now.
func (c *conn) setTimeouts(t Timeouts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timeouts, c.readBy, c.writeBy = t, time.Time{}, time.Time{}
	c.extend(&c.readBy, t.Read, c.nc.SetReadDeadline)
}

// setReadTimeout sets one of them, also while another goroutine writes.
func (c *conn) setReadTimeout(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timeouts.Read, c.readBy = d, time.Time{}
}

// setWriteTimeout sets one of them, also while another goroutine reads.
func (c *conn) setWriteTimeout(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timeouts.Write, c.writeBy = d, time.Time{}
}

// extend moves a deadline to timeout from now, if it has not just been moved: a
// deadline costs a timer, and media flows a hundred times a second.
func (c *conn) extend(by *time.Time, timeout time.Duration, set func(time.Time) error) {
	if timeout <= 0 {
		return
	}
	next := time.Now().Add(timeout)
	if next.Sub(*by) < timeout/8 {
		return
	}
	*by = next
	_ = set(next)                             // only fails on a closed connection, which says so itself
	if stop := c.stopBy.Load(); stop != nil { // after that: who pauses may have come in between
		_ = set(*stop)
	}
}

// finish closes the connection so that what was sent arrives: our side first,
// then it waits at most patience for the peer's. Closing with unread input
// would reset the connection and could take our last words with it.
func (c *conn) finish(patience time.Duration) {
	defer c.nc.Close()
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if c.setReadDeadline(time.Now().Add(patience)) == nil {
		_, _ = io.Copy(io.Discard, c.nc)
	}
}

// setReadDeadline sets the end of the peer's time, which a pause may bring before.
func (c *conn) setReadDeadline(t time.Time) error {
	err := c.nc.SetReadDeadline(t)
	if stop := c.stopBy.Load(); stop != nil { // after that: who pauses may have come in between
		err = c.nc.SetReadDeadline(*stop)
	}
	return err
}
