package rtmp

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

// Peers count what they received in several ways. Only what can be true moves
// our knowledge.
func TestAcknowledgements(t *testing.T) {
	const total = 1<<33 + 1000
	for name, tc := range map[string]struct {
		sent uint64
		acks []uint64 // sequence numbers, of which 32 bits are sent
		want uint64
	}{
		"cumulative":            {total, []uint64{1000, 2000, 3000}, 3000},
		"over 2^32 and 2^33":    {total, []uint64{1 << 30, 2 << 30, 3 << 30, 4 << 30, 5 << 30, 6 << 30, 7 << 30, 8 << 30}, 8 << 30},
		"the same increment":    {total, []uint64{1000, 1000, 2000}, 1000},
		"falling":               {total, []uint64{3000, 1000, 4000}, 3000},
		"more than was sent":    {2000, []uint64{1000, 2000 + handshakeBytes + 1}, 1000},
		"the handshake counted": {total, []uint64{5 << 30 / 4, 10 << 30 / 4, 15 << 30 / 4, 20 << 30 / 4, 25 << 30 / 4, 30 << 30 / 4, total + handshakeBytes}, total + handshakeBytes},
	} {
		c := newConn(script{}, Limits{})
		c.queued.Store(tc.sent)
		for _, ack := range tc.acks {
			c.noteAck(Message{Payload: binary.BigEndian.AppendUint32(nil, uint32(ack))})
		}
		if got := c.peerAcked.Load(); got != tc.want {
			t.Errorf("%s: got %d, want %d", name, got, tc.want)
		}
	}
}

func TestPongsAreBounded(t *testing.T) {
	c := newConn(script{}, Limits{})
	at := time.Unix(1, 0)
	answered := 0
	for i := range 10_000 {
		if c.mayPong(at.Add(time.Duration(i) * time.Millisecond)) {
			answered++
		}
	}
	if answered != 10*pongsASecond {
		t.Errorf("%d pings were answered in 10 s, want %d", answered, 10*pongsASecond)
	}
}

func TestSplitAggregate(t *testing.T) {
	part := func(typ Type, time uint32, body string) string {
		b := appendUint24([]byte{byte(typ)}, uint32(len(body)))
		b = append(appendUint24(b, time&0xFFFFFF), byte(time>>24), 0, 0, 0)
		b = append(b, body...)
		return string(binary.BigEndian.AppendUint32(b, uint32(partHeader+len(body))))
	}
	whole := part(TypeAudio, 1<<24+7, "a") + part(TypeVideo, 1<<24+27, "video") + part(TypeAudio, 1<<24+30, "")
	for name, in := range map[string]string{"whole": whole, "without the last footer": whole[:len(whole)-partFooter]} {
		got, err := splitAggregate(Message{Type: TypeAggregate, Timestamp: 1000, StreamID: 1, Payload: []byte(in)})
		if err != nil || len(got) != 3 {
			t.Fatalf("%s: %d parts, %v", name, len(got), err)
		}
		for i, want := range []Message{
			{Type: TypeAudio, Timestamp: 1000, StreamID: 1, Payload: []byte("a")},
			{Type: TypeVideo, Timestamp: 1020, StreamID: 1, Payload: []byte("video")},
			{Type: TypeAudio, Timestamp: 1023, StreamID: 1},
		} {
			checkSame(t, got[i], want)
		}
	}
	// A cut is well-formed at 0, right behind a body and inside a footer.
	for n := range whole {
		_, err := splitAggregate(Message{Payload: []byte(whole[:n])})
		wellFormed := n == 0 || n >= 12 && n <= 16 || n >= 32 && n <= 36 || n >= 47
		if wellFormed != (err == nil) || err != nil && !errors.Is(err, ErrProtocol) {
			t.Errorf("cut at %d: got %v", n, err)
		}
	}
}

// Only a node that has acknowledged some times is expected to go on, and only
// then is it told late.
func TestOverdue(t *testing.T) {
	u := &Upstream{c: newConn(script{}, Limits{})}
	u.c.queued.Store(10 * windowForNodes)
	for n, overdue := range []bool{false, false, false, true} {
		if p := u.Progress(); p.Heard != uint64(n)*windowForNodes || p.Overdue != overdue {
			t.Errorf("after %d acknowledgements: %+v", n, p)
		}
		ack := uint32(n+1) * windowForNodes
		u.c.noteAck(Message{Payload: binary.BigEndian.AppendUint32(nil, ack)})
	}
	// Now 4 windows of 10 are acknowledged, at most one at a time: 3 may be on the way.
	u.c.queued.Store(7 * windowForNodes)
	if u.Progress().Overdue {
		t.Error("overdue although no more than three steps are out")
	}
}

// The kernel's word counts only for a node that never gives its own.
func TestDelivered(t *testing.T) {
	const acked = 1 << 20
	for what, tc := range map[string]struct {
		p    Progress
		want uint64
	}{
		"acknowledged":               {Progress{Heard: 50_000, Known: true, Mapped: true, Acked: acked}, 50_000 - handshakeBytes},
		"nothing yet":                {Progress{Known: true, Mapped: true, Acked: acked}, 0},
		"never":                      {Progress{Silent: true, Known: true, Mapped: true, Acked: acked}, acked - handshakeBytes - 2*windowForNodes},
		"never, through TLS":         {Progress{Silent: true, Known: true, Acked: acked}, 0},
		"never, and no kernel tells": {Progress{Silent: true}, 0},
	} {
		if got := tc.p.Delivered(); got != tc.want {
			t.Errorf("%s: got %d, want %d", what, got, tc.want)
		}
	}
}
