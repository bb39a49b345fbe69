package relay_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"zegorelay/relay/rtmp"
)

// raw is a client that says what no decent encoder does: bytes on a connection,
// after a handshake that it may leave out.
type raw struct {
	t  *testing.T
	nc *net.TCPConn
}

func (r *rig) raw() *raw {
	r.t.Helper()
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { nc.Close() })
	return &raw{t: r.t, nc: nc.(*net.TCPConn)}
}

// shake does the simple handshake.
func (c *raw) shake() *raw {
	c.t.Helper()
	c.say(append([]byte{3}, make([]byte, 2*1536)...))
	if _, err := io.CopyN(io.Discard, c.nc, 1+2*1536); err != nil {
		c.t.Fatal(err)
	}
	return c
}

// say sends bytes. The far side may have closed: that is for the test to ask.
func (c *raw) say(parts ...[]byte) *raw {
	c.t.Helper()
	_ = c.nc.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.nc.Write(bytes.Join(parts, nil)); errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("the far side doesn't read: %v", err)
	}
	return c
}

// publish connects and publishes in the fewest words.
func (c *raw) publish(key string) *raw {
	c.t.Helper()
	return c.say(c.hello(key)...)
}

func (*raw) hello(key string) [][]byte {
	return [][]byte{
		command("connect", 1.0, map[string]any{"app": "live"}),
		command("createStream", 2.0, nil),
		commandOn(1, "publish", 3.0, nil, key),
	}
}

// closed waits until the far side has closed, at most for a time.
func (c *raw) closed(within time.Duration) bool {
	c.t.Helper()
	_ = c.nc.SetReadDeadline(time.Now().Add(within))
	_, err := io.Copy(io.Discard, c.nc)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// header is the head of a message's first chunk, format 0, in 1 to 3 bytes of
// chunk stream id and with an extended timestamp where one is needed.
func header(id int, typ rtmp.Type, time uint32, length int, streamID uint32) []byte {
	var b []byte
	switch {
	case id < 64:
		b = append(b, byte(id))
	case id < 320:
		b = append(b, 0, byte(id-64))
	default:
		b = append(b, 1, byte(id-64), byte((id-64)>>8))
	}
	b = append(b, uint24(min(time, 0xFFFFFF))...)
	b = append(b, uint24(uint32(length))...)
	b = binary.LittleEndian.AppendUint32(append(b, byte(typ)), streamID)
	if time >= 0xFFFFFF {
		b = binary.BigEndian.AppendUint32(b, time)
	}
	return b
}

// more is the head of a further chunk: format 3.
func more(id int) []byte {
	b := header(id, 0, 0, 0, 0)
	b = b[:len(b)-11]
	b[0] |= 3 << 6
	return b
}

func uint24(v uint32) []byte { return []byte{byte(v >> 16), byte(v >> 8), byte(v)} }

// message is a whole message in chunks of a size.
func message(id int, m rtmp.Message, chunkSize int) []byte {
	b := header(id, m.Type, m.Timestamp, len(m.Payload), 1)
	for body := m.Payload; ; b = append(b, more(id)...) {
		n := min(len(body), chunkSize)
		b = append(b, body[:n]...)
		if body = body[n:]; len(body) == 0 {
			return b
		}
	}
}

// control is a protocol control message with a 32-bit value.
func control(typ rtmp.Type, value uint32) []byte {
	return append(header(2, typ, 0, 4, 0), binary.BigEndian.AppendUint32(nil, value)...)
}

// command is an AMF0 command on the connection's message stream.
func command(values ...any) []byte { return commandOn(0, values...) }

func commandOn(streamID uint32, values ...any) []byte {
	body := amf(values...)
	b := header(3, rtmp.TypeCommand, 0, len(body), streamID)
	for len(body) > 128 {
		b = append(append(b, body[:128]...), more(3)...)
		body = body[128:]
	}
	return append(b, body...)
}

// amf encodes what the tests need of AMF0.
func amf(values ...any) (b []byte) {
	for _, v := range values {
		switch v := v.(type) {
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, 0), math.Float64bits(v))
		case string:
			if len(v) > 0xFFFF {
				b = binary.BigEndian.AppendUint32(append(b, 12), uint32(len(v)))
			} else {
				b = binary.BigEndian.AppendUint16(append(b, 2), uint16(len(v)))
			}
			b = append(b, v...)
		case nil:
			b = append(b, 5)
		case map[string]any:
			b = append(b, 3)
			for key, value := range v {
				b = append(binary.BigEndian.AppendUint16(b, uint16(len(key))), key...)
				b = append(b, amf(value)...)
			}
			b = append(b, 0, 0, 9)
		}
	}
	return b
}

// redirector is a node that answers every connect with a redirect to the same
// stream at another address. It tells how often it was asked.
func (r *rig) redirector(to func() string) (addr string, asked func() int) {
	r.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { ln.Close() })
	var n atomic.Int64
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			go func() {
				defer nc.Close()
				_, _ = io.CopyN(io.Discard, nc, 1+1536)
				_, _ = nc.Write(append([]byte{3}, make([]byte, 2*1536)...))
				_, _ = io.CopyN(io.Discard, nc, 1536+50)
				_, _ = nc.Write(command("_error", 1.0, nil, map[string]any{
					"level": "error", "code": "NetConnection.Connect.Rejected",
					"ex": map[string]any{"code": 302.0, "redirect": "rtmp://" + to() + "/" + strconv.Itoa(appID)},
				}))
				_, _ = io.Copy(io.Discard, nc)
			}()
		}
	}()
	return ln.Addr().String(), func() int { return int(n.Load()) }
}
