package rtmp

import (
	"crypto/tls"
	"net"
	"time"
)

// unsentAtMost is how much of what we write the kernel may hold before it sends
// it. The rest stays with the caller, who knows what of it is stale.
const unsentAtMost = 128 << 10

// endHalfOpen has the kernel end a connection whose far side has vanished within
// about patience: by keepalive while nothing is under way, by the user timeout
// (RFC 5482) while something is. No patience means the system's.
func endHalfOpen(nc net.Conn, patience time.Duration) {
	tcp, ok := tcpOf(nc)
	if !ok || patience <= 0 {
		return
	}
	probe := max(patience/3, time.Second)
	// Both only fail on a closed connection, which says so itself.
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: probe, Interval: probe, Count: 2})
	setUserTimeout(tcp, patience)
}

// boundUnsent keeps the kernel's queue of unsent bytes short.
func boundUnsent(nc net.Conn) {
	if tcp, ok := tcpOf(nc); ok {
		setUnsentAtMost(tcp, unsentAtMost)
	}
}

// tcpOf is the TCP connection under nc, if there is one.
func tcpOf(nc net.Conn) (*net.TCPConn, bool) {
	if secure, ok := nc.(*tls.Conn); ok {
		nc = secure.NetConn()
	}
	tcp, ok := nc.(*net.TCPConn)
	return tcp, ok
}
