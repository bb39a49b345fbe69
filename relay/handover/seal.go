package handover

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"github.com/fxamacker/cbor/v2"
)

// Seal writes s into a file in memory that nobody can change any more, and returns it:
// the caller's to close. s has to keep still meanwhile. Beside the file, it takes memory
// for the largest stream. It fails where the system has no such files
// (errors.ErrUnsupported), or no memory for them.
func (s *State) Seal() (*os.File, error) {
	f, err := newMemory()
	if err != nil {
		return nil, fmt.Errorf("seal the state: %w", err)
	}
	if err = s.write(f); err == nil {
		err = sealMemory(f)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("seal the state: %w", err)
	}
	return f, nil
}

// write writes the records of s.
func (s *State) write(to io.Writer) error {
	if _, err := to.Write(binary.BigEndian.AppendUint16([]byte(magic), version)); err != nil {
		return err
	}
	w := recordWriter{to: to}
	if err := w.write(kindHead, head{s.At, s.Process, s.Listeners, s.Clients, len(s.Streams)}); err != nil {
		return err
	}
	for i := range s.Streams {
		w.buf.Grow(s.Streams[i].size())
		if err := w.write(kindStream, &s.Streams[i]); err != nil {
			return fmt.Errorf("stream %q: %w", s.Streams[i].ID, err)
		}
	}
	return w.write(kindEnd, nil)
}

// Size is about how many bytes Seal writes.
func (s *State) Size() int {
	n := 0
	for i := range s.Streams {
		n += s.Streams[i].size()
	}
	return n
}

// size is about what the record of a stream takes: a buffer that has to grow by
// doubling would be twice as large, and copied each time.
func (s *Stream) size() int {
	const stream, entry = 16 << 10, 128
	n := stream
	for i := range s.Backlog.Entries {
		n += entry + len(s.Backlog.Entries[i].Payload)
	}
	return n
}

// recordWriter writes records, each at once.
type recordWriter struct {
	to  io.Writer
	buf bytes.Buffer
}

func (w *recordWriter) write(kind byte, body any) error {
	w.buf.Reset()
	w.buf.Write(make([]byte, recordHeader))
	if body != nil {
		mode, err := cbor.EncOptions{}.UserBufferEncMode()
		if err != nil {
			return err
		}
		if err := mode.MarshalToBuffer(body, &w.buf); err != nil {
			return err
		}
	}
	record := w.buf.Bytes()
	if err := putHeader(record, kind); err != nil {
		return err
	}
	_, err := w.to.Write(record)
	return err
}
