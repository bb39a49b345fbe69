package rtmp

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
)

const (
	// outChunkSize is what we announce and send with. It holds nearly every
	// message in one chunk, and no peer that we know of refuses it (§5.4.1).
	outChunkSize = 64 << 10

	// copyBelow is the payload length up to which copying beside the header is
	// cheaper than one more element in the vector of a write.
	copyBelow = 1 << 10

	// A buffer that is longer than this, and used for less than one part in so many,
	// is not kept.
	keptBuffer = 2 << 10
	keptBy     = 4
)

// Chunk stream ids that we send on. One per kind of message keeps the deltas
// small and the headers short.
const (
	chunkStreamControl = 2 // required for types 1 to 6 (§5.4)
	chunkStreamCommand = 3
	chunkStreamAudio   = 4
	chunkStreamData    = 5
	chunkStreamVideo   = 6
	chunkStreamCount   = 7
)

// Writer cuts messages into chunks (§5.3). Queue collects, Flush sends all of
// it in one write. A Writer is for one goroutine at a time.
type Writer struct {
	dst       io.Writer
	writev    func(net.Buffers) (rest net.Buffers, err error) // if dst takes many slices in one system call
	tryWritev func(net.Buffers) (rest net.Buffers, err error) // … and can do so without waiting
	chunkSize int
	sent      [chunkStreamCount]sentHeader

	// What is queued: headers and short payloads lie in scratch, long payloads
	// stay where they are. pieces holds both in the order of the wire; what of
	// scratch is not yet in pieces begins at loose.
	scratch []byte
	loose   int
	pieces  net.Buffers
	eaten   net.Buffers // a copy of pieces for WriteTo, which eats its receiver
	joined  []byte      // pieces for a dst that takes one at a time

	// onFailure, if not nil, is told what a write has failed with, and says what is
	// to be made of it.
	onFailure func(error) error

	failed error  // what a write has failed with
	queued uint64 // bytes queued since the Writer was made
}

// sentHeader is what the far side remembers of a chunk stream.
type sentHeader struct {
	used      bool
	timestamp uint32
	streamID  uint32
}

// NewWriter returns a Writer to dst with a chunk size of 128. Long messages
// reach dst without being copied; if dst is a *net.TCPConn, by one writev.
func NewWriter(dst io.Writer) *Writer {
	w := &Writer{dst: dst, chunkSize: defaultChunkSize}
	switch dst := dst.(type) {
	case interface {
		writev(pieces net.Buffers) (rest net.Buffers, err error)
		tryWritev(pieces net.Buffers) (rest net.Buffers, err error)
	}:
		w.writev, w.tryWritev = dst.writev, dst.tryWritev
	case *net.TCPConn:
		w.writev = func(pieces net.Buffers) (net.Buffers, error) {
			w.eaten = pieces
			_, err := w.eaten.WriteTo(dst)
			return nil, err
		}
	}
	return w
}

// Queue appends m to what the next Flush sends. It keeps m.Payload until then
// and does no I/O.
func (w *Writer) Queue(m Message) {
	id := chunkStreamOf(m.Type)
	extended := w.queueHeader(id, m)
	body := m.Payload
	for {
		piece := body[:min(len(body), w.chunkSize)]
		w.queueBytes(piece)
		if body = body[len(piece):]; len(body) == 0 {
			return
		}
		w.queueContinuation(id, m.Timestamp, extended)
	}
}

// SetChunkSize queues the announcement; what is queued after it uses the size.
func (w *Writer) SetChunkSize(size int) {
	w.Queue(Message{
		Type:    TypeSetChunkSize,
		Payload: binary.BigEndian.AppendUint32(nil, uint32(size)),
	})
	w.chunkSize = size
}

// Queued is the number of bytes queued since the Writer was made: the position
// in the byte stream at which the last queued message ends.
func (w *Writer) Queued() uint64 { return w.queued }

// Flush writes what is queued and blocks until it is written or the
// connection's write deadline passes. After an error it writes no more, and has
// that error for ever; but an error that matches ErrPaused leaves what was not
// written to the next Flush.
func (w *Writer) Flush() error {
	w.collect()
	if w.failed == nil && len(w.pieces) > 0 {
		rest, err := w.write()
		if err = w.judge(err); errors.Is(err, ErrPaused) {
			w.keep(rest)
			return err
		}
		w.failed = err
	}
	w.reset()
	return w.failed
}

// keep leaves the rest of pieces to be written.
func (w *Writer) keep(rest net.Buffers) {
	left := copy(w.pieces, rest)
	clear(w.pieces[left:])
	w.pieces = w.pieces[:left]
}

// reset forgets what was queued, also after an error: what was not written may be
// somebody else's by the next time.
func (w *Writer) reset() {
	clear(w.pieces)
	w.pieces = w.pieces[:0]
	w.scratch, w.loose = emptied(w.scratch), 0
}

// emptied is b to be filled anew, or nothing if it was of a size that is hardly used:
// a burst is over, and there are thousands of connections.
func emptied(b []byte) []byte {
	if cap(b) > keptBuffer && len(b) < cap(b)/keptBy {
		return nil
	}
	return b[:0]
}

// TryFlush writes what dst takes without waiting and reports whether that was all.
// The rest, and any error, are for the next Flush. Where dst can't do that, it does
// nothing.
func (w *Writer) TryFlush() (done bool) {
	if w.tryWritev == nil || w.failed != nil {
		return false
	}
	w.collect()
	if len(w.pieces) == 0 {
		return true
	}
	rest, err := w.tryWritev(w.pieces)
	if err = w.judge(err); !errors.Is(err, ErrPaused) {
		w.failed = err
	}
	if err != nil || len(rest) > 0 {
		w.keep(rest)
		return false
	}
	w.reset()
	return true
}

// judge has the last word on what a write has failed with.
func (w *Writer) judge(err error) error {
	if err == nil || w.onFailure == nil {
		return err
	}
	return w.onFailure(err)
}

// write sends pieces. What can't take many at once, such as TLS, gets one.
func (w *Writer) write() (rest net.Buffers, err error) {
	switch {
	case w.writev != nil:
		return w.writev(w.pieces)
	case len(w.pieces) == 1:
		_, err = w.dst.Write(w.pieces[0])
		return nil, err
	}
	w.joined = emptied(w.joined)
	for _, piece := range w.pieces {
		w.joined = append(w.joined, piece...)
	}
	_, err = w.dst.Write(w.joined)
	return nil, err
}

// queueHeader writes the header of the first chunk: fmt 1 where the far side
// can take the message stream from before, else fmt 0. It reports whether the
// message has an extended timestamp.
func (w *Writer) queueHeader(id byte, m Message) (extended bool) {
	last := &w.sent[id]
	delta := m.Timestamp - last.timestamp
	// A long delta is sent as an absolute time: then the extended timestamp
	// that continuations repeat is the time itself, on which all readings of
	// the specification agree.
	short := last.used && last.streamID == m.StreamID && delta < extendedMark
	*last = sentHeader{used: true, timestamp: m.Timestamp, streamID: m.StreamID}

	before := len(w.scratch)
	if short {
		w.scratch = append(w.scratch, 1<<6|id)
		w.scratch = appendUint24(w.scratch, delta)
	} else {
		extended = m.Timestamp >= extendedMark
		w.scratch = append(w.scratch, id)
		w.scratch = appendUint24(w.scratch, min(m.Timestamp, extendedMark))
	}
	w.scratch = appendUint24(w.scratch, uint32(len(m.Payload)))
	w.scratch = append(w.scratch, byte(m.Type))
	if !short {
		w.scratch = binary.LittleEndian.AppendUint32(w.scratch, m.StreamID)
	}
	if extended {
		w.scratch = binary.BigEndian.AppendUint32(w.scratch, m.Timestamp)
	}
	w.queued += uint64(len(w.scratch) - before)
	return extended
}

// queueContinuation writes the header of a further chunk: fmt 3, with the
// extended timestamp repeated (§5.3.1.3).
func (w *Writer) queueContinuation(id byte, timestamp uint32, extended bool) {
	before := len(w.scratch)
	w.scratch = append(w.scratch, 3<<6|id)
	if extended {
		w.scratch = binary.BigEndian.AppendUint32(w.scratch, timestamp)
	}
	w.queued += uint64(len(w.scratch) - before)
}

func (w *Writer) queueBytes(p []byte) {
	w.queued += uint64(len(p))
	if len(p) <= copyBelow {
		w.scratch = append(w.scratch, p...)
		return
	}
	w.collect()
	w.pieces = append(w.pieces, p)
}

// collect moves the loose end of scratch into pieces. Should scratch grow and
// move later, the old pieces keep the old array: what was queued never changes.
func (w *Writer) collect() {
	if w.loose < len(w.scratch) {
		w.pieces = append(w.pieces, w.scratch[w.loose:])
		w.loose = len(w.scratch)
	}
}

func chunkStreamOf(t Type) byte {
	switch t {
	case TypeAudio:
		return chunkStreamAudio
	case TypeVideo:
		return chunkStreamVideo
	case TypeData, TypeDataAMF3:
		return chunkStreamData
	case TypeCommand, TypeCommandAMF3:
		return chunkStreamCommand
	default:
		return chunkStreamControl
	}
}

func appendUint24(b []byte, v uint32) []byte {
	return append(b, byte(v>>16), byte(v>>8), byte(v))
}
