package relay_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"zegorelay/relay"
	"zegorelay/relay/rtmp"
)

// The tests of this file are named after the rows of a catalogue of what
// encoders, and those who pretend to be one, do. Beside each of them a
// well-behaved stream runs that must lose nothing.

// neighbour runs a well-behaved stream until stop, which checks it.
func (r *rig) neighbour() (stop func()) {
	r.t.Helper()
	e := r.publishAs("neighbour")
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				e.frames(1)
			}
		}
	})
	return func() {
		r.t.Helper()
		close(done)
		wg.Wait()
		e.frames(1)
		e.goodbye()
		report := e.audit.Report()
		if report.Missing+report.Pending > 0 || len(report.Violations) > 0 || report.Sessions != 1 {
			r.t.Errorf("the stream beside was disturbed: %+v", report)
		}
	}
}

// heap is what the process holds after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// grown fails if the process holds more than most bytes more than before.
func (r *rig) grown(before uint64, most int) {
	r.t.Helper()
	if now := heap(); now > before && now-before > uint64(most) {
		r.t.Errorf("the process grew by %d KiB, at most %d were allowed", (now-before)>>10, most>>10)
	}
}

func TestE1SilentEncoderGivesItsKeyBack(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) { o.PublisherTimeout = 300 * time.Millisecond }})
	stop := r.neighbour()
	silent := r.publish()
	silent.frames(60)
	r.waitLog("encoder gone", "silent for too long")
	again := r.publish()
	again.frames(60)
	again.goodbye()
	stop()
	for _, s := range r.sim.Sessions() {
		if !s.Clean {
			t.Errorf("session %+v was not ended in order", s)
		}
	}
}

func TestE2HalfMessagesAreNeverForwarded(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	for i := range 200 {
		c := r.raw().shake().publish(fmt.Sprintf("half%d", i%20))
		c.say(header(6, rtmp.TypeVideo, 0, 5000, 1), make([]byte, 100))
		if i%2 == 0 {
			_ = c.nc.SetLinger(0)
		}
		c.nc.Close()
	}
	r.waitFor("the end of all of them", func() bool { return len(r.srv.Streams()) <= 1 })
	stop()
	for _, s := range r.sim.Sessions() {
		if s.StreamID != "neighbour" && s.Messages > 0 {
			t.Errorf("half a message was forwarded: %+v", s)
		}
	}
}

func TestE4ReconnectStorm(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	begun := time.Now()
	for range 100 {
		c := r.raw().shake().publish("storm")
		_, _ = c.nc.Read(make([]byte, 1))
		c.say(command("FCUnpublish", 4.0, nil, "storm"))
		c.nc.Close()
	}
	took := time.Since(begun)
	n := 0
	for _, q := range r.sim.Requests() {
		if q.StreamID == "storm" {
			n++
		}
	}
	if most := 2 + int(took/time.Second); n > most {
		t.Errorf("%d dispatches in %v for one stream, at most %d", n, took, most)
	}
	stop()
}

// drip sends an encoder's bytes one by one.
type drip struct{ net.Conn }

func (d drip) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := d.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func TestE5OneByteAtATime(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	dialer := rtmp.Dialer{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		return drip{nc}, err
	}}
	target := rtmp.Target{Addr: r.addr, TCURL: "rtmp://" + r.addr + "/live", App: "live", Name: "cam1"}
	up, err := dialer.Publish(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	e := r.encoder("cam1", up)
	e.frames(20)
	e.goodbye()
	stop()
	r.checkAll()
}

func TestE6OtherProtocols(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	for _, hello := range []string{
		"GET /marker HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03marker", "\x00", "\x06marker", "SSH-2.0-marker\r\n",
	} {
		if !r.raw().say([]byte(hello)).closed(time.Second) {
			t.Errorf("%q: still open after a second", hello)
		}
	}
	stop()
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, "marker") || strings.Contains(line, "not valid RTMP") && !strings.Contains(line, `"level":"debug"`) {
			t.Errorf("log line %s", line)
		}
	}
}

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

func TestE14LargeMessages(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	for _, size := range []int{2 << 20, 8 << 20, 1<<24 - 1} {
		messages := clip(1, 300, 0)
		messages = append(messages, rtmp.Message{Type: rtmp.TypeVideo, Timestamp: 20, Payload: bytes.Repeat([]byte("\x27\x01large"), size/7)})
		r.exact(fmt.Sprintf("%d bytes", size), messages, plain)
	}
	stop()
	r.checkAll()
}

func TestE15AnnouncedAndUnfinished(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	before := heap()
	var keep []*raw
	for what, say := range map[string]func(c *raw){
		"100 announced messages of 16 MiB": func(c *raw) {
			for id := range 100 {
				c.say(header(3+id, rtmp.TypeVideo, 0, 1<<24-1, 1), make([]byte, 128))
			}
		},
		"2000 partial messages of 64 KiB": func(c *raw) {
			for id := range 2000 {
				c.say(header(3+id, rtmp.TypeVideo, 0, 64<<10, 1), make([]byte, 128))
			}
		},
		"400 partial messages that hold 128 KiB each": func(c *raw) {
			c.say(control(rtmp.TypeSetChunkSize, 128<<10))
			for id := range 400 {
				c.say(header(3+id, rtmp.TypeVideo, 0, 1<<20, 1), make([]byte, 128<<10))
			}
		},
		"65,000 chunk streams": func(c *raw) {
			for id := range 65_000 {
				c.say(append(header(3+id, 19, 0, 1, 1), 0))
			}
		},
	} {
		c := r.raw().shake()
		say(c)
		keep = append(keep, c)
		if what != "100 announced messages of 16 MiB" && !c.closed(5*time.Second) {
			t.Errorf("%s: still open", what)
		}
	}
	r.grown(before, 32<<20)
	runtime.KeepAlive(keep)
	stop()
}

func TestE16HostileAMF(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	before := heap()
	long := func(unit string, n int) []byte { return []byte(strings.Repeat(unit, n)) }
	for what, body := range map[string][]byte{
		"arrays nested a hundred thousand deep":  append(amf("connect", 1.0), long("\x0a\x00\x00\x00\x01", 100_000)...),
		"objects nested a hundred thousand deep": append(amf("connect", 1.0), long("\x03\x00\x01a", 100_000)...),
		"ECMA arrays nested deep":                append(amf("connect", 1.0), long("\x08\x00\x00\x00\x01\x00\x01a", 100_000)...),
		"an array of 2^31-1":                     append(amf("connect", 1.0), "\x0a\x7f\xff\xff\xff"...),
		"an ECMA array of 2^32-1":                append(amf("connect", 1.0), "\x08\xff\xff\xff\xff"...),
		"a string of 4 GiB":                      append(amf("connect", 1.0), "\x0c\xff\xff\xff\xffx"...),
		"references":                             append(amf("connect", 1.0), long("\x07\x00\x00", 1000)...),
		"typed objects":                          append(amf("connect", 1.0), long("\x10\x00\x01C\x00\x01a", 10_000)...),
		"a number for a name":                    amf(1.0, 1.0),
		"nothing":                                {},
	} {
		for _, typ := range []rtmp.Type{rtmp.TypeCommand, rtmp.TypeCommandAMF3, rtmp.TypeData} {
			c := r.raw().shake().say(control(rtmp.TypeSetChunkSize, 1<<24))
			c.say(header(3, typ, 0, len(body), 0), body)
			c.publish("cam" + fmt.Sprint(len(what)))
			c.nc.Close()
		}
	}
	for _, whole := range r.raw().hello("cut") {
		for n := range whole {
			c := r.raw().shake().say(whole[:n])
			c.nc.Close()
		}
		// A message that says it is shorter than its values are.
		for n := range len(whole) - 12 {
			c := r.raw().shake().say(header(3, rtmp.TypeCommand, 0, n, 0), whole[12:12+n])
			c.nc.Close()
		}
	}
	r.waitFor("the end of all of them", func() bool { return len(r.srv.Streams()) <= 1 })
	r.grown(before, 16<<20)
	stop()
}

func TestE17Slowloris(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) {
		o.Limits = rtmp.Limits{HandshakeTime: 300 * time.Millisecond, PublishTime: 600 * time.Millisecond}
	}})
	stop := r.neighbour()
	for what, c := range map[string]*raw{
		"silence":           r.raw(),
		"half a handshake":  r.raw().say(append([]byte{3}, make([]byte, 700)...)),
		"no connect":        r.raw().shake(),
		"half a command":    r.raw().shake().say(command("connect", 1.0, map[string]any{"app": "live"})[:20]),
		"connect, no more":  r.raw().shake().say(command("connect", 1.0, map[string]any{"app": "live"})),
		"pings, no publish": r.raw().shake().say(append(header(2, rtmp.TypeUserControl, 0, 6, 0), 0, 6, 0, 0, 0, 0)),
	} {
		if !c.closed(2 * time.Second) {
			t.Errorf("%s: still open", what)
		}
	}
	slow := r.raw()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := slow.nc.Write([]byte{3}); err != nil {
				return
			}
			<-time.After(10 * time.Millisecond)
		}
	}()
	select {
	case <-ended:
	case <-time.After(2 * time.Second):
		t.Error("a handshake byte by byte goes on for ever")
	}
	stop()
}

func TestE18IdleConnections(t *testing.T) {
	const idle = 2000
	r := newRig(t, setup{tune: func(o *relay.Options) {
		o.MaxConnections = 4 * idle // of which one address gets a quarter
		o.Limits.HandshakeTime = time.Minute
	}})
	stop := r.neighbour()
	for i := range idle {
		c := r.raw()
		if i%2 == 1 {
			c.say([]byte{3, 0, 0})
		}
	}
	begun := time.Now()
	e := r.publish()
	if took := time.Since(begun); took > time.Second {
		t.Errorf("a publish beside %d idle connections took %v", idle, took)
	}
	e.frames(60)
	e.goodbye()
	stop()
	r.checkAll()
}

func TestE18PublishersKeepTheirPlace(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) { o.MaxConnections = 3 }})
	stop := r.neighbour()
	a, b := r.publishAs("cam1"), r.publishAs("cam2")
	_, err := r.dial("cam3")
	if err == nil {
		t.Error("a fourth publisher was let in where there are three places")
	}
	r.waitLog("connection closed: all places are taken by encoders and players")
	a.frames(60)
	a.goodbye()
	for range 20 {
		r.raw()
	}
	c := r.publishAs("cam3")
	c.frames(60)
	c.goodbye()
	b.frames(60)
	b.goodbye()
	stop()
	r.checkAll()
}

// starved is a listener that has no descriptors for a while.
type starved struct {
	net.Listener
	tries atomic.Int32
	until time.Time
}

func (s *starved) Accept() (net.Conn, error) {
	if time.Now().Before(s.until) {
		s.tries.Add(1)
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return s.Listener.Accept()
}

func TestE19NoDescriptors(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &starved{Listener: ln, until: time.Now().Add(time.Second)}
	log := &logBuffer{changed: make(chan struct{})}
	srv := relay.New(relay.Options{Log: zerolog.New(log)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx, s) }()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	begun := time.Now()
	_ = nc.SetDeadline(time.Now().Add(patience))
	if _, err := nc.Write([]byte("GET")); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection was not served: %v", err)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("served %v after the accept failed first", took)
	}
	if n := s.tries.Load(); n > 20 {
		t.Errorf("%d tries in a second", n)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if line, _ := log.find("connection not accepted", "too many open files"); line == "" {
		t.Errorf("log:\n%s", log.String())
	}
}

func TestE20ClientThatNeverReads(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	before := heap()
	c := r.raw().shake().publish("deaf").say(control(rtmp.TypeWindowAckSize, 1))
	ping := append(header(2, rtmp.TypeUserControl, 0, 6, 0), 0, 6, 0, 0, 0, 0)
	flood := bytes.Repeat(ping, 1000)
	for range 500 {
		c.say(flood)
	}
	r.grown(before, 16<<20)
	c.nc.Close()
	r.waitFor("the end", func() bool { return len(r.srv.Streams()) <= 1 })
	stop()
}

func TestE21NoKeyframesAndManyHeaders(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	before := heap()
	c := r.raw().shake().publish("flood").say(control(rtmp.TypeSetChunkSize, 1<<24))
	frame := message(6, rtmp.Message{Type: rtmp.TypeVideo, Payload: append([]byte("\x27\x01"), make([]byte, 1<<20)...)}, 1<<24)
	for range 128 {
		c.say(frame)
	}
	for i := range 5000 {
		c.say(message(6, rtmp.Message{Type: rtmp.TypeData, Payload: fmt.Appendf(rtmp.SetDataFrame([]byte("\x02\x00\x0aonMetaData")), "%d", i)}, 1<<24))
	}
	for i := range 500 {
		c.say(message(6, rtmp.Message{Type: rtmp.TypeVideo, Payload: append([]byte("\x96\x00hvc1"), byte(i), byte(i>>8))}, 1<<24))
	}
	r.waitFor("all to be read", func() bool {
		for _, s := range r.srv.Streams() {
			if s.StreamID == "flood" {
				return s.MessagesIn == 128+5000+500
			}
		}
		return false
	})
	r.grown(before, 16<<20)
	c.nc.Close()
	stop()
}

func TestE22OddKeys(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	asked := len(r.sim.Requests())
	for _, key := range []string{
		"a\r\nb", "a\x00b", "../x", "a/b", "a b", "ключ", "%n%s", "\x1b[31m", "\u202e", "a.b", strings.Repeat("k", 60_000), "{key}", "'",
	} {
		c := r.raw().shake().say(control(rtmp.TypeSetChunkSize, 1<<20))
		for _, part := range [][]byte{
			command("connect", 1.0, map[string]any{"app": "live"}), command("createStream", 2.0, nil),
		} {
			c.say(part)
		}
		body := amf("publish", 3.0, nil, key)
		c.say(header(3, rtmp.TypeCommand, 0, len(body), 1), body)
		if !c.closed(2 * time.Second) {
			t.Errorf("%.20q was taken", key)
		}
	}
	if n := len(r.sim.Requests()) - asked; n > 0 {
		t.Errorf("%d dispatches for keys that can't be StreamIds", n)
	}
	stop()
	for line := range strings.Lines(r.log.String()) {
		if !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "}\n") || len(line) > 1000 || strings.ContainsAny(line, "\x1b\u202e\x00") {
			t.Errorf("log line %q", line)
		}
	}
}

func TestE23GoodbyesForOthers(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	c := r.raw().shake().publish("bad")
	for range 10 {
		c.say(command("FCUnpublish", 4.0, nil, "neighbour"), command("deleteStream", 5.0, nil, 2.0),
			command("deleteStream", 0.0, nil, "neighbour"), command("releaseStream", 6.0, nil, "neighbour"))
	}
	for _, m := range clip(20, 300, 0) {
		r.audit("bad").Sent(m)
		c.say(plain(0, m))
	}
	c.say(command("FCUnpublish", 4.0, nil, "bad"))
	r.waitLog(`"stream":"bad"`, "stream ended")
	stop()
	r.checkAll()
}

func TestE24Burst(t *testing.T) {
	r := newRig(t, setup{})
	stop := r.neighbour()
	e := r.publish()
	e.size = 10_000 // 4 Mbit/s
	e.frames(50 * 20)
	e.goodbye()
	stop()
	r.checkAll()
}
