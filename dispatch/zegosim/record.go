package zegosim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"zegorelay/relay/rtmp"
)

// recording is the FLV file of one session. A nil recording is one of nothing.
type recording struct {
	file *os.File
	flv  *rtmp.FLVWriter
}

// record opens the file of a session, nil if nothing is recorded. A StreamId
// that was dispatched is safe as part of a file name.
func (s *Sim) record(of Session) (*recording, error) {
	if s.o.RecordDir == "" {
		return nil, nil //nolint:nilnil // a nil recording records nothing
	}
	file, err := os.Create(filepath.Join(s.o.RecordDir, fmt.Sprintf("%s-%d.flv", of.StreamID, of.Nth)))
	if err != nil {
		return nil, err
	}
	flv, err := rtmp.NewFLVWriter(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &recording{file: file, flv: flv}, nil
}

func (r *recording) write(m rtmp.Message) error {
	if r == nil {
		return nil
	}
	return r.flv.Write(m)
}

func (r *recording) close() error {
	if r == nil {
		return nil
	}
	return r.file.Close()
}
