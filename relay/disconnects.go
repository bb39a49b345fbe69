package relay

import (
	"errors"
	"maps"
	"sync"
	"syscall"

	"zegorelay/relay/rtmp"
)

// disconnects counts how a stream's encoders left.
type disconnects struct {
	mu       sync.Mutex
	byReason map[string]uint64
}

func (d *disconnects) add(cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byReason == nil {
		d.byReason = make(map[string]uint64)
	}
	d.byReason[disconnectOf(cause)]++
}

func (d *disconnects) read() map[string]uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.byReason)
}

// disconnectOf is a word for the cause with which an encoder's session ended.
func disconnectOf(cause error) string {
	switch {
	case errors.Is(cause, rtmp.ErrUnpublished):
		return "goodbye"
	case errors.Is(cause, errTakenOver):
		return "takeover"
	case errors.Is(cause, errKicked):
		return "kick"
	case errors.Is(cause, errShutdown):
		return "shutdown"
	case errors.Is(cause, errSilent):
		return "timeout"
	case errors.Is(cause, rtmp.ErrProtocol), errors.Is(cause, rtmp.ErrTooBig):
		return "protocol"
	case errors.Is(cause, syscall.ECONNRESET), errors.Is(cause, syscall.EPIPE):
		return "reset"
	default:
		return "eof"
	}
}
