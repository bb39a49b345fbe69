//go:build !linux

package rtmp

import (
	"io"
	"net"
)

// unannounced is for Linux.
func unannounced(nc net.Conn) io.ReadWriter { return nc }
