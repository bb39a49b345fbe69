package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"zegorelay/relay/rtmp"
)

// Messages of a made-up stream. The payload tells them apart.
func metadata(n int) rtmp.Message {
	p := rtmp.SetDataFrame([]byte("\x02\x00\x0aonMetaData"))
	return rtmp.Message{Type: rtmp.TypeData, Payload: fmt.Appendf(p, "m%d", n)}
}

func videoHeader(n int) rtmp.Message {
	return rtmp.Message{Type: rtmp.TypeVideo, Payload: fmt.Appendf([]byte("\x17\x00"), "vh%d", n)}
}

func audioHeader(n int) rtmp.Message {
	return rtmp.Message{Type: rtmp.TypeAudio, Payload: fmt.Appendf([]byte("\xaf\x00"), "ah%d", n)}
}

func keyframe(n int) rtmp.Message {
	return rtmp.Message{Type: rtmp.TypeVideo, Timestamp: uint32(n) * 20, Payload: fmt.Appendf([]byte("\x17\x01"), "key%d", n)}
}

func video(n int) rtmp.Message {
	return rtmp.Message{Type: rtmp.TypeVideo, Timestamp: uint32(n) * 20, Payload: fmt.Appendf([]byte("\x27\x01"), "v%d", n)}
}

func audio(n int) rtmp.Message {
	return rtmp.Message{Type: rtmp.TypeAudio, Timestamp: uint32(n) * 20, Payload: fmt.Appendf([]byte("\xaf\x01"), "a%d", n)}
}

// name is what tells a made-up message apart.
func name(m rtmp.Message) string {
	p := m.Payload
	if m.Type == rtmp.TypeData {
		return string(p[len(p)-2:])
	}
	return string(p[2:])
}

// opening is how a stream of both tracks begins: numbers 0 to 2.
var opening = []rtmp.Message{metadata(1), videoHeader(1), audioHeader(1)}

// gop is a keyframe n and what follows it up to the next, five messages in all.
func gop(n int) []rtmp.Message {
	return []rtmp.Message{keyframe(n), audio(n + 1), video(n + 2), audio(n + 3), video(n + 4)}
}

func filled(messages ...[]rtmp.Message) *backlog {
	b := newBacklog(10*time.Second, 1<<20, newMemory(1<<30))
	for _, m := range slices.Concat(messages...) {
		add(b, m)
	}
	return b
}

// add appends a message as it comes from the first encoder.
func add(b *backlog, m rtmp.Message) {
	b.append(entry{Message: m, info: m.Inspect(), at: time.Now()})
	b.announce()
}

// readAll reads what a follower can have without waiting.
func readAll(t *testing.T, f *follower) []string {
	t.Helper()
	var names []string
	for {
		got, asleep, err := f.take(make([]entry, 0, 3), 1<<20)
		for _, e := range got {
			names = append(names, name(e.Message))
		}
		if asleep {
			f.rise()
			return names
		}
		if err != nil {
			if !errors.Is(err, errDrained) {
				t.Fatal(err)
			}
			return append(names, "end")
		}
	}
}

func TestFollowerBeginsWithHeadersAndAKeyframe(t *testing.T) {
	for what, tc := range map[string]struct {
		b        *backlog
		received uint64
		want     []string
	}{
		"nothing received: from the first keyframe": {
			b:    filled(opening, []rtmp.Message{audio(0)}, gop(1)),
			want: []string{"m1", "vh1", "ah1", "key1", "a2", "v3", "a4", "v5"},
		},
		"something received: from the keyframe before the first that was not": {
			b:        filled(opening, gop(0), gop(5)),
			received: 3 + 7,
			want:     []string{"m1", "vh1", "ah1", "key5", "a6", "v7", "a8", "v9"},
		},
		"all received: the newest GOP again": {
			b:        filled(opening, gop(0), gop(5)),
			received: 3 + 10,
			want:     []string{"m1", "vh1", "ah1", "key5", "a6", "v7", "a8", "v9"},
		},
		"headers as they were at that keyframe, later ones in their place": {
			b: filled(opening, gop(0), []rtmp.Message{videoHeader(2), metadata(2)}, gop(5),
				[]rtmp.Message{videoHeader(3)}, gop(10)),
			received: 3 + 5 + 2 + 4,
			want: []string{"m2", "vh2", "ah1", "key5", "a6", "v7", "a8", "v9",
				"vh3", "key10", "a11", "v12", "a13", "v14"},
		},
		"sound alone: from the first that was not received": {
			b:        filled([]rtmp.Message{metadata(1), audioHeader(1), audio(0), audio(1), audio(2)}),
			received: 3,
			want:     []string{"m1", "ah1", "a1", "a2"},
		},
		"no keyframe yet: nothing": {
			b:    filled(opening, []rtmp.Message{video(0), audio(1)}),
			want: nil,
		},
	} {
		t.Run(what, func(t *testing.T) {
			tc.b.release(tc.received)
			if got := readAll(t, tc.b.follow()); !slices.Equal(got, tc.want) {
				t.Errorf("got  %v\nwant %v", got, tc.want)
			}
		})
	}
}

// Headers that open a session bear the time of the keyframe behind them.
func TestOpeningHeadersBearTheKeyframesTime(t *testing.T) {
	b := filled(opening, gop(100))
	got, _, err := b.follow().take(make([]entry, 0, 8), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range got[:4] {
		if e.Timestamp != 2000 {
			t.Errorf("%s is at %d ms, want 2000", name(e.Message), e.Timestamp)
		}
	}
}

func TestBacklogKeepsOneGOPOfAReceivedStream(t *testing.T) {
	b := filled(opening, gop(0))
	for n := 5; n < 500; n += 5 {
		for _, m := range gop(n) {
			add(b, m)
		}
		b.release(b.end())
		if b.entries.len() > 5 {
			t.Fatalf("%d messages are kept although all were received", b.entries.len())
		}
	}
}

// The node takes nothing: whole GOPs go, oldest first, and are counted.
func TestBacklogBoundByBytes(t *testing.T) {
	b := filled(opening)
	b.maxBytes = 60 + 12*entrySize
	f := b.follow()
	for n := 0; n < 50; n += 5 {
		for _, m := range gop(n) {
			add(b, m)
		}
		if b.bytes > b.maxBytes {
			t.Fatalf("%d bytes are kept, the bound is %d", b.bytes, b.maxBytes)
		}
	}
	if got := b.at(b.first); got.info.Kind != rtmp.Keyframe {
		t.Errorf("the oldest message kept is %s, want a keyframe", name(got.Message))
	}
	got := readAll(t, f)
	want := []string{"m1", "vh1", "ah1", "key40", "a41", "v42", "a43", "v44", "key45", "a46", "v47", "a48", "v49"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if f.dropped != 40 {
		t.Errorf("%d messages are counted as dropped, want 40", f.dropped)
	}
}

func TestBacklogBoundByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBacklog(10*time.Second, 1<<20, newMemory(1<<30))
		for _, m := range opening {
			add(b, m)
		}
		for n := 0; n < 1000; n += 5 { // a GOP a second
			for _, m := range gop(n) {
				add(b, m)
				<-time.After(200 * time.Millisecond)
			}
			if _, age := b.held(time.Now()); age > 10*time.Second+200*time.Millisecond {
				t.Fatalf("the oldest message is %v old", age)
			}
		}
		if n := b.entries.len(); n < 45 {
			t.Errorf("only %d messages are kept of the last 10 s", n)
		}
	})
}

// A single GOP over the bound goes message by message; who keeps up loses
// nothing by it, who comes late waits for the next keyframe.
func TestBacklogBoundWithinOneGOP(t *testing.T) {
	b := filled(opening, []rtmp.Message{keyframe(0)})
	b.maxBytes = 40 + 5*entrySize
	live := b.follow()
	got := readAll(t, live)
	for n := 1; n < 50; n++ {
		add(b, video(n))
		got = append(got, readAll(t, live)...)
	}
	if live.dropped != 0 || len(got) != 3+50 {
		t.Errorf("the live follower got %d messages and lost %d, want 53 and 0", len(got), live.dropped)
	}
	late := b.follow()
	if got := readAll(t, late); got != nil {
		t.Errorf("half a GOP was read: %v", got)
	}
	add(b, keyframe(50))
	if got, want := readAll(t, late), []string{"m1", "vh1", "ah1", "key50"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A follower that is too slow goes on at the newest keyframe; over the gap only
// the headers that changed in it are sent again.
func TestFollowerOverAGapGetsTheHeadersThatChanged(t *testing.T) {
	b := filled(opening, gop(0))
	f := b.follow()
	readAll(t, f)
	b.maxBytes = 60 + 10*entrySize
	for _, m := range slices.Concat(gop(5), []rtmp.Message{videoHeader(2), audioHeader(1)}, gop(10), gop(15)) {
		add(b, m)
	}
	if got, want := readAll(t, f)[:2], []string{"vh2", "key15"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if f.dropped != 12 || b.undelivered() != 5 {
		t.Errorf("%d messages are counted as dropped and %d as owed, want 12 and 5", f.dropped, b.undelivered())
	}
}

func TestFollowerReadsToTheEnd(t *testing.T) {
	b := filled(opening, gop(0))
	b.close()
	got := readAll(t, b.follow())
	if want := []string{"m1", "vh1", "ah1", "key0", "a1", "v2", "a3", "v4", "end"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if b.settled() {
		t.Error("settled before the node has received all")
	}
	b.release(b.end())
	if !b.settled() {
		t.Error("not settled although the node has received all")
	}
}

func TestStreamThatNeverBeganIsSettledWhenItsEncoderIsGone(t *testing.T) {
	b := filled(opening, []rtmp.Message{video(0)})
	b.close()
	if !b.settled() {
		t.Error("a stream without a keyframe has nothing to deliver")
	}
}

func TestFollowerSleepsUntilThereIsSomething(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := filled(opening)
		f := b.follow()
		type result struct {
			got []entry
			err error
		}
		results := make(chan result)
		read := func(ctx context.Context) {
			got, err := f.read(ctx, make([]entry, 0, 8), 1<<20)
			results <- result{got, err}
		}
		go read(t.Context())
		synctest.Wait()
		add(b, keyframe(0))
		if r := <-results; r.err != nil || len(r.got) != 4 {
			t.Errorf("after an append: got %d messages, %v", len(r.got), r.err)
		}

		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		go read(ctx)
		synctest.Wait()
		cancel(cause)
		if r := <-results; !errors.Is(r.err, cause) {
			t.Errorf("after the end of ctx: got %v", r.err)
		}
		if len(b.sleepers) != 0 {
			t.Errorf("%d followers still sleep", len(b.sleepers))
		}
		go read(t.Context())
		synctest.Wait()
		b.close()
		if r := <-results; !errors.Is(r.err, errDrained) {
			t.Errorf("after the close: got %v", r.err)
		}
	})
}
