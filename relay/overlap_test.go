package relay

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"zegorelay/relay/rtmp"
)

// joined is a backlog that nodes feed one after the other, as a pull's is.
type joined struct {
	b     *backlog
	clock streamClock
	at    time.Time
}

// node brings what one node sends, on its own clock; behind the last by pause.
func (j *joined) node(pause time.Duration, shift uint32, messages ...[]rtmp.Message) {
	j.at = j.at.Add(pause)
	behind := seam{open: j.b.hasBegun(), overlaps: true}
	for _, m := range slices.Concat(messages...) {
		m.Timestamp += shift
		behind.take(entry{Message: m, info: m.Inspect(), at: j.at}, &j.clock, j.b)
	}
}

func newJoined() *joined { return &joined{b: filled(), at: time.Now()} }

// played is what a player has that was there from the beginning.
func (j *joined) played() (names []string, times []uint32) {
	for i := range j.b.entries.len() {
		names, times = append(names, name(j.b.entries.at(i).Message)), append(times, j.b.entries.at(i).Timestamp)
	}
	return names, times
}

// as is m at another time.
func as(m rtmp.Message, n uint32) rtmp.Message {
	m.Timestamp = n * 20
	return m
}

func TestNodeRepeatsTheNewestGOP(t *testing.T) {
	for what, c := range map[string]struct {
		second []rtmp.Message
		shift  uint32
		want   []string // of what follows the first node's
	}{
		"the same GOP, and more of it":     {slices.Concat(opening, gop(5), gop(10)), 0, []string{"key10", "a11", "v12", "a13", "v14"}},
		"likewise, on another clock":       {slices.Concat(opening, gop(5), gop(10)), 77_000, []string{"key10", "a11", "v12", "a13", "v14"}},
		"the GOP before it, too":           {slices.Concat(opening, gop(0), gop(5), gop(10)), 5, []string{"key10", "a11", "v12", "a13", "v14"}},
		"the next GOP: nothing is known":   {slices.Concat(opening, gop(10)), 0, []string{"key10", "a11", "v12", "a13", "v14"}},
		"other headers: nothing is known":  {slices.Concat([]rtmp.Message{metadata(2), videoHeader(2), audioHeader(1)}, gop(5)), 0, []string{"m2", "vh2", "key5", "a6", "v7", "a8", "v9"}},
		"the same keyframe, other company": {slices.Concat(opening, []rtmp.Message{keyframe(5), as(audio(60), 6), as(video(61), 7), as(audio(62), 8)}), 0, []string{"a60", "v61", "a62"}},
	} {
		t.Run(what, func(t *testing.T) {
			j := newJoined()
			j.node(0, 0, opening, gop(0), gop(5))
			before, _ := j.played()
			j.node(40*time.Millisecond, c.shift, c.second)
			names, times := j.played()
			if got := names[len(before):]; !slices.Equal(got, c.want) {
				t.Errorf("then %q, want %q", got, c.want)
			}
			if !slices.IsSorted(times) {
				t.Errorf("times fall: %v", times)
			}
			if gap := times[len(before)] - times[len(before)-1]; gap > 100 {
				t.Errorf("a gap of %d ms", gap)
			}
		})
	}
}

// A player goes on when the encoder is back with other tracks: with their headers.
func TestViewerGoesOnInAnotherEpoch(t *testing.T) {
	b := filled(opening, gop(0))
	viewer := b.view()
	defer viewer.close()
	if got := readAll(t, viewer); got[len(got)-1] != "v4" {
		t.Fatalf("got %q", got)
	}
	var clock streamClock
	behind := seam{open: true}
	other := []rtmp.Message{metadata(2), {Type: rtmp.TypeVideo, Payload: []byte("\x1c\x00vh-hevc")}, audioHeader(2)}
	for _, m := range slices.Concat(other, []rtmp.Message{{Type: rtmp.TypeVideo, Payload: []byte("\x1c\x01key-hevc")}, audio(9)}) {
		behind.take(entry{Message: m, info: m.Inspect(), at: time.Now()}, &clock, b)
	}
	if got, want := readAll(t, viewer), []string{"m2", "vh-hevc", "ah2", "key-hevc", "a9"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := func() error { _, _, err := b.follow().take(nil, 1); return err }(); err != nil {
		t.Errorf("an uplink that begins then: %v", err)
	}
}

// Memory goes back to its pool once nobody reads it, and not before.
func TestMemoryIsNotUsedAgainWhileItIsRead(t *testing.T) {
	var wire bytes.Buffer
	w := rtmp.NewWriter(&wire)
	for _, m := range slices.Concat(opening, gop(0), gop(5), gop(10), gop(15)) {
		m.StreamID = 1
		m.Payload = append(m.Payload, bytes.Repeat([]byte{m.Payload[len(m.Payload)-1]}, 400)...)
		w.Queue(m)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	mem := newMemory(1 << 30)
	b := newBacklog(time.Hour, 1<<20, mem)
	r := rtmp.NewReader(&wire, rtmp.Limits{})
	r.UsePool(mem.pool)
	next := func(n int) {
		for range n {
			m, err := r.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			add(b, m)
		}
	}
	next(3 + 5)
	viewer := b.view()
	held, err := viewer.read(context.Background(), make([]entry, 0, 16), 1<<20)
	if err != nil || len(held) != 8 {
		t.Fatalf("%d messages, %v", len(held), err)
	}
	next(5)
	b.release(b.end()) // gop(0) goes, while the viewer has it
	next(10)
	for _, e := range held {
		tail := e.Payload[len(e.Payload)-400:]
		if !bytes.Equal(tail, bytes.Repeat(tail[:1], 400)) || tail[0] != e.Payload[len(e.Payload)-401] {
			t.Errorf("%q has changed while it was read", e.Payload[:12])
		}
	}
	if mem.pool.Idle() > 0 {
		t.Errorf("%d bytes went back that were read", mem.pool.Idle())
	}
	viewer.close()
	b.release(b.end())
	if mem.pool.Idle() == 0 {
		t.Error("nothing went back")
	}
	letGo(t, mem)
}

// letGo checks that a server doesn't keep for ever what lies idle.
func letGo(t *testing.T, mem *memory) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(context.Background())
		s := &Server{shared: &shared{memory: mem}}
		var observer sync.WaitGroup
		observer.Go(func() { s.observe(ctx) })
		<-time.After(10 * trimEvery)
		if idle := mem.pool.Idle(); idle > 0 {
			t.Errorf("%d bytes lie idle although nobody has needed them for a while", idle)
		}
		end()
		observer.Wait()
	})
}
