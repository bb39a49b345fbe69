package relay

import (
	"cmp"
	"slices"

	"zegorelay/relay/rtmp"
)

// maxHeaders bounds what one encoder can make us remember: more tracks than
// any encoder has.
const maxHeaders = 64

// headers are the messages that a late joiner needs before a keyframe: the
// newest metadata and the sequence headers of every track, in the order in
// which a session begins with them.
type headers []entry

// apply notes e if it is a header. It reports whether the headers in force
// have changed, in bytes.
func (h *headers) apply(e entry) bool {
	if e.info.Kind != rtmp.Metadata && e.info.Kind != rtmp.SequenceHeader {
		return false
	}
	i, found := slices.BinarySearchFunc(*h, e, compareHeaders)
	switch {
	case found:
		changed := !slices.Equal((*h)[i].Payload, e.Payload)
		(*h)[i] = e
		return changed
	case len(*h) == maxHeaders:
		return false
	}
	*h = slices.Insert(*h, i, e)
	return true
}

// compareHeaders orders metadata, video, audio; within these by slot.
func compareHeaders(a, b entry) int {
	rank := func(e entry) int {
		switch e.Type {
		case rtmp.TypeVideo:
			return 1
		case rtmp.TypeAudio:
			return 2
		default:
			return 0
		}
	}
	return cmp.Or(
		cmp.Compare(rank(a), rank(b)),
		cmp.Compare(a.info.Slot, b.info.Slot),
	)
}
