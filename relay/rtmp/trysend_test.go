package rtmp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// pair is two ends of a TCP connection.
func pair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	ln := listen(t)
	accepted := make(chan net.Conn, 1)
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- nc
	}()
	near, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far = <-accepted
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

// What a kernel doesn't take at once stays queued, in order and whole, whatever is
// queued behind it.
func TestTryFlushGoesOnWhereItStopped(t *testing.T) {
	near, far := pair(t)
	w := NewWriter(unannounced(near))
	if w.tryWritev == nil {
		t.Skip("only Linux writes without waiting")
	}
	var want bytes.Buffer
	reference := NewWriter(&want)
	queue := func(i int) {
		m := Message{Type: TypeVideo, StreamID: 1, Timestamp: uint32(i), Payload: payload(70_000, byte(i))}
		w.Queue(m)
		reference.Queue(m)
	}
	i, stuck := 0, 0
	for stuck < 3 {
		queue(i)
		if i++; !w.TryFlush() {
			stuck++
		}
		if i > 10_000 {
			t.Fatal("the kernel takes everything")
		}
	}
	if err := reference.Flush(); err != nil {
		t.Fatal(err)
	}
	flushed := make(chan error, 1)
	go func() { flushed <- w.Flush() }()
	got := make([]byte, want.Len())
	_ = far.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(far, got); err != nil {
		t.Fatal(err)
	}
	if err := <-flushed; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("the bytes are others than by one Flush")
	}
	if !w.TryFlush() {
		t.Error("nothing is queued, and yet not all is written")
	}
}

func TestTryFlushOfAClosedConnection(t *testing.T) {
	near, far := pair(t)
	w := NewWriter(unannounced(near))
	far.Close()
	near.Close()
	w.Queue(Message{Type: TypeVideo, StreamID: 1, Payload: payload(1000, 1)})
	if w.TryFlush() {
		t.Error("it was written")
	}
	if w.Flush() == nil {
		t.Error("the error is gone")
	}
}

// A connection that waits holds no buffer, and reads on with one.
func TestReaderHoldsNoBufferWhileItWaits(t *testing.T) {
	near, far := pair(t)
	wire := unannounced(near)
	if _, ok := wire.(lazyReader); !ok {
		t.Skip("only Linux reads lazily")
	}
	r := NewReader(wire, Limits{})
	pool := NewPool(1 << 20)
	r.UsePool(pool)
	waits := make(chan int, 100)
	r.beforeRead = func() error { waits <- len(r.buf); return nil }
	w := NewWriter(far)
	for i := range 20 {
		m := Message{Type: TypeVideo, StreamID: 1, Timestamp: uint32(i), Payload: payload(1+i*5000, byte(i))}
		w.Queue(m)
		flushed := make(chan error, 1)
		go func() { flushed <- w.Flush() }()
		got, err := r.ReadMessage()
		if err := <-flushed; err != nil {
			t.Fatal(err)
		}
		if err != nil || !bytes.Equal(got.Payload, m.Payload) || got.Timestamp != m.Timestamp {
			t.Fatalf("message %d: %v", i, err)
		}
		got.Recycle()
	}
	far.Close()
	if _, err := r.ReadMessage(); !errors.Is(err, ErrPeerClosed) {
		t.Errorf("at the end: %v", err)
	}
	close(waits)
	last := -1
	for last = range waits {
	}
	if last != 0 {
		t.Errorf("a buffer of %d bytes is held while nothing is to be read", last)
	}
}
