package rtmp

import "encoding/binary"

// Kind is what a media message is to somebody who joins the stream late.
type Kind uint8

// Kinds of media messages. Only a Frame or a Keyframe is a moment of the
// stream; the others say how to read what follows.
const (
	Frame          Kind = iota // needs what came before it; also data messages
	Keyframe                   // video can begin here
	SequenceHeader             // codec configuration of a track
	Metadata                   // onMetaData
)

// Info is what the first bytes of a message tell.
type Info struct {
	Kind Kind

	// Slot names what a SequenceHeader or Metadata replaces: the newest message
	// of a type and slot is the one in force. Without tracks it is 0.
	Slot uint16
}

// BeginsTrack reports whether the message is a SequenceHeader without which its
// track can't be read, and not one that says more about it, such as HDR
// metadata or a channel layout.
func (i Info) BeginsTrack() bool {
	packet := byte(i.Slot)
	return i.Kind == SequenceHeader && (packet == exSequenceStart || packet == exMPEG2TSStart)
}

// Packet types of Enhanced RTMP video and audio.
const (
	exSequenceStart = 0
	exCodedFrames   = 1
	exCodedFramesX  = 3 // video
	exVideoMetadata = 4
	exMPEG2TSStart  = 5 // video
	exVideoTracks   = 6
	exAudioConfig   = 4
	exAudioTracks   = 5
	exModEx         = 7
)

// Inspect tells what a media message is. It looks at the first bytes only and
// takes everything that it doesn't know for a Frame.
func (m Message) Inspect() Info {
	switch m.Type {
	case TypeVideo:
		return inspectVideo(m.Payload)
	case TypeAudio:
		return inspectAudio(m.Payload)
	case TypeData, TypeDataAMF3:
		if isMetadata(m.Payload) {
			return Info{Kind: Metadata}
		}
	}
	return Info{}
}

// Codec tells the codecs of sequence headers apart: the CodecID or SoundFormat
// of a FLV tag (FLV 10.1, §E.4.2.1, §E.4.3.1), the FourCC of an E-RTMP one. It
// is 0 where there is none.
func (m Message) Codec() uint32 {
	p := m.Payload
	switch {
	case len(p) == 0:
		return 0
	case m.Type == TypeVideo && p[0]&0x80 != 0:
		_, _, fourCC, _ := exHeader(p, exVideoTracks)
		return fourCC
	case m.Type == TypeVideo:
		return uint32(p[0] & 0x0F)
	case m.Type == TypeAudio && p[0]>>4 == 9:
		_, _, fourCC, _ := exHeader(p, exAudioTracks)
		return fourCC
	case m.Type == TypeAudio:
		return uint32(p[0] >> 4)
	default:
		return 0
	}
}

// inspectVideo reads a FLV VideoTagHeader (FLV 10.1, §E.4.3.1) or an E-RTMP
// ExVideoTagHeader.
func inspectVideo(p []byte) Info {
	if len(p) == 0 {
		return Info{}
	}
	isKey := p[0]>>4&7 == 1
	if p[0]&0x80 == 0 {
		return inspectLegacyVideo(p, isKey)
	}
	packet, slot, _, _ := exHeader(p, exVideoTracks)
	switch packet {
	case exSequenceStart, exMPEG2TSStart, exVideoMetadata:
		return Info{Kind: SequenceHeader, Slot: slot}
	case exCodedFrames, exCodedFramesX:
		// GOPs are those of the first track: the others follow it.
		if isKey && slot>>8 == 0 {
			return Info{Kind: Keyframe}
		}
	}
	return Info{}
}

func inspectLegacyVideo(p []byte, isKey bool) Info {
	switch codec := p[0] & 0x0F; codec {
	case 7, 12, 13: // AVC; HEVC and AV1 as some Asian CDNs number them
		switch {
		case len(p) < 2:
			return Info{}
		case p[1] == 0:
			return Info{Kind: SequenceHeader}
		case p[1] != 1:
			return Info{} // end of sequence
		}
	}
	if isKey {
		return Info{Kind: Keyframe}
	}
	return Info{}
}

// inspectAudio reads a FLV AudioTagHeader (FLV 10.1, §E.4.2.1) or an E-RTMP
// ExAudioTagHeader.
func inspectAudio(p []byte) Info {
	if len(p) < 2 {
		return Info{}
	}
	switch p[0] >> 4 {
	case 10: // AAC
		if p[1] == 0 {
			return Info{Kind: SequenceHeader}
		}
	case 9: // E-RTMP
		packet, slot, _, _ := exHeader(p, exAudioTracks)
		if packet == exSequenceStart || packet == exAudioConfig {
			return Info{Kind: SequenceHeader, Slot: slot}
		}
	}
	return Info{}
}

// exHeader walks an E-RTMP header to the packet type that counts: past ModEx
// and into a multitrack packet, of which the first track counts. The slot holds
// the packet type in its low byte and the track in its high byte. The FourCC
// comes before the track, be it one for all tracks or each one's own. The body
// is what follows, of the first track only.
func exHeader(p []byte, multitrack byte) (packet byte, slot uint16, fourCC uint32, body []byte) {
	packet = p[0] & 0x0F
	p = p[1:]
	for packet == exModEx {
		var ok bool
		if packet, p, ok = skipModEx(p); !ok {
			return exModEx, 0, 0, nil
		}
	}
	isMultitrack, isOneTrack := packet == multitrack, false
	if isMultitrack && len(p) > 0 {
		packet, isOneTrack, p = p[0]&0x0F, p[0]>>4 == 0, p[1:]
	}
	switch {
	case isMultitrack && len(p) < 5:
		return multitrack, 0, 0, nil
	case isMultitrack:
		slot = uint16(p[4]) << 8
		body = firstTrack(p[5:], isOneTrack)
	case len(p) < 4:
		return packet, uint16(packet), 0, nil
	default:
		body = p[4:]
	}
	return packet, slot | uint16(packet), binary.BigEndian.Uint32(p), body
}

// firstTrack is the body of the first track. Where there may be more, its size
// in three bytes comes before it.
func firstTrack(p []byte, isOnly bool) []byte {
	switch {
	case isOnly:
		return p
	case len(p) < 3:
		return nil
	}
	size := int(p[0])<<16 | int(p[1])<<8 | int(p[2])
	p = p[3:]
	return p[:min(size, len(p))]
}

// skipModEx skips one modifier: its size less one in a byte, or in two behind
// 0xFF, its data, and a byte whose low half is the packet type that follows.
func skipModEx(p []byte) (packet byte, rest []byte, ok bool) {
	if len(p) < 1 {
		return 0, nil, false
	}
	size, p := int(p[0])+1, p[1:]
	if size == 256 {
		if len(p) < 2 {
			return 0, nil, false
		}
		size, p = int(p[0])<<8+int(p[1])+1, p[2:]
	}
	if len(p) <= size {
		return 0, nil, false
	}
	return p[size] & 0x0F, p[size+1:], true
}

// The names in a metadata message as AMF0 strings.
const (
	amfSetDataFrame = "\x02\x00\x0d@setDataFrame"
	amfOnMetaData   = "\x02\x00\x0aonMetaData"
)

func isMetadata(p []byte) bool {
	if len(p) > 0 && p[0] == 0 {
		p = p[1:] // AMF3-typed data messages begin with a zero byte
	}
	return hasPrefix(withoutSetDataFrame(p), amfOnMetaData)
}

// withoutSetDataFrame is a data payload without the prefix that SetDataFrame
// puts there.
func withoutSetDataFrame(p []byte) []byte {
	if hasPrefix(p, amfSetDataFrame) {
		return p[len(amfSetDataFrame):]
	}
	return p
}

// amfSampleAccess begins the message by which a server lets a player look into
// the media, amfOnStatus one by which it tells of data.
const (
	amfSampleAccess = "\x02\x00\x11|RtmpSampleAccess"
	amfOnStatus     = "\x02\x00\x08onStatus"
)

// isAside reports whether a data message is a server's word to its player, and
// not of the stream.
func (m Message) isAside() bool {
	return m.Type == TypeData && (hasPrefix(m.Payload, amfSampleAccess) || hasPrefix(m.Payload, amfOnStatus))
}

func hasPrefix(p []byte, prefix string) bool {
	return len(p) >= len(prefix) && string(p[:len(prefix)]) == prefix
}

// SetDataFrame puts "@setDataFrame" in front of a data payload, which makes a
// server take it for the stream's own (§7.1.2 names the message, not the
// prefix: that is custom).
func SetDataFrame(payload []byte) []byte {
	return append([]byte(amfSetDataFrame), payload...)
}
