package rtmp

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"reflect"
	"testing"
	"testing/iotest"
	"time"

	"github.com/yutopp/go-amf0"
)

// script is a connection on which a peer says what was written down before and
// hears nothing.
type script struct {
	io.Reader
}

func (script) Write(p []byte) (int, error)      { return len(p), nil }
func (script) Close() error                     { return nil }
func (script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (script) SetDeadline(time.Time) error      { return nil }
func (script) SetReadDeadline(time.Time) error  { return nil }
func (script) SetWriteDeadline(time.Time) error { return nil }

// captures gives the first bytes of every capture, without its handshake, as
// seeds.
func captures(f *testing.F, most int) {
	f.Helper()
	files, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if file.IsDir() {
			continue
		}
		b, err := os.ReadFile("testdata/" + file.Name())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[handshakeBytes:min(len(b), handshakeBytes+most)])
	}
}

func FuzzHandshake(f *testing.F) {
	f.Add(append([]byte{3}, signedC1(8)...))
	f.Add(append([]byte{3}, signedC1(772)...))
	f.Add(append([]byte{3}, payload(2*packetBytes, 0)...))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(bytes.NewReader(in), Limits{})
		var out bytes.Buffer
		err := acceptHandshake(r, &out)
		if err == nil && out.Len() != 1+2*packetBytes {
			t.Errorf("%d bytes were answered", out.Len())
		}
		if err == nil && len(in) < handshakeBytes {
			t.Errorf("a handshake of %d bytes", len(in))
		}
		_ = dialHandshake(NewReader(bytes.NewReader(in), Limits{}), io.Discard)
	})
}

// However the bytes come in, the messages are the same, and the bounds hold.
func FuzzReader(f *testing.F) {
	captures(f, 8192)
	f.Add(stream(chunk{id: 400, time: 0x1000000, length: 300, typ: TypeVideo, data: payload(128, 0)},
		chunk{format: 3, id: 400, time: 0x1000000, data: payload(128, 1)}))
	limits := Limits{MediaBytes: 4096, CommandBytes: 1024, UnfinishedBytes: 8192, ChunkStreams: 8}
	read := func(t *testing.T, src io.Reader) (all []Message, err error) {
		r := NewReader(src, limits)
		for {
			m, err := r.ReadMessage()
			if r.unfinished < 0 || err == nil && r.unfinished > limits.UnfinishedBytes {
				t.Fatalf("%d bytes count as unfinished", r.unfinished)
			}
			if len(r.chunkStreams) > limits.ChunkStreams {
				t.Fatalf("%d chunk streams", len(r.chunkStreams))
			}
			if err != nil {
				return all, err
			}
			if len(m.Payload) > limits.message(m.Type) {
				t.Fatalf("a %v message of %d bytes", m.Type, len(m.Payload))
			}
			all = append(all, m)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, err1 := read(t, bytes.NewReader(in))
		drips, err2 := read(t, iotest.OneByteReader(bytes.NewReader(in)))
		if !reflect.DeepEqual(whole, drips) || err1.Error() != err2.Error() {
			t.Errorf("at once: %d messages, %v; byte by byte: %d, %v", len(whole), err1, len(drips), err2)
		}
	})
}

// Where go-amf0 can read what we do, both must read the same.
func FuzzAMF0(f *testing.F) {
	f.Add([]byte("\x02\x00\x07connect\x00\x3f\xf0\x00\x00\x00\x00\x00\x00\x03\x00\x03app\x02\x00\x04live\x00\x00\x09"))
	f.Add([]byte("\x0a\x00\x00\x00\x02\x05\x01\x01"))
	f.Add([]byte("\x08\x00\x00\x00\x01\x00\x01a\x02\x00\x01b\x00\x00\x09"))
	f.Add([]byte("\x03\x00\x01a\x03\x00\x01b\x0a\x00\x00\x00\x01\x05\x00\x00\x09\x00\x00\x09"))
	f.Fuzz(func(t *testing.T, in []byte) {
		values, err := decodeAMF0(in, Limits{}.withDefaults())
		if err != nil || len(values) == 0 || hasArray(in) {
			// go-amf0 has no bounds: it sees only what passed ours. Containers in
			// its arrays break it, and it reads a date in another unit.
			return
		}
		var theirs any
		if err := amf0.NewDecoder(bytes.NewReader(in)).Decode(&theirs); err != nil {
			return
		}
		if !sameAMF(values[0], theirs) {
			t.Errorf("%x: got %#v, go-amf0 says %#v", in, values[0], theirs)
		}
	})
}

func hasArray(in []byte) bool {
	return bytes.ContainsAny(in, "\x08\x0a\x0b")
}

func sameAMF(ours, theirs any) bool {
	o, ok := ours.(object)
	if !ok {
		n, isNumber := ours.(float64)
		return isNumber && math.IsNaN(n) || reflect.DeepEqual(ours, theirs)
	}
	table, ok := theirs.(map[string]any)
	if !ok || len(o) != len(table) {
		return false
	}
	for key, value := range o {
		if !sameAMF(value, table[key]) {
			return false
		}
	}
	return true
}

// A client that has shaken hands says anything at all.
func FuzzSession(f *testing.F) {
	captures(f, 4096)
	f.Add(stream(chunk{id: 3, length: 12, typ: TypeCommand, data: []byte("\x02\x00\x07publish\x05\x05")}))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := &Session{c: newConn(script{bytes.NewReader(in)}, Limits{CommandBytes: 64 << 10, MediaBytes: 64 << 10})}
		if s.negotiate(t.Context(), nil) != nil {
			return
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		for {
			m, err := s.Read()
			if err != nil {
				return
			}
			if !m.IsMedia() {
				t.Fatalf("Read returned a %v message", m.Type)
			}
			m.Inspect()
		}
	})
}

// A node that has shaken hands says anything at all.
func FuzzUpstream(f *testing.F) {
	var good bytes.Buffer
	w := NewWriter(&good)
	w.Queue(commandMessage(0, "_result", 1, nil, statusInfo{Level: "status", Code: "NetConnection.Connect.Success"}))
	w.Queue(commandMessage(0, "_result", transactionCreateStream, nil, 1))
	w.Queue(commandMessage(1, "onStatus", 0, nil, statusInfo{Level: "status", Code: CodePublishStart}))
	w.Queue(Message{Type: TypeAck, Payload: []byte{0, 0, 16, 0}})
	w.Queue(commandMessage(1, "onStatus", 0, nil, statusInfo{Level: "error", Code: CodePublishBadName}))
	if err := w.Flush(); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		u := &Upstream{c: newConn(script{bytes.NewReader(in)}, Limits{}), name: "cam1"}
		to := Target{TCURL: "rtmp://node/1", App: "1", Name: "cam1"}
		err := u.connect(to)
		if err == nil {
			err = u.publish()
		}
		if err == nil {
			if err = u.Serve(); err == nil {
				t.Error("a session ended without a reason")
			}
		}
		if status := (*StatusError)(nil); errors.As(err, &status) {
			_, _ = status.Elsewhere(to)
		}
		if got, sent := u.Progress().Delivered(), u.c.out.Queued(); got > sent {
			t.Errorf("delivered %d of %d bytes", got, sent)
		}
	})
}

func FuzzInspect(f *testing.F) {
	f.Add(byte(TypeVideo), []byte("\x97\x02\x01\x02\x03\x06\x20\x03hvc1"))
	f.Add(byte(TypeAudio), []byte("\x95\x04Opus\x01"))
	f.Add(byte(TypeData), []byte("\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData\x08"))
	f.Fuzz(func(t *testing.T, typ byte, in []byte) {
		m := Message{Type: Type(typ), Payload: in}
		info := m.Inspect()
		if info.Kind == Keyframe && m.Type != TypeVideo {
			t.Errorf("a keyframe of type %v", m.Type)
		}
		if (info.Kind == Frame || info.Kind == Keyframe || info.Kind == Metadata) && info.Slot != 0 {
			t.Errorf("kind %v has slot %d", info.Kind, info.Slot)
		}
		_ = m.Codec()
		_, _ = splitAggregate(m)
	})
}

// What is written is read again, whatever the messages and the chunk size.
func FuzzRoundTrip(f *testing.F) {
	f.Add(uint16(128), uint32(0), uint32(40), []byte("some bytes of a message"))
	f.Add(uint16(1), uint32(0xFFFFFF), uint32(0x1000000), bytes.Repeat([]byte("x"), 300))
	f.Fuzz(func(t *testing.T, size uint16, first, second uint32, body []byte) {
		var wire bytes.Buffer
		w := NewWriter(&wire)
		w.SetChunkSize(int(size) + 1)
		sent := []Message{
			{Type: TypeVideo, Timestamp: first, StreamID: 1, Payload: body},
			{Type: TypeAudio, Timestamp: second, StreamID: 1, Payload: body[:len(body)/2]},
			{Type: TypeVideo, Timestamp: second, StreamID: 1, Payload: body[len(body)/2:]},
			{Type: TypeVideo, Timestamp: first, StreamID: first, Payload: nil},
		}
		for _, m := range sent {
			w.Queue(m)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		r := NewReader(&wire, Limits{})
		for _, want := range sent {
			got, err := r.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			checkSame(t, got, want)
		}
	})
}
