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

// apply notes e if it is a header, or begins an epoch with headers of its own.
// It reports whether the headers in force have changed, in bytes.
func (h *headers) apply(e entry) bool {
	if e.opening != nil {
		*h = slices.Clone(*e.opening)
		return true
	}
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

// sameTracks reports whether two sets of headers are of the same tracks, each in
// the same codec: then one session can carry both.
func (h headers) sameTracks(other headers) bool {
	track := func(e entry) track { return track{e.Type, e.info.Slot, e.Codec()} }
	return slices.EqualFunc(h.tracks(), other.tracks(), func(a, b entry) bool {
		return track(a) == track(b)
	})
}

// track is what a session can't change without confusing its players.
type track struct {
	typ   rtmp.Type
	slot  uint16
	codec uint32
}

func (h headers) tracks() headers {
	return slices.DeleteFunc(slices.Clone(h), func(e entry) bool { return !e.info.BeginsTrack() })
}
