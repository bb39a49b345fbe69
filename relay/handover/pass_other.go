//go:build !linux

package handover

import (
	"errors"
	"net"
	"os"
)

func send(*net.UnixConn, []*os.File) error { return errors.ErrUnsupported }

func receive(*net.UnixConn, int) ([]*os.File, error) { return nil, errors.ErrUnsupported }
