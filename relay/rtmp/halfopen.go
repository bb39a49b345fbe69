package rtmp

import (
	"crypto/tls"
	"net"
	"time"
)

// endHalfOpen has the kernel end a connection whose far side has vanished within
// about patience: by keepalive while nothing is under way, by the user timeout
// (RFC 5482) while something is. No patience means the system's.
func endHalfOpen(nc net.Conn, patience time.Duration) {
	if secure, ok := nc.(*tls.Conn); ok {
		nc = secure.NetConn()
	}
	tcp, ok := nc.(*net.TCPConn)
	if !ok || patience <= 0 {
		return
	}
	probe := max(patience/3, time.Second)
	// Both only fail on a closed connection, which says so itself.
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: probe, Interval: probe, Count: 2})
	setUserTimeout(tcp, patience)
}
