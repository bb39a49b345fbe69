package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"time"

	"zegorelay/relay/rtmp"
)

// A payload is the bytes that a codec's header takes, a label, and filling that
// the label determines: altered, lost, repeated and retimed messages all show.
//
//	0   FLV tag header, 5 bytes for pictures, 2 for sound
//	+0  stream, 4 bytes
//	+4  number of the message in its stream, 8 bytes
//	+12 when it was sent, in ns of the source's clock, 8 bytes
//	+20 its timestamp, 4 bytes
//	+24 filling
const labelSize = 24

const (
	pictureHead = 5
	soundHead   = 2
	fillSize    = 1 << 20
)

// label is what a payload says of itself.
type label struct {
	stream uint32
	number uint64
	sent   time.Duration // since the epoch of the bench
	time   uint32
}

// filler makes payloads and knows them again. It is read only once made.
type filler struct{ bytes []byte }

func newFiller() *filler {
	f := &filler{bytes: make([]byte, 2*fillSize)}
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(f.bytes)
	return f
}

// filling is that of a message: a window that wanders with its number.
func (f *filler) filling(l label, size int) []byte {
	at := (l.number*7919 + uint64(l.stream)*104_729) % fillSize
	return f.bytes[at : int(at)+size]
}

func headOf(t rtmp.Type) int {
	if t == rtmp.TypeVideo {
		return pictureHead
	}
	return soundHead
}

// write makes the payload of size bytes in dst, which has the room.
func (f *filler) write(dst []byte, head string, l label, size int) []byte {
	dst = append(dst[:0], head...)
	dst = binary.BigEndian.AppendUint32(dst, l.stream)
	dst = binary.BigEndian.AppendUint64(dst, l.number)
	dst = binary.BigEndian.AppendUint64(dst, uint64(l.sent))
	dst = binary.BigEndian.AppendUint32(dst, l.time)
	return append(dst, f.filling(l, max(size-len(dst), 0))...)
}

var errAltered = errors.New("altered")

// read takes a payload apart and checks that it is as it was written.
func (f *filler) read(m rtmp.Message) (label, error) {
	head := headOf(m.Type)
	if len(m.Payload) < head+labelSize {
		return label{}, errAltered
	}
	p := m.Payload[head:]
	l := label{
		stream: binary.BigEndian.Uint32(p),
		number: binary.BigEndian.Uint64(p[4:]),
		sent:   time.Duration(binary.BigEndian.Uint64(p[12:])),
		time:   binary.BigEndian.Uint32(p[20:]),
	}
	if rest := p[labelSize:]; len(rest) > fillSize || !bytes.Equal(rest, f.filling(l, len(rest))) {
		return l, errAltered
	}
	return l, nil
}
