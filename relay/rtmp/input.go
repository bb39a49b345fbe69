package rtmp

import "io"

// This file is the Reader's lower half: a buffer that is filled by large reads
// and asked for small pieces. It is not bufio because the Reader has to count,
// to acknowledge in the middle of a message, and to read long bodies straight
// into the message.

// Read makes the Reader an io.Reader for the handshake, which comes before the
// first chunk.
func (r *Reader) Read(p []byte) (int, error) {
	if r.start == r.end {
		if err := r.fill(1); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.buf[r.start:r.end])
	r.start += n
	return n, nil
}

// next takes n bytes, n at most the size of a header. The slice is good until
// the next call.
func (r *Reader) next(n int) ([]byte, error) {
	b, err := r.peek(n)
	if err == nil {
		r.start += n
	}
	return b, err
}

// peek is next without taking.
func (r *Reader) peek(n int) ([]byte, error) {
	if r.end-r.start < n {
		if err := r.fill(n); err != nil {
			return nil, err
		}
	}
	return r.buf[r.start : r.start+n], nil
}

// fill reads until n bytes are buffered. What has been taken of a header stays: it
// may be put back.
func (r *Reader) fill(n int) error {
	keep := r.start
	if r.inHeader {
		keep, r.mark = r.mark, 0
	}
	r.end = copy(r.buf, r.buf[keep:r.end])
	r.start -= keep
	for r.end-r.start < n {
		got, err := r.readMore()
		r.end += got
		if r.end == len(r.buf) && len(r.buf) > 0 && len(r.buf) < readSize {
			r.buf = append(r.buf, make([]byte, 3*len(r.buf))...) // there is more: ask for more
		}
		if err != nil && r.end-r.start < n {
			return err
		}
	}
	return nil
}

// readFull fills p, up to an error. What the buffer can't give and is longer than
// the buffer goes past it.
func (r *Reader) readFull(p []byte) (n int, err error) {
	n = copy(p, r.buf[r.start:r.end])
	r.start += n
	for len(p)-n >= readSize {
		got, err := r.readSome(p[n:])
		if n += got; err != nil && n < len(p) {
			return n, err
		}
	}
	for n < len(p) {
		if err := r.fill(1); err != nil {
			return n, err
		}
		got := copy(p[n:], r.buf[r.start:r.end])
		r.start += got
		n += got
	}
	return n, nil
}

// readMore is one read from the source into the buffer. A Reader that has a pool, and
// nothing buffered, has no buffer while it waits: one that somebody has just used is
// in the processor's cache, and a thousand that wait would take 64 MB.
func (r *Reader) readMore() (int, error) {
	if r.lazy == nil || r.pool == nil || r.end > 0 {
		return r.readSome(r.buf[r.end:])
	}
	r.dropBuffer()
	if err := r.wait(); err != nil {
		return 0, err
	}
	n, err := r.lazy.readInto(r.takeBuffer, r.giveBuffer)
	return r.took(n, err)
}

func (r *Reader) newBuffer() []byte {
	r.buf = r.pool.get(readSize)
	return r.buf
}

// dropBuffer gives an empty buffer back. A small one, from before there was a pool,
// is nobody else's.
func (r *Reader) dropBuffer() {
	if len(r.buf) == readSize {
		r.pool.put(r.buf)
	}
	r.buf = nil
}

// readSome is one read from the source, counted and reported.
func (r *Reader) readSome(p []byte) (int, error) {
	if err := r.wait(); err != nil {
		return 0, err
	}
	return r.took(r.src.Read(p))
}

// wait is called before every read.
func (r *Reader) wait() error {
	if r.beforeRead == nil {
		return nil
	}
	return r.beforeRead()
}

// took is called after every read.
func (r *Reader) took(n int, err error) (int, error) {
	r.received += uint64(n)
	if n == 0 && err == nil {
		err = io.ErrNoProgress
	}
	if n > 0 && r.onRead != nil {
		if ackErr := r.onRead(); ackErr != nil && err == nil {
			err = ackErr
		}
	}
	return n, err
}
