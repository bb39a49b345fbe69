//go:build !linux

package handover

import (
	"errors"
	"net"
	"os"
	"time"
)

func send(*net.UnixConn, []*os.File) error { return errors.ErrUnsupported }

func receive(*net.UnixConn, int) ([]*os.File, error) { return nil, errors.ErrUnsupported }

func pack([]*os.File, time.Duration) (*os.File, error) { return nil, errors.ErrUnsupported }

func unpack(*os.File, int, time.Duration) ([]*os.File, error) { return nil, errors.ErrUnsupported }
