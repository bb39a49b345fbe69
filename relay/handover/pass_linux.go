package handover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// On the wire: a magic string, the number of descriptors in all (uint32), then bytes
// that each say how many descriptors come with them, 1 to 250. The kernel takes up to
// 253 at once (SCM_MAX_FD).
const (
	passMagic  = "zgfd"
	passHeader = len(passMagic) + 4
	passBatch  = 250
	passRoom   = 2 << 10 // for them, and for what the kernel may say beside them
)

func send(conn *net.UnixConn, files []*os.File) error {
	fds := make([]int, 0, len(files))
	for _, f := range files {
		err := control(f, func(fd int) error { fds = append(fds, fd); return nil })
		if err != nil {
			return fmt.Errorf("send a descriptor: %w", err)
		}
	}
	defer runtime.KeepAlive(files)
	if _, err := conn.Write(binary.BigEndian.AppendUint32([]byte(passMagic), uint32(len(fds)))); err != nil {
		return fmt.Errorf("send descriptors: %w", err)
	}
	for left := fds; len(left) > 0; {
		batch := left[:min(len(left), passBatch)]
		if _, _, err := conn.WriteMsgUnix([]byte{byte(len(batch))}, unix.UnixRights(batch...), nil); err != nil {
			return fmt.Errorf("send descriptors, %d of %d: %w", len(fds)-len(left), len(fds), err)
		}
		left = left[len(batch):]
	}
	return nil
}

func receive(conn *net.UnixConn, most int) (files []*os.File, err error) {
	defer func() {
		if err == nil {
			return
		}
		for _, f := range files {
			_ = f.Close()
		}
		files, err = nil, fmt.Errorf("receive descriptors: %w", err)
	}()
	header := make([]byte, passHeader)
	if _, err := io.ReadFull(conn, header); err != nil {
		return nil, ended(err)
	}
	total := binary.BigEndian.Uint32(header[len(passMagic):])
	switch {
	case string(header[:len(passMagic)]) != passMagic:
		return nil, errors.New("the other end says something else")
	case uint64(total) > uint64(max(most, 0)):
		return nil, fmt.Errorf("%d are coming, at most %d are taken", total, most)
	}
	oob := make([]byte, passRoom)
	for len(files) < int(total) {
		batch, err := receiveBatch(conn, oob)
		files = append(files, batch...)
		switch {
		case err != nil:
			return files, err
		case len(files) > int(total):
			return files, fmt.Errorf("more came than the %d that were announced", total)
		}
	}
	return files, nil
}

// receiveBatch takes one byte and what comes with it. With an error, there may be files
// all the same.
func receiveBatch(conn *net.UnixConn, oob []byte) (files []*os.File, err error) {
	count := make([]byte, 1) // never two batches at once
	n, oobn, flags, _, err := conn.ReadMsgUnix(count, oob)
	if oobn > 0 {
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return nil, err
		}
		for i := range messages {
			fds, err := unix.ParseUnixRights(&messages[i])
			if err != nil {
				continue // the peer's credentials, or whatever else there is
			}
			for _, fd := range fds {
				files = append(files, os.NewFile(uintptr(fd), "received"))
			}
		}
	}
	switch {
	case err != nil:
		return files, ended(err)
	case flags&unix.MSG_CTRUNC != 0: // not all that was sent: too many are open here
		return files, errors.New("the kernel didn't pass all: too many open files?")
	case n != 1 || len(files) == 0 || len(files) != int(count[0]):
		return files, fmt.Errorf("%d came where %d were announced", len(files), count[0])
	}
	return files, nil
}

// ended is err, but for an end of input, which is none here.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the other end closed before all were there")
	}
	return err
}
