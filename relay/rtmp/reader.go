package rtmp

import (
	"encoding/binary"
	"io"
)

const (
	// readSize is what one read asks of a connection on which data flows. It
	// begins with firstRead: most connections that anybody can open stay idle.
	readSize  = 64 << 10
	firstRead = 2 << 10

	// firstBody is the most that is allocated for a message before any of it
	// has arrived; from there the body doubles as data comes in.
	firstBody = 64 << 10

	defaultChunkSize = 128 // §5.4.1
	maxChunkSize     = 1<<31 - 1
	extendedMark     = 0xFFFFFF // a 24-bit time that says "see the extended timestamp"
)

// Reader assembles chunks into messages (§5.3). Set Chunk Size and Abort are
// obeyed on the way and not returned. A Reader is for one goroutine.
type Reader struct {
	src    io.Reader
	lazy   lazyReader // src, if it can be that
	limits Limits

	buf        []byte // buf[start:end] has arrived and is not parsed yet
	start, end int

	// beforeRead, if not nil, is called before every read from src, which may block,
	// and may do without it by an error.
	beforeRead func() error
	// onRead, if not nil, is called after every read from src, so that long
	// messages are acknowledged while they arrive.
	onRead func() error
	// pool, if not nil, is where the memory of payloads comes from.
	pool *Pool
	// received counts the bytes taken from src.
	received uint64

	chunkSize    int
	chunkStreams map[uint32]*chunkStream
	last         *chunkStream // of them
	unfinished   int          // room of all bodies that have begun
	unrepeated   bool         // this peer leaves the extended timestamp out of fmt 3

	// The chunk under way: a read that fails, and is tried again, goes on in it.
	inHeader bool         // its header is being read, which begins …
	mark     int          // … here in buf
	under    *chunkStream // else: the chunk stream that it is of, …
	left     int          // … and what of its body hasn't arrived

	takeBuffer func() []byte // newBuffer, made once
	giveBuffer func()        // dropBuffer, likewise
}

// lazyReader is a source that asks for the room to read into only when there is
// something to be read. What it was given and has read nothing into it gives back.
type lazyReader interface {
	readInto(take func() []byte, giveBack func()) (n int, err error)
}

// chunkStream is what a chunk stream remembers from chunk to chunk.
type chunkStream struct {
	id        uint32
	timestamp uint32 // absolute time of the current message
	delta     uint32 // what a fmt 3 that begins a message adds
	extended  bool   // the last header had an extended timestamp …
	extension uint32 // … of this value
	length    int
	typ       Type
	streamID  uint32

	begun bool   // a message is under way
	body  []byte // what has arrived of it
	room  int    // bytes that body has room for
}

// NewReader returns a Reader of src with a chunk size of 128.
func NewReader(src io.Reader, limits Limits) *Reader {
	r := &Reader{
		src:          src,
		limits:       limits.withDefaults(),
		buf:          make([]byte, firstRead),
		chunkSize:    defaultChunkSize,
		chunkStreams: make(map[uint32]*chunkStream),
	}
	r.lazy, _ = src.(lazyReader)
	r.takeBuffer, r.giveBuffer = r.newBuffer, r.dropBuffer
	return r
}

// UsePool has the payloads of messages to come be from a pool.
func (r *Reader) UsePool(p *Pool) { r.pool = p }

// ReadMessage returns the next message that is complete. The payload is the
// caller's to keep. Its errors match ErrProtocol, ErrTooBig, ErrPeerClosed, or
// what the connection gave. After an error of the connection that passes, such as
// a deadline, the next call goes on where this one stopped.
func (r *Reader) ReadMessage() (Message, error) {
	for {
		m, done, err := r.readChunk()
		if err != nil {
			return Message{}, peerError(err)
		}
		if !done {
			continue
		}
		switch m.Type {
		case TypeSetChunkSize:
			err = r.setChunkSize(m)
		case TypeAbort:
			err = r.abort(m)
		default:
			return m, nil
		}
		if err != nil {
			return Message{}, err
		}
	}
}

// readChunk reads one chunk, or the rest of one; done says that it completed a
// message.
func (r *Reader) readChunk() (m Message, done bool, err error) {
	if r.left == 0 {
		if err := r.readHeader(); err != nil {
			return Message{}, false, err
		}
	}
	cs := r.under
	if err := r.readBody(cs); err != nil {
		return Message{}, false, err
	}
	if len(cs.body) < cs.length {
		return Message{}, false, nil
	}
	m = Message{Type: cs.typ, Timestamp: cs.timestamp, StreamID: cs.streamID, Payload: cs.body, home: r.pool}
	r.forget(cs)
	return m, true, nil
}

// readHeader reads what a chunk begins with. Where it fails it has taken nothing:
// no chunk stream is changed before all of the header is there.
func (r *Reader) readHeader() error {
	r.inHeader, r.mark = true, r.start
	format, cs, err := r.readBasicHeader()
	if err == nil {
		err = r.readMessageHeader(format, cs)
	}
	r.inHeader = false
	if err != nil {
		r.start = r.mark
		return err
	}
	r.under, r.left = cs, min(cs.length-len(cs.body), r.chunkSize)
	return nil
}

// isBetween reports whether nothing of another message has arrived.
func (r *Reader) isBetween() bool {
	begins := r.start
	if r.inHeader {
		begins = r.mark
	}
	return r.unfinished == 0 && begins == r.end
}

// readBasicHeader reads 1 to 3 bytes (§5.3.1.1).
func (r *Reader) readBasicHeader() (format byte, cs *chunkStream, err error) {
	b, err := r.next(1)
	if err != nil {
		return 0, nil, err
	}
	format, id := b[0]>>6, uint32(b[0]&0x3F)
	switch id {
	case 0:
		if b, err = r.next(1); err != nil {
			return 0, nil, err
		}
		id = 64 + uint32(b[0])
	case 1:
		if b, err = r.next(2); err != nil {
			return 0, nil, err
		}
		id = 64 + uint32(b[0]) + uint32(b[1])<<8
	}
	if last := r.last; last != nil && last.id == id {
		return format, last, nil // nearly always
	}
	cs, known := r.chunkStreams[id]
	if !known {
		if len(r.chunkStreams) == r.limits.ChunkStreams {
			return 0, nil, limitErrorf("more than %d chunk streams", r.limits.ChunkStreams)
		}
		cs = &chunkStream{id: id}
		r.chunkStreams[id] = cs
	}
	r.last = cs
	return format, cs, nil
}

// readMessageHeader brings cs up to the header that format announces
// (§5.3.1.2) and begins a message if this chunk does.
func (r *Reader) readMessageHeader(format byte, cs *chunkStream) error {
	if format == 3 {
		if err := r.skipRepeatedExtension(cs); err != nil {
			return err
		}
		if !cs.begun {
			cs.timestamp += cs.delta
			return r.begin(cs)
		}
		return nil
	}
	size := [...]int{11, 7, 3}[format]
	h, err := r.peek(size)
	if err != nil {
		return err
	}
	time := uint24(h)
	extended := time == extendedMark
	if extended {
		if h, err = r.peek(size + 4); err != nil {
			return err
		}
		size += 4
		time = binary.BigEndian.Uint32(h[size-4:])
		cs.extension = time
	}
	r.start += size
	cs.extended = extended
	if format <= 1 {
		cs.length, cs.typ = int(uint24(h[3:])), Type(h[6])
	}
	if format == 0 {
		cs.streamID = binary.LittleEndian.Uint32(h[7:])
	}
	// A fmt 3 that begins a message repeats this value, also after a fmt 0
	// (§5.3.1.2.4).
	cs.delta = time
	if format == 0 {
		cs.timestamp = time
	} else {
		cs.timestamp += time
	}
	r.forget(cs) // a new header in the middle of a message: the old one is void
	return r.begin(cs)
}

// skipRepeatedExtension skips the extended timestamp of a fmt 3 chunk. The
// specification repeats it (§5.3.1.3), older librtmp and others don't, so only
// the same four bytes are taken for a repetition.
func (r *Reader) skipRepeatedExtension(cs *chunkStream) error {
	if !cs.extended {
		return nil
	}
	// A peer that doesn't repeat may owe us less than the four bytes to peek
	// at; then waiting for them would hold the message back.
	if left := cs.length - len(cs.body); r.unrepeated && cs.begun && left < 4 {
		return nil
	}
	b, err := r.peek(4)
	if err != nil {
		return err
	}
	if binary.BigEndian.Uint32(b) == cs.extension {
		r.start += 4
	} else {
		r.unrepeated = true
	}
	return nil
}

// begin starts a message with the length and type that cs holds.
func (r *Reader) begin(cs *chunkStream) error {
	if most := r.limits.message(cs.typ); cs.length > most {
		return limitErrorf("a %s message of %d bytes, at most %d are taken", cs.typ, cs.length, most)
	}
	cs.begun = true
	// A length is a claim. Who has sent as much before is believed: then the
	// message has its place at once, and isn't moved while it grows.
	if uint64(r.unfinished+cs.length) <= r.received {
		return r.grow(cs, cs.length)
	}
	return r.grow(cs, min(cs.length, firstBody))
}

// grow gives cs room for capacity bytes in all.
func (r *Reader) grow(cs *chunkStream, capacity int) error {
	r.unfinished += capacity - cs.room
	if r.unfinished > r.limits.UnfinishedBytes {
		return limitErrorf("more than %d bytes of unfinished messages", r.limits.UnfinishedBytes)
	}
	cs.room = capacity
	body := r.pool.get(capacity)
	body = body[:copy(body, cs.body)]
	if cap(cs.body) > 0 {
		r.pool.put(cs.body)
	}
	cs.body = body
	return nil
}

// forget lets go of the message under way, which was handed out or is void.
func (r *Reader) forget(cs *chunkStream) {
	r.unfinished -= cs.room
	cs.begun, cs.body, cs.room = false, nil, 0
}

// readBody appends to the body of cs what is left of the chunk.
func (r *Reader) readBody(cs *chunkStream) error {
	for r.left > 0 {
		if len(cs.body) == cs.room {
			if err := r.grow(cs, min(cs.length, 2*cs.room)); err != nil {
				return err
			}
		}
		have := len(cs.body)
		n, err := r.readFull(cs.body[have:min(cs.room, have+r.left)])
		cs.body = cs.body[:have+n]
		r.left -= n
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Reader) setChunkSize(m Message) error {
	if len(m.Payload) < 4 {
		return protocolErrorf("Set Chunk Size of %d bytes", len(m.Payload))
	}
	size := binary.BigEndian.Uint32(m.Payload)
	if size == 0 || size > maxChunkSize {
		return protocolErrorf("chunk size %d", size)
	}
	r.chunkSize = int(min(size, 1<<24)) // no message is longer than 2^24−1
	return nil
}

// abort drops the unfinished message of one chunk stream (§5.4.2).
func (r *Reader) abort(m Message) error {
	if len(m.Payload) < 4 {
		return protocolErrorf("Abort of %d bytes", len(m.Payload))
	}
	if cs, ok := r.chunkStreams[binary.BigEndian.Uint32(m.Payload)]; ok {
		r.forget(cs)
	}
	return nil
}

func uint24(b []byte) uint32 {
	return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
}
