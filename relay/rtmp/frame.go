package rtmp

// CodedFrame is what the header of a message with sound or a picture in it says.
type CodedFrame struct {
	Track       uint8  // 0 without tracks; of several in one message the first
	Codec       uint32 // as of [Message.Codec]
	Composition int32  // ms from when a picture is decoded, the timestamp, to when it is shown
}

// CodedFrame reports what a message with media in it is: one that is no header,
// no end of a sequence and no command to the player. Pictures whose Composition
// is not always the same are shown in another order than they come in: there
// are B-frames.
func (m Message) CodedFrame() (f CodedFrame, ok bool) {
	p := m.Payload
	switch {
	case len(p) < 2:
		return CodedFrame{}, false
	case m.Type == TypeVideo && p[0]>>4&7 == 5:
		return CodedFrame{}, false // a command, such as the start of a seek
	case m.Type == TypeVideo && p[0]&0x80 != 0:
		return exFrame(p, exVideoTracks)
	case m.Type == TypeVideo:
		return legacyFrame(p)
	case m.Type == TypeAudio && p[0]>>4 == 9:
		return exFrame(p, exAudioTracks)
	case m.Type == TypeAudio:
		id := p[0] >> 4
		return CodedFrame{Codec: uint32(id)}, id != 10 || p[1] == 1
	default:
		return CodedFrame{}, false
	}
}

// legacyFrame reads AVCPacketType and CompositionTime (FLV 10.1, §E.4.3.1), which
// only codecs with a sequence header have.
func legacyFrame(p []byte) (f CodedFrame, ok bool) {
	f.Codec = uint32(p[0] & 0x0F)
	switch f.Codec {
	case 7, 12, 13:
		if p[1] != 1 || len(p) < 5 {
			return f, false
		}
		f.Composition = signed24(p[2:])
	}
	return f, true
}

// exFrame reads the packets that E-RTMP has for media (v2, ExVideoTagBody and
// ExAudioTagBody). Only AVC, HEVC and VVC have a SI24 compositionTimeOffset in
// CodedFrames; in CodedFramesX it is 0.
func exFrame(p []byte, multitrack byte) (f CodedFrame, ok bool) {
	packet, slot, fourCC, body := exHeader(p, multitrack)
	f.Track, f.Codec = uint8(slot>>8), fourCC
	isVideo := multitrack == exVideoTracks
	switch {
	case isVideo && packet == exCodedFramesX:
		return f, true
	case packet != exCodedFrames:
		return f, false
	}
	const avc1, hvc1, vvc1 = 0x61766331, 0x68766331, 0x76766331
	switch fourCC {
	case avc1, hvc1, vvc1:
		if len(body) < 3 {
			return f, false
		}
		f.Composition = signed24(body)
	}
	return f, true
}

func signed24(p []byte) int32 {
	return int32(uint32(p[0])<<24|uint32(p[1])<<16|uint32(p[2])<<8) >> 8
}
