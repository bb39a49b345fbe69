package relay_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"zegorelay/relay/rtmp"
)

// exact publishes messages as raw chunks and checks that these payloads, and no
// others, arrive in order. write makes the bytes of a message.
func (r *rig) exact(what string, messages []rtmp.Message, write func(i int, m rtmp.Message) []byte) {
	r.t.Helper()
	key := fmt.Sprintf("exact%d", len(r.sim.Requests())) // its own: a key may publish once a second
	audit := r.audit(key)
	c := r.raw().shake().publish(key)
	for i, m := range messages {
		audit.Sent(m)
		c.say(write(i, m))
	}
	c.say(command("deleteStream", 9.0, nil, 1.0))
	_ = c.nc.CloseWrite()
	if !c.closed(patience) {
		r.t.Errorf("%s: the session doesn't end with its goodbye", what)
	}
	r.waitFor(what+": the end of the stream", func() bool { return len(r.srv.Streams()) <= 1 })
	if report := audit.Report(); report.Missing+report.Pending > 0 || report.Sent == 0 {
		r.t.Errorf("%s: %+v", what, report)
	}
	r.mu.Lock()
	delete(r.audits, key)
	r.mu.Unlock()
}

// clip is a short stream whose frames are of a size, 20 ms apart from begin on.
func clip(frames, size int, begin uint32) []rtmp.Message {
	messages := []rtmp.Message{
		{Type: rtmp.TypeData, Timestamp: begin, Payload: rtmp.SetDataFrame([]byte("\x02\x00\x0aonMetaData\x05"))},
		{Type: rtmp.TypeVideo, Timestamp: begin, Payload: []byte("\x17\x00\x00\x00\x00\x01\x42")},
		{Type: rtmp.TypeAudio, Timestamp: begin, Payload: []byte("\xaf\x00\x12\x10")},
	}
	for i := range frames {
		head := "\x27\x01\x00\x00\x00"
		if i%10 == 0 {
			head = "\x17\x01\x00\x00\x00"
		}
		at := begin + uint32(20*i)
		body := bytes.Repeat([]byte{byte(i), 0x55}, size/2)
		messages = append(messages,
			rtmp.Message{Type: rtmp.TypeVideo, Timestamp: at, Payload: fmt.Appendf([]byte(head), "%d %s", i, body)},
			rtmp.Message{Type: rtmp.TypeAudio, Timestamp: at, Payload: fmt.Appendf([]byte("\xaf\x01"), "%d", i)})
	}
	return messages
}

func plain(_ int, m rtmp.Message) []byte { return message(6, m, 128) }

func TestE7MessagesOfNoBytes(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	messages := clip(20, 300, 0)
	for _, typ := range []rtmp.Type{rtmp.TypeAudio, rtmp.TypeVideo, rtmp.TypeData} {
		messages = append(messages, rtmp.Message{Type: typ, Timestamp: 400})
	}
	r.exact("no bytes", append(messages, rtmp.Message{Type: rtmp.TypeAudio, Timestamp: 420, Payload: []byte("\xaf\x01end")}), plain)
	stop()
	r.checkAll()
}

func TestE8ExtendedTimestamps(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	repeated := func(_ int, m rtmp.Message) []byte {
		b := header(6, m.Type, m.Timestamp, len(m.Payload), 1)
		body := m.Payload
		for {
			n := min(len(body), 128)
			b = append(b, body[:n]...)
			if body = body[n:]; len(body) == 0 {
				return b
			}
			b = append(b, more(6)...)
			if m.Timestamp >= 0xFFFFFF {
				b = append(b, byte(m.Timestamp>>24), byte(m.Timestamp>>16), byte(m.Timestamp>>8), byte(m.Timestamp))
			}
		}
	}
	for _, begin := range []uint32{0xFFFFFF, 0xFFFFFF - 100, 18_000_000, 1<<31 - 100} {
		r.exact(fmt.Sprintf("repeated, from %d", begin), clip(20, 300, begin), repeated)
		r.exact(fmt.Sprintf("not repeated, from %d", begin), clip(20, 300, begin), plain)
	}
	stop()
	r.checkAll()
}

func TestE9JumpsAndWraps(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	const hour = 3_600_000
	late := clip(40, 300, 2*hour)
	back := clip(40, 300, 1*hour)[3:]
	for i := range back {
		back[i].Payload = append(back[i].Payload, 'b')
	}
	for what, messages := range map[string][]rtmp.Message{
		"over 2^32":           clip(20, 300, 1<<32-200),
		"an hour back":        append(late, back...),
		"an hour ahead":       append(clip(10, 300, hour), back[:4]...),
		"to before beginning": append(clip(10, 300, 5*hour), back...),
	} {
		r.exact(what, messages, plain)
	}
	stop()
	// The stand-in objects to time that falls, here the encoder's did.
	for _, v := range r.sim.Violations() {
		if !strings.Contains(v, "falls from") && !strings.Contains(v, "far behind") {
			t.Error(v)
		}
	}
}

func TestE10ChunkSizes(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	for _, size := range []int{1, 2, 127, 4096, 1 << 20, 16 << 20, 1<<31 - 1} {
		r.exact(fmt.Sprintf("chunk size %d", size), clip(20, 3000, 0), func(i int, m rtmp.Message) []byte {
			b := message(6, m, size)
			if i == 0 {
				b = append(control(rtmp.TypeSetChunkSize, uint32(size)), b...)
			}
			return b
		})
	}
	sizes := []int{128, 1, 5000, 77}
	size := 128
	r.exact("changed between messages", clip(20, 3000, 0), func(i int, m rtmp.Message) []byte {
		before := size
		size = sizes[i%len(sizes)]
		announced := binary.BigEndian.AppendUint32(nil, uint32(size))
		b := message(2, rtmp.Message{Type: rtmp.TypeSetChunkSize, Payload: announced}, before)
		return append(b, message(6, m, size)...)
	})
	first := true
	r.exact("changed inside a message", clip(20, 3000, 0), func(_ int, m rtmp.Message) []byte {
		before := 1000
		if first {
			before, first = 128, false
		}
		if len(m.Payload) <= before {
			first = before == 128
			return message(6, m, before)
		}
		b := header(6, m.Type, m.Timestamp, len(m.Payload), 1)
		b = append(b, m.Payload[:before]...)
		b = append(b, control(rtmp.TypeSetChunkSize, 1000)...)
		for body := m.Payload[before:]; len(body) > 0; {
			n := min(len(body), 1000)
			b = append(append(b, more(6)...), body[:n]...)
			body = body[n:]
		}
		return b
	})
	stop()
	r.checkAll()
}

func TestE11ImpossibleChunkSizes(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	for _, size := range []uint32{0, 1 << 31, 1<<32 - 1} {
		c := r.raw().shake().publish(fmt.Sprintf("size%d", size))
		if !c.say(control(rtmp.TypeSetChunkSize, size)).closed(time.Second) {
			t.Errorf("chunk size %d: still open after a second", size)
		}
	}
	stop()
}

func TestE12OddMessages(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	odd := func(typ rtmp.Type, body string) []byte {
		return append(header(5, typ, 0, len(body), 1), body...)
	}
	between := [][]byte{
		append(append(header(7, rtmp.TypeVideo, 0, 500, 1), make([]byte, 128)...), control(rtmp.TypeAbort, 7)...),
		odd(rtmp.TypeCommandAMF3, "\x00\x02\x00\x05xyzzy\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05"),
		odd(rtmp.TypeCommand, "\x02\x00\x05xyzzy\x00\x00\x00\x00\x00\x00\x00\x00\x00\x11\x0a\x0b\x01"),
		odd(16, "shared"), odd(19, "shared"), odd(0, "?"), odd(99, "?"), odd(255, ""),
		odd(rtmp.TypeUserControl, "\x00\x1f\x00\x00\x00\x01"), odd(rtmp.TypeUserControl, "\x00"),
		odd(rtmp.TypeSetPeerBandwidth, "\x00\x00\x00\x01\x02"), odd(rtmp.TypeWindowAckSize, "\x00\x00\x00\x01"),
		odd(rtmp.TypeWindowAckSize, "\x00\x00\x00\x00"), odd(rtmp.TypeAck, "\xff\xff\xff\xff"), odd(rtmp.TypeAck, ""),
	}
	r.exact("odd messages in between", clip(20, 300, 0), func(i int, m rtmp.Message) []byte {
		return append(bytes.Clone(between[i%len(between)]), plain(i, m)...)
	})
	r.exact("aggregates", clip(20, 300, 0), func(_ int, m rtmp.Message) []byte {
		part := append([]byte{byte(m.Type)}, uint24(uint32(len(m.Payload)))...)
		part = append(append(part, uint24(m.Timestamp+777)...), 0, 0, 0, 0)
		part = append(part, m.Payload...)
		part = append(part, 0, 0, 0, byte(11+len(m.Payload)))
		return message(6, rtmp.Message{Type: rtmp.TypeAggregate, Timestamp: m.Timestamp, Payload: part}, 128)
	})
	data := append(clip(20, 300, 0), rtmp.Message{Type: rtmp.TypeDataAMF3, Timestamp: 400, Payload: []byte("\x00\x02\x00\x06onText\x05")},
		rtmp.Message{Type: rtmp.TypeData, Timestamp: 400, Payload: []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x06onText\x05")})
	r.exact("AMF3-typed data, and data with a leading number", data, plain)
	stop()
	r.checkAll()
}

func TestE13ChunkStreams(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	for _, id := range []int{3, 63, 64, 319, 320, 400, 65599} {
		r.exact(fmt.Sprintf("chunk stream %d", id), clip(20, 300, 0), func(_ int, m rtmp.Message) []byte {
			return message(id, m, 128)
		})
	}
	r.exact("a chunk stream for each of 900 messages", clip(450, 100, 0), func(i int, m rtmp.Message) []byte {
		return message(3+73*i, m, 128)
	})
	messages := clip(20, 300, 0)
	r.exact("interleaved", messages, func(i int, m rtmp.Message) []byte {
		// The second chunk of each video frame comes behind an audio message of
		// no importance on another chunk stream.
		if len(m.Payload) <= 128 {
			return plain(i, m)
		}
		b := append(header(6, m.Type, m.Timestamp, len(m.Payload), 1), m.Payload[:128]...)
		b = append(b, append(header(9, 19, 0, 3, 1), "..."...)...)
		for body := m.Payload[128:]; len(body) > 0; {
			n := min(len(body), 128)
			b = append(append(b, more(6)...), body[:n]...)
			body = body[n:]
		}
		return b
	})
	first := append([]byte{1<<6 | 9}, 0, 0, 0, 0, 0, 3, 19, '.', '.', '.')
	r.exact("first chunks of format 1, 2 and 3", clip(20, 300, 0), func(i int, m rtmp.Message) []byte {
		if i == 0 {
			return append(append(append(first, 2<<6|10, 0, 0, 0), 3<<6|11), plain(i, m)...)
		}
		return plain(i, m)
	})
	stop()
	r.checkAll()
}
