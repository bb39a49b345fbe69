package relay

import (
	"bytes"
	"testing"
	"time"

	"zegorelay/relay/rtmp"
)

// A stream from 0 to past 2^32 ms, through reader, backlog, timeline and writer:
// what comes out is what went in, and its time goes on. Sessions change on the
// way, at the borders of 24, 31 and 32 bits too.
func TestFiftyDaysThroughTheWholeRelay(t *testing.T) {
	var in, out bytes.Buffer
	encoder, node := rtmp.NewWriter(&in), rtmp.NewReader(&out, rtmp.Limits{})
	reader := rtmp.NewReader(&in, rtmp.Limits{})
	b := newBacklog(time.Hour, 1<<20, newMemory(1<<30))

	const step = 499_979 // ms
	var upstream *rtmp.Writer
	var follower *follower
	var clock timeline
	var began uint64 // encoder's time at which the session begins
	borders := map[uint64]bool{1 << 24 / step: true, 1 << 31 / step: true, 1 << 32 / step: true}
	for n := uint64(0); n*step < 1<<32+1<<28; n++ {
		if upstream == nil || borders[n] || n%1000 == 0 {
			upstream, follower, clock = rtmp.NewWriter(&out), nil, timeline{}
			node = rtmp.NewReader(&out, rtmp.Limits{})
			began = n * step
		}
		sent := rtmp.Message{
			Type: rtmp.TypeVideo, Timestamp: uint32(n * step), StreamID: 1,
			Payload: append([]byte("\x17\x01"), bytes.Repeat([]byte{byte(n)}, 300)...),
		}
		encoder.Queue(sent)
		if err := encoder.Flush(); err != nil {
			t.Fatal(err)
		}
		m, err := reader.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		b.release(b.end())
		add(b, m)
		if follower == nil {
			b.received = b.end() - 1
			follower = b.follow()
		}
		batch, _, err := follower.take(make([]entry, 0, 4), 1<<20)
		if err != nil || len(batch) != 1 {
			t.Fatalf("after %d ms: %d messages, %v", n*step, len(batch), err)
		}
		forward := batch[0].Message
		forward.Timestamp = clock.at(forward.Timestamp)
		upstream.Queue(forward)
		if err := upstream.Flush(); err != nil {
			t.Fatal(err)
		}
		got, err := node.ReadMessage()
		if err != nil {
			t.Fatalf("after %d ms: %v", n*step, err)
		}
		if want := uint32(n*step - began); got.Timestamp != want || !bytes.Equal(got.Payload, sent.Payload) {
			t.Fatalf("after %d ms: arrived at %d, want %d", n*step, got.Timestamp, want)
		}
	}
}
