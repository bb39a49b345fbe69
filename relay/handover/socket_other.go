//go:build !linux

package handover

import (
	"errors"
	"syscall"
)

func socketOf(syscall.Conn) (Socket, error) { return 0, errors.ErrUnsupported }
