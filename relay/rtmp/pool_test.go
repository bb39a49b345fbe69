package rtmp

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestPoolClasses(t *testing.T) {
	lastClass, lastSize := -1, 0
	for n := 1; n <= poolMost; n += 1 + n/97 {
		class, size := classOf(n)
		if size < n || n > poolLeast && size-n > n/poolSteps {
			t.Fatalf("%d bytes go into a class of %d", n, size)
		}
		if class < lastClass || class == lastClass && size != lastSize || class > lastClass && size <= lastSize {
			t.Fatalf("%d bytes: class %d of %d, after class %d of %d", n, class, size, lastClass, lastSize)
		}
		if again, same := classOf(size); again != class || same != size {
			t.Fatalf("the size %d of class %d goes into class %d of %d", size, class, again, same)
		}
		lastClass, lastSize = class, size
	}
	if len(NewPool(1).classes) != lastClass+1 {
		t.Errorf("%d classes, the last is %d", len(NewPool(1).classes), lastClass)
	}
}

func TestPoolGivesBackWhatItTook(t *testing.T) {
	p := NewPool(1 << 20)
	b := p.get(1000)
	p.put(b)
	if again := p.get(900); &again[0] != &b[0] || len(again) != 900 {
		t.Error("memory that was put back is not used again")
	}
	p.put(make([]byte, 1001)) // not its own
	p.put(p.get(900_000))
	p.put(p.get(900_000)[:1])
	p.put(make([]byte, 900_000, 917_504))
	if p.idle > 1<<20 {
		t.Errorf("%d bytes lie idle", p.idle)
	}
	var none *Pool
	none.put(none.get(10))
}

// Half of what nobody has needed since the last Trim is let go of, and nothing else.
func TestPoolTrim(t *testing.T) {
	p := NewPool(1 << 20)
	lend := func(n int) {
		var lent [][]byte
		for range n {
			lent = append(lent, p.get(1000))
		}
		for _, b := range lent {
			p.put(b)
		}
	}
	for _, step := range []struct{ need, left int }{
		{need: 11, left: 11}, // it has come only now
		{need: 3, left: 7},
		{need: 3, left: 5},
		{need: 9, left: 9},
		{need: 8, left: 8},
		{need: 0, left: 4},
		{need: 0, left: 2},
		{need: 0, left: 1},
		{need: 0, left: 0},
	} {
		lend(step.need)
		p.Trim()
		if p.Idle() != step.left*1024 {
			t.Fatalf("%d bytes lie idle after %d payloads were needed, want %d of 1024", p.Idle(), step.need, step.left)
		}
	}
}

// A message that is read into pooled memory is whole, however long the one before
// it there was, and in however many chunks it comes.
func TestReaderUsesItsPool(t *testing.T) {
	var wire bytes.Buffer
	w := NewWriter(&wire)
	var sent []Message
	for i := range 500 {
		m := Message{Type: TypeVideo, StreamID: 1, Timestamp: uint32(i), Payload: payload(rand.N(30_000), byte(i))}
		sent = append(sent, m)
		w.Queue(m)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	r := NewReader(&wire, Limits{})
	r.pool = NewPool(1 << 20)
	for i, want := range sent {
		got, err := r.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Payload, want.Payload) {
			t.Fatalf("message %d differs", i)
		}
		got.Recycle()
	}
	if r.pool.idle == 0 || r.unfinished != 0 {
		t.Errorf("%d bytes lie idle, %d are unfinished", r.pool.idle, r.unfinished)
	}
}

func BenchmarkReadPooled(b *testing.B) {
	var wire bytes.Buffer
	w := NewWriter(&wire)
	w.SetChunkSize(4096)
	for i := range 100 {
		w.Queue(Message{Type: TypeVideo, StreamID: 1, Timestamp: uint32(i), Payload: payload(14_000, byte(i))})
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	src := &endless{bytes: wire.Bytes()}
	r := NewReader(src, Limits{})
	r.pool = NewPool(1 << 20)
	b.SetBytes(14_000)
	b.ReportAllocs()
	for b.Loop() {
		m, err := r.ReadMessage()
		if err != nil {
			b.Fatal(err)
		}
		m.Recycle()
	}
}

// endless is a source that begins again at its end.
type endless struct {
	bytes []byte
	at    int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.at == len(e.bytes) {
		e.at = 0
	}
	n := copy(p, e.bytes[e.at:])
	e.at += n
	return n, nil
}
