//go:build !linux

package rtmp

import (
	"net"
	"time"
)

func setUserTimeout(*net.TCPConn, time.Duration) {}

func setUnsentAtMost(*net.TCPConn, int) {}
