package rtmp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// chunk builds one chunk by hand, so that the Reader is held against the
// specification and not against our own Writer.
type chunk struct {
	format byte
	id     uint32
	time   uint32 // timestamp or delta
	length int
	typ    Type
	stream uint32
	data   []byte
}

func (c chunk) bytes() []byte {
	var b []byte
	switch {
	case c.id < 64:
		b = append(b, c.format<<6|byte(c.id))
	case c.id < 320:
		b = append(b, c.format<<6, byte(c.id-64))
	default:
		b = append(b, c.format<<6|1, byte(c.id-64), byte((c.id-64)>>8))
	}
	if c.format <= 2 {
		b = appendUint24(b, min(c.time, 0xFFFFFF))
	}
	if c.format <= 1 {
		b = append(appendUint24(b, uint32(c.length)), byte(c.typ))
	}
	if c.format == 0 {
		b = binary.LittleEndian.AppendUint32(b, c.stream)
	}
	if c.time >= 0xFFFFFF {
		b = binary.BigEndian.AppendUint32(b, c.time)
	}
	return append(b, c.data...)
}

func stream(chunks ...chunk) []byte {
	var b []byte
	for _, c := range chunks {
		b = append(b, c.bytes()...)
	}
	return b
}

// payload is n bytes that tell where they come from.
func payload(n int, seed byte) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i)*7 + seed
	}
	return p
}

func TestReader(t *testing.T) {
	a, v := payload(100, 1), payload(300, 2)
	video := func(ts uint32, p []byte) Message {
		return Message{Type: TypeVideo, Timestamp: ts, StreamID: 1, Payload: p}
	}
	cases := map[string]struct {
		in   []byte
		want []Message
	}{
		"a message in one chunk": {
			in:   stream(chunk{id: 4, time: 10, length: 100, typ: TypeVideo, stream: 1, data: a}),
			want: []Message{video(10, a)},
		},
		"a message in three chunks": {
			in: stream(
				chunk{id: 4, time: 10, length: 300, typ: TypeVideo, stream: 1, data: v[:128]},
				chunk{format: 3, id: 4, data: v[128:256]},
				chunk{format: 3, id: 4, data: v[256:]}),
			want: []Message{video(10, v)},
		},
		"formats 0, 1, 2 and 3 each begin a message": {
			in: stream(
				chunk{id: 4, time: 1000, length: 100, typ: TypeVideo, stream: 1, data: a},
				chunk{format: 1, id: 4, time: 20, length: 50, typ: TypeVideo, data: a[:50]},
				chunk{format: 2, id: 4, time: 30, data: a[50:]},
				chunk{format: 3, id: 4, data: a[:50]}),
			want: []Message{video(1000, a), video(1020, a[:50]), video(1050, a[50:]), video(1080, a[:50])},
		},
		"format 3 after format 0 adds its timestamp again": {
			in: stream(
				chunk{id: 4, time: 40, length: 50, typ: TypeVideo, stream: 1, data: a[:50]},
				chunk{format: 3, id: 4, data: a[:50]}),
			want: []Message{video(40, a[:50]), video(80, a[:50])},
		},
		"interleaved chunk streams": {
			in: stream(
				chunk{id: 4, time: 10, length: 300, typ: TypeVideo, stream: 1, data: v[:128]},
				chunk{id: 6, time: 11, length: 100, typ: TypeAudio, stream: 1, data: a},
				chunk{format: 3, id: 4, data: v[128:256]},
				chunk{format: 3, id: 4, data: v[256:]}),
			want: []Message{{Type: TypeAudio, Timestamp: 11, StreamID: 1, Payload: a}, video(10, v)},
		},
		"extended timestamp repeated": {
			in: stream(
				chunk{id: 4, time: 0x1000000, length: 300, typ: TypeVideo, stream: 1, data: v[:128]},
				chunk{format: 3, id: 4, time: 0x1000000, data: v[128:256]},
				chunk{format: 3, id: 4, time: 0x1000000, data: v[256:]}),
			want: []Message{video(0x1000000, v)},
		},
		"extended timestamp not repeated": {
			in: stream(
				chunk{id: 4, time: 0x1000000, length: 300, typ: TypeVideo, stream: 1, data: v[:128]},
				chunk{format: 3, id: 4, data: v[128:256]},
				chunk{format: 3, id: 4, data: v[256:]}),
			want: []Message{video(0x1000000, v)},
		},
		"extended timestamp not repeated and one byte to go": {
			in: stream(
				chunk{id: 4, time: 0x1000000, length: 257, typ: TypeVideo, stream: 1, data: v[:128]},
				chunk{format: 3, id: 4, data: v[128:256]},
				chunk{format: 3, id: 4, data: v[256:257]}),
			want: []Message{video(0x1000000, v[:257])},
		},
		"a time of exactly 0xFFFFFF is extended": {
			in: stream(
				chunk{id: 4, time: 0xFFFFFF, length: 200, typ: TypeVideo, stream: 1, data: v[:128]},
				chunk{format: 3, id: 4, time: 0xFFFFFF, data: v[128:200]}),
			want: []Message{video(0xFFFFFF, v[:200])},
		},
		"an extended delta, as ffmpeg sends one": {
			in: stream(
				chunk{id: 4, time: 5, length: 50, typ: TypeVideo, stream: 1, data: a[:50]},
				chunk{format: 1, id: 4, time: 19999979, length: 200, typ: TypeVideo, data: v[:128]},
				chunk{format: 3, id: 4, time: 19999979, data: v[128:200]},
				chunk{format: 1, id: 4, time: 40, length: 50, typ: TypeVideo, data: a[:50]}),
			want: []Message{video(5, a[:50]), video(19999984, v[:200]), video(20000024, a[:50])},
		},
		"time wraps at 2^32": {
			in: stream(
				chunk{id: 4, time: 0xFFFFFFF0, length: 50, typ: TypeVideo, stream: 1, data: a[:50]},
				chunk{format: 1, id: 4, time: 0x20, length: 50, typ: TypeVideo, data: a[:50]}),
			want: []Message{video(0xFFFFFFF0, a[:50]), video(0x10, a[:50])},
		},
		"Set Chunk Size in the middle of a message": {
			in: stream(
				chunk{id: 4, time: 10, length: 300, typ: TypeVideo, stream: 1, data: v[:128]},
				chunk{id: 2, length: 4, typ: TypeSetChunkSize, data: []byte{0, 0, 1, 0}},
				chunk{format: 3, id: 4, data: v[128:]}),
			want: []Message{video(10, v)},
		},
		"Abort drops what has come of a message": {
			in: stream(
				chunk{id: 4, time: 10, length: 300, typ: TypeVideo, stream: 1, data: v[:128]},
				chunk{id: 2, length: 4, typ: TypeAbort, data: []byte{0, 0, 0, 4}},
				chunk{id: 4, time: 20, length: 100, typ: TypeVideo, stream: 1, data: a}),
			want: []Message{video(20, a)},
		},
		"a new header drops what has come of a message": {
			in: stream(
				chunk{id: 4, time: 10, length: 300, typ: TypeVideo, stream: 1, data: v[:128]},
				chunk{id: 4, time: 20, length: 100, typ: TypeVideo, stream: 1, data: a}),
			want: []Message{video(20, a)},
		},
		"a message of no bytes": {
			in: stream(
				chunk{id: 4, time: 10, typ: TypeAudio, stream: 1},
				chunk{id: 4, time: 20, length: 100, typ: TypeVideo, stream: 1, data: a}),
			want: []Message{{Type: TypeAudio, Timestamp: 10, StreamID: 1}, video(20, a)},
		},
	}
	for _, id := range []uint32{2, 3, 63, 64, 319, 320, 400, 65599} {
		cases[fmt.Sprintf("chunk stream %d", id)] = struct {
			in   []byte
			want []Message
		}{
			in: stream(
				chunk{id: id, time: 10, length: 200, typ: TypeVideo, stream: 1, data: v[:128]},
				chunk{format: 3, id: id, data: v[128:200]}),
			want: []Message{video(10, v[:200])},
		}
	}
	sources := map[string]func(io.Reader) io.Reader{
		"whole":        func(r io.Reader) io.Reader { return r },
		"byte by byte": iotest.OneByteReader,
	}
	for name, tc := range cases {
		for how, source := range sources {
			t.Run(name+", "+how, func(t *testing.T) {
				r := NewReader(source(bytes.NewReader(tc.in)), Limits{})
				for i, want := range tc.want {
					got, err := r.ReadMessage()
					if err != nil {
						t.Fatalf("message %d: %v", i, err)
					}
					checkSame(t, got, want)
				}
				if m, err := r.ReadMessage(); !errors.Is(err, ErrPeerClosed) {
					t.Fatalf("behind the last message: got %v, %v, want %v", m, err, ErrPeerClosed)
				}
				if r.unfinished != 0 {
					t.Errorf("%d bytes are still counted as unfinished", r.unfinished)
				}
			})
		}
	}
}

func checkSame(t *testing.T, got, want Message) {
	t.Helper()
	if got.Type != want.Type || got.Timestamp != want.Timestamp || got.StreamID != want.StreamID {
		t.Errorf("got type %v, time %d, stream %d; want %v, %d, %d",
			got.Type, got.Timestamp, got.StreamID, want.Type, want.Timestamp, want.StreamID)
	}
	if !bytes.Equal(got.Payload, want.Payload) {
		t.Errorf("payload differs: got %d bytes, want %d", len(got.Payload), len(want.Payload))
	}
}

func TestReaderRefuses(t *testing.T) {
	partial := func(id uint32, length int) chunk {
		return chunk{id: id, length: length, typ: TypeVideo, stream: 1, data: payload(128, 0)}
	}
	limits := Limits{MediaBytes: 1 << 20, CommandBytes: 4096, UnfinishedBytes: 256 << 10, ChunkStreams: 16}
	var unfinished, ids []byte
	for id := range uint32(15) {
		unfinished = append(unfinished, partial(3+id, 1<<20).bytes()...)
	}
	for id := range uint32(20) {
		ids = append(ids, chunk{id: 3 + id, length: 1, typ: TypeAudio, data: []byte{0}}.bytes()...)
	}
	for name, tc := range map[string]struct {
		in   []byte
		want error
	}{
		"chunk size 0":                  {stream(chunk{id: 2, length: 4, typ: TypeSetChunkSize, data: make([]byte, 4)}), ErrProtocol},
		"chunk size with the top bit":   {stream(chunk{id: 2, length: 4, typ: TypeSetChunkSize, data: []byte{0x80, 0, 0, 1}}), ErrProtocol},
		"a short Set Chunk Size":        {stream(chunk{id: 2, length: 2, typ: TypeSetChunkSize, data: []byte{1, 0}}), ErrProtocol},
		"media over its limit":          {partial(4, 1<<20+1).bytes(), ErrTooBig},
		"a command over its limit":      {stream(chunk{id: 3, length: 4097, typ: TypeCommand, data: payload(128, 0)}), ErrTooBig},
		"too much that is unfinished":   {unfinished, ErrTooBig},
		"too many chunk streams":        {ids, ErrTooBig},
		"the end of input in a message": {partial(4, 1000).bytes(), ErrPeerClosed},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReader(bytes.NewReader(tc.in), limits)
			for {
				_, err := r.ReadMessage()
				if err == nil {
					continue
				}
				if !errors.Is(err, tc.want) {
					t.Errorf("got %v, want %v", err, tc.want)
				}
				return
			}
		})
	}
}

// A length that is only announced must not cost memory.
func TestReaderTakesMemoryOnlyForWhatArrives(t *testing.T) {
	r := NewReader(bytes.NewReader(chunk{id: 4, length: 1<<24 - 1, typ: TypeVideo, data: payload(128, 0)}.bytes()), Limits{})
	if _, err := r.ReadMessage(); !errors.Is(err, ErrPeerClosed) {
		t.Fatal(err)
	}
	if r.unfinished > firstBody {
		t.Errorf("%d bytes were allocated for 128 that arrived", r.unfinished)
	}
}

// What the Writer writes, the Reader reads, at any chunk size and over every
// border of time.
func TestWriterRoundTrip(t *testing.T) {
	times := []uint32{0, 1, 40, 0xFFFFFE, 0xFFFFFF, 0x1000000, 0x1000028, 5, 1<<31 - 1, 1 << 31, 1<<32 - 1, 3, 1 << 30}
	for _, size := range []int{1, 128, 4096, 65536} {
		t.Run(fmt.Sprintf("chunk size %d", size), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(size)))
			var wire bytes.Buffer
			w := NewWriter(&wire)
			w.SetChunkSize(size)
			var sent []Message
			for i := range 300 {
				m := Message{
					Type:      []Type{TypeAudio, TypeVideo, TypeData, TypeCommand}[rng.IntN(4)],
					Timestamp: times[rng.IntN(len(times))] + uint32(rng.IntN(3)),
					StreamID:  uint32(rng.IntN(2)),
					Payload:   payload(rng.IntN(3000), byte(i)),
				}
				sent = append(sent, m)
				w.Queue(m)
				if rng.IntN(4) == 0 {
					if err := w.Flush(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			if got := uint64(wire.Len()); got != w.Queued() {
				t.Errorf("%d bytes on the wire, Queued says %d", got, w.Queued())
			}
			r := NewReader(&wire, Limits{})
			for i, want := range sent {
				got, err := r.ReadMessage()
				if err != nil {
					t.Fatalf("message %d: %v", i, err)
				}
				checkSame(t, got, want)
			}
		})
	}
}

// The bytes of an extended timestamp, written out: fmt 0, and repeated in the
// fmt 3 behind it.
func TestWriterRepeatsExtendedTimestamps(t *testing.T) {
	var wire bytes.Buffer
	w := NewWriter(&wire)
	w.Queue(Message{Type: TypeVideo, Timestamp: 0x01020304, StreamID: 1, Payload: payload(200, 0)})
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	v := payload(200, 0)
	want := stream(
		chunk{id: chunkStreamVideo, time: 0x01020304, length: 200, typ: TypeVideo, stream: 1, data: v[:128]},
		chunk{format: 3, id: chunkStreamVideo, time: 0x01020304, data: v[128:]})
	if !bytes.Equal(wire.Bytes(), want) {
		t.Errorf("got  %x\nwant %x", wire.Bytes(), want)
	}
}

// A stream from 0 to past 2^32 ms keeps its time through writer and reader.
func TestTimeGoesOnForFiftyDays(t *testing.T) {
	var wire bytes.Buffer
	w := NewWriter(&wire)
	r := NewReader(&wire, Limits{})
	body := payload(200, 3)
	for ms := uint64(0); ms < 1<<32+1<<26; ms += 999_999 {
		w.Queue(Message{Type: TypeVideo, Timestamp: uint32(ms), StreamID: 1, Payload: body})
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		got, err := r.ReadMessage()
		if err != nil {
			t.Fatalf("at %d ms: %v", ms, err)
		}
		if got.Timestamp != uint32(ms) || !bytes.Equal(got.Payload, body) {
			t.Fatalf("at %d ms: got %d, %d bytes", ms, got.Timestamp, len(got.Payload))
		}
	}
}
