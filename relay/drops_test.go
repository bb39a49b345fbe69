package relay

import (
	"testing"
	"time"

	"zegorelay/relay/rtmp"
)

func lostOf(b *backlog, reason dropReason) (n uint64) {
	for _, d := range b.losses() {
		if d.Reason == reason.String() {
			n += d.Messages
		}
	}
	return n
}

// at appends a message that came at a time.
func addAt(b *backlog, m rtmp.Message, at time.Time) {
	b.append(entry{Message: m, info: m.Inspect(), at: at})
}

func TestLossesByReason(t *testing.T) {
	begun := time.Now().Add(-time.Minute) // memory asks for ages
	fill := func(b *backlog) {
		for i, m := range append(append([]rtmp.Message{}, opening...), append(gop(0), gop(10)...)...) {
			addAt(b, m, begun.Add(time.Duration(i)*time.Millisecond))
		}
	}
	t.Run("age", func(t *testing.T) {
		b := newBacklog(time.Second, 1<<20, newMemory(1<<30))
		fill(b)
		addAt(b, keyframe(20), begun.Add(time.Minute))
		if n := lostOf(b, dropAge); n != 10 {
			t.Errorf("%d lost by age, want two GOPs: %v", n, b.losses())
		}
	})
	t.Run("bytes", func(t *testing.T) {
		b := newBacklog(time.Minute, 8*entrySize, newMemory(1<<30))
		fill(b)
		if n := lostOf(b, dropBytes); n != 5 {
			t.Errorf("%d lost by bytes, want a GOP: %v", n, b.losses())
		}
	})
	t.Run("memory", func(t *testing.T) {
		b := newBacklog(time.Hour, 1<<20, newMemory(int64(8*entrySize)))
		fill(b)
		if n := lostOf(b, dropMemory); n != 5 {
			t.Errorf("%d lost by memory, want a GOP: %v", n, b.losses())
		}
	})
	t.Run("delivered is not lost", func(t *testing.T) {
		b := newBacklog(time.Second, 1<<20, newMemory(1<<30))
		fill(b)
		b.release(b.end())
		addAt(b, keyframe(20), begun.Add(time.Minute))
		if len(b.losses()) > 0 {
			t.Errorf("got %v", b.losses())
		}
	})
	t.Run("slow", func(t *testing.T) {
		b := newBacklog(time.Second, 1<<20, newMemory(1<<30))
		fill(b)
		f := b.follow()
		_, _ = f.grab(make([]entry, 0, 4), 1<<20) // the headers and the first keyframe
		for i, m := range append(gop(20), gop(30)...) {
			addAt(b, m, begun.Add(1005*time.Millisecond+time.Duration(i)*time.Millisecond))
		}
		_, _ = f.grab(make([]entry, 0, 4), 1<<20) // from the newest GOP on
		if age, slow := lostOf(b, dropAge), lostOf(b, dropSlow); age+slow != f.dropped || slow == 0 {
			t.Errorf("%d lost by age, %d by slowness, of %d: %v", age, slow, f.dropped, b.losses())
		}
	})
	t.Run("in doubt", func(t *testing.T) {
		for _, isDelivered := range []bool{true, false} {
			b := newBacklog(time.Second, 1<<20, newMemory(1<<30))
			fill(b)
			f := b.follow()
			_, _ = f.grab(make([]entry, 0, 64), 1<<20)
			addAt(b, keyframe(20), begun.Add(time.Minute))
			if len(b.losses()) > 0 {
				t.Errorf("what is under way is lost: %v", b.losses())
			}
			if isDelivered {
				b.release(f.next)
			}
			f.close()
			b.follow()
			if n := lostOf(b, dropAge); isDelivered && n != 0 || !isDelivered && n != 10 {
				t.Errorf("delivered %v: %d lost", isDelivered, n)
			}
		}
	})
}
