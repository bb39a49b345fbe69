package rtmp

import (
	"crypto/tls"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

func progressOf(nc net.Conn) Progress {
	_, isTLS := nc.(*tls.Conn)
	tcp, ok := tcpOf(nc)
	if !ok {
		return Progress{}
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return Progress{}
	}
	var info *unix.TCPInfo
	var infoErr error
	err = raw.Control(func(fd uintptr) {
		info, infoErr = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if err != nil || infoErr != nil {
		return Progress{}
	}
	return Progress{
		Known:   true,
		Acked:   less(info.Bytes_acked, 1), // the SYN counts as one
		Pending: info.Unacked > 0 || info.Notsent_bytes > 0,
		Mapped:  !isTLS,
		RTT:     time.Duration(info.Rtt) * time.Microsecond,
	}
}
