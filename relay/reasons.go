package relay

import (
	"errors"
	"maps"
	"os"
	"sync"
	"syscall"

	"zegorelay/relay/rtmp"
)

// reasons counts by a word for why.
type reasons struct {
	mu sync.Mutex
	by map[string]uint64
}

func (r *reasons) add(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = make(map[string]uint64)
	}
	r.by[why]++
}

func (r *reasons) read() map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.by)
}

// departureOf is a word for the cause with which an encoder's session ended.
func departureOf(cause error) string {
	switch {
	case errors.Is(cause, rtmp.ErrUnpublished):
		return "goodbye"
	case errors.Is(cause, errTakenOver):
		return "takeover"
	case errors.Is(cause, errKicked):
		return "kick"
	case errors.Is(cause, errUnlisted):
		return "unlisted"
	case errors.Is(cause, errShutdown), errors.Is(cause, errLeaving):
		return "shutdown"
	case errors.Is(cause, errSilent):
		return "timeout"
	default:
		return endOf(cause)
	}
}

// lossOf is a word for the cause with which a node was lost.
func lossOf(cause error) string {
	switch {
	case errors.Is(cause, errRedispatch):
		return "redispatch"
	case errors.Is(cause, errStalled), errors.Is(cause, errMute), errors.Is(cause, os.ErrDeadlineExceeded):
		return "stall"
	case errors.Is(cause, errNoFarewell):
		return "no_farewell"
	case endsInWords(cause):
		return "status"
	default:
		return endOf(cause)
	}
}

// endOf is a word for how a connection ended.
func endOf(cause error) string {
	switch {
	case errors.Is(cause, rtmp.ErrProtocol), errors.Is(cause, rtmp.ErrTooBig):
		return "protocol"
	case errors.Is(cause, syscall.ECONNRESET), errors.Is(cause, syscall.EPIPE):
		return "reset"
	case errors.Is(cause, syscall.ETIMEDOUT): // the kernel has given it up
		return "timeout"
	default:
		return "eof"
	}
}
