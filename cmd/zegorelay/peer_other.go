//go:build !linux

package main

import (
	"errors"
	"net"
)

func meet(*net.UnixAddr) (*net.UnixListener, error) { return nil, errors.ErrUnsupported }

func visit(*net.UnixAddr) (*net.UnixConn, error) { return nil, errors.ErrUnsupported }

func peer(*net.UnixConn) (int, error) { return 0, errors.ErrUnsupported }
