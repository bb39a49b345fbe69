package rtmp

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

// The message of the benchmarks: an average video frame of 4 Mbit/s at 30 fps.
const benchBytes = 16_000

// loop gives the same bytes again and again.
type loop struct {
	data []byte
	at   int
}

func (l *loop) Read(p []byte) (int, error) {
	if l.at == len(l.data) {
		l.at = 0
	}
	n := copy(p, l.data[l.at:])
	l.at += n
	return n, nil
}

// Reading a message costs one allocation: its payload, which is the caller's to
// keep.
func BenchmarkReadMessage(b *testing.B) {
	for _, size := range []int{128, 4096, 65536} {
		b.Run(fmt.Sprintf("chunk=%d", size), func(b *testing.B) {
			var wire bytes.Buffer
			w := NewWriter(&wire)
			w.SetChunkSize(size)
			for i := range 10 {
				w.Queue(Message{Type: TypeVideo, Timestamp: uint32(i), StreamID: 1, Payload: payload(benchBytes, byte(i))})
			}
			if err := w.Flush(); err != nil {
				b.Fatal(err)
			}
			r := NewReader(&loop{data: wire.Bytes()}, Limits{})
			b.SetBytes(benchBytes)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.ReadMessage(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Writing costs none: neither per chunk nor per message.
func BenchmarkWriteMessage(b *testing.B) {
	for _, size := range []int{128, 4096, 65536} {
		b.Run(fmt.Sprintf("chunk=%d", size), func(b *testing.B) {
			w := NewWriter(io.Discard)
			w.chunkSize = size
			m := Message{Type: TypeVideo, StreamID: 1, Payload: payload(benchBytes, 1)}
			b.SetBytes(benchBytes)
			b.ReportAllocs()
			for b.Loop() {
				m.Timestamp += 33
				w.Queue(m)
				if err := w.Flush(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
