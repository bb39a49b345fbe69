package rtmp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// FLV is what RTMP messages look like in a file: the same payloads behind
// 11-byte tag headers (FLV 10.1, annex E).

// FLVWriter writes media messages as an FLV file.
type FLVWriter struct {
	dst    io.Writer
	header [15]byte
}

// NewFLVWriter writes the file header, which announces audio and video.
func NewFLVWriter(dst io.Writer) (*FLVWriter, error) {
	_, err := io.WriteString(dst, "FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00")
	return &FLVWriter{dst: dst}, err
}

// Write appends m. The prefix "@setDataFrame", which belongs to the wire, is
// left out. Messages that a file has no tag for are passed over.
func (w *FLVWriter) Write(m Message) error {
	if !m.IsMedia() || m.Type == TypeDataAMF3 {
		return nil
	}
	payload := m.Payload
	if m.Type == TypeData {
		payload = withoutSetDataFrame(payload)
	}
	h := w.header[:0]
	h = append(h, byte(m.Type))
	h = appendUint24(h, uint32(len(payload)))
	h = appendUint24(h, m.Timestamp&0xFFFFFF)
	h = append(h, byte(m.Timestamp>>24), 0, 0, 0)
	if _, err := w.dst.Write(h); err != nil {
		return err
	}
	if _, err := w.dst.Write(payload); err != nil {
		return err
	}
	h = binary.BigEndian.AppendUint32(h[:0], uint32(11+len(payload)))
	_, err := w.dst.Write(h)
	return err
}

// FLVReader reads the tags of an FLV file as messages.
type FLVReader struct {
	src io.Reader
}

// NewFLVReader reads the file header.
func NewFLVReader(src io.Reader) (*FLVReader, error) {
	var h [13]byte
	if _, err := io.ReadFull(src, h[:]); err != nil {
		return nil, fmt.Errorf("FLV header: %w", err)
	}
	if string(h[:3]) != "FLV" {
		return nil, errors.New("FLV header: not an FLV file")
	}
	return &FLVReader{src: src}, nil
}

// Next returns the next tag. At the end of the file its error is io.EOF.
func (r *FLVReader) Next() (Message, error) {
	var h [11]byte
	if _, err := io.ReadFull(r.src, h[:]); err != nil {
		return Message{}, err
	}
	m := Message{
		Type:      Type(h[0]),
		Timestamp: uint24(h[4:]) | uint32(h[7])<<24,
		Payload:   make([]byte, uint24(h[1:])),
	}
	var size [4]byte
	if _, err := io.ReadFull(r.src, m.Payload); err != nil {
		return Message{}, fmt.Errorf("FLV tag: %w", err)
	}
	if _, err := io.ReadFull(r.src, size[:]); err != nil {
		return Message{}, fmt.Errorf("FLV tag: %w", err)
	}
	return m, nil
}
