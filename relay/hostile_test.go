package relay_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"zegorelay/relay"
	"zegorelay/relay/rtmp"
)

// The tests of this file, of odd_wire_test.go (what is said oddly) and of
// crowd_test.go (how many say it) are named after the rows of a catalogue of what
// encoders, and those who pretend to be one, do. Beside each of them a well-behaved
// stream runs that must lose nothing.

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
