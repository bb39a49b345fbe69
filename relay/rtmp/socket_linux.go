package rtmp

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

func setUserTimeout(tcp *net.TCPConn, patience time.Duration) {
	setOption(tcp, unix.TCP_USER_TIMEOUT, int(patience.Milliseconds()))
}

func setUnsentAtMost(tcp *net.TCPConn, bytes int) {
	setOption(tcp, unix.TCP_NOTSENT_LOWAT, bytes)
}

// setOption sets a TCP option. It only fails on a closed connection, which says
// so itself.
func setOption(tcp *net.TCPConn, option, value int) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, option, value)
	})
}
