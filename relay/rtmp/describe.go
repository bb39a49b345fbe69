package rtmp

import (
	"encoding/binary"
	"fmt"
)

// Description is what a track's header says of it. What is not known is zero.
type Description struct {
	Codec         string // h264, hevc, av1, vp9, aac, opus, mp3 …
	Profile       string // in the words of the codec's specification
	Width, Height int    // as shown, in pixels
	SampleRate    int    // Hz, as heard
	Channels      int
}

// Describe tells of the track that a video or audio message begins, or its first
// track if it has several. Of a message that is no sequence header it tells what
// its own header says: the codec, and for some the sound's format. It allocates
// nothing but the name of a codec that it doesn't know.
//
// All of it is the peer's claim.
func (m Message) Describe() Description {
	p := m.Payload
	switch {
	case len(p) == 0:
		return Description{}
	case m.Type == TypeVideo && p[0]&0x80 != 0:
		packet, _, fourCC, body := exHeader(p, exVideoTracks)
		return describeVideo(fourCCName(fourCC), body, packet == exSequenceStart)
	case m.Type == TypeVideo:
		// VideoTagHeader: FrameType, CodecID, AVCPacketType, CompositionTime
		// (FLV 10.1, §E.4.3.1); HEVC and AV1 have the same where they have an id.
		isHeader := len(p) > 5 && p[1] == 0
		return describeVideo(videoName(p[0]&0x0F), p[min(5, len(p)):], isHeader)
	case m.Type == TypeAudio && p[0]>>4 == 9:
		packet, _, fourCC, body := exHeader(p, exAudioTracks)
		return describeAudio(fourCCName(fourCC), body, packet == exSequenceStart)
	case m.Type == TypeAudio:
		return describeLegacyAudio(p)
	default:
		return Description{}
	}
}

// describeVideo reads the decoder configuration of a codec that has one.
func describeVideo(codec string, body []byte, isHeader bool) Description {
	d := Description{Codec: codec}
	if !isHeader {
		return d
	}
	switch codec {
	case "h264":
		d.describeAVC(body)
	case "hevc":
		d.describeHEVC(body)
	case "av1":
		d.describeAV1(body)
	case "vp9":
		d.describeVP9(body)
	}
	return d
}

func describeAudio(codec string, body []byte, isHeader bool) Description {
	d := Description{Codec: codec}
	if !isHeader {
		return d
	}
	switch codec {
	case "aac":
		d.describeAAC(body)
	case "opus":
		d.describeOpus(body)
	}
	return d
}

// describeLegacyAudio reads SoundFormat, SoundRate and SoundType (FLV 10.1,
// §E.4.2.1). For AAC the latter are constants, and for MP3 the rate is: 48 kHz
// has no number.
func describeLegacyAudio(p []byte) Description {
	codec := audioName(p[0] >> 4)
	if codec == "aac" {
		return describeAudio(codec, p[min(2, len(p)):], len(p) > 2 && p[1] == 0)
	}
	d := Description{Codec: codec, Channels: 1 + int(p[0]&1)}
	switch codec {
	case "pcm", "adpcm":
		d.SampleRate = 44100 >> (3 - p[0]>>2&3)
	case "speex":
		d.SampleRate, d.Channels = 16000, 1
	}
	return d
}

// describeVP9 reads a VPCodecConfigurationRecord (VP Codec ISO Media File Format
// Binding, §2.2), be it behind the version and flags of its box or not. The size
// of the picture is not in it.
func (d *Description) describeVP9(p []byte) {
	if len(p) >= 4 && binary.BigEndian.Uint32(p) == 1<<24 {
		p = p[4:]
	}
	if len(p) > 0 && p[0] <= 3 {
		d.Profile = [...]string{"Profile 0", "Profile 1", "Profile 2", "Profile 3"}[p[0]]
	}
}

// setSize keeps a size that a picture can have.
func (d *Description) setSize(width, height int64) {
	const most = 1 << 16
	if width > 0 && height > 0 && width <= most && height <= most {
		d.Width, d.Height = int(width), int(height)
	}
}

// videoName names a CodecID (FLV 10.1, §E.4.3.1; 12 and 13 are custom).
func videoName(id byte) string {
	switch id {
	case 2:
		return "h263"
	case 3, 6:
		return "screen"
	case 4, 5:
		return "vp6"
	case 7:
		return "h264"
	case 12:
		return "hevc"
	case 13:
		return "av1"
	default:
		return fmt.Sprintf("video codec %d", id)
	}
}

// audioName names a SoundFormat (FLV 10.1, §E.4.2.1).
func audioName(id byte) string {
	switch id {
	case 0, 3:
		return "pcm"
	case 1:
		return "adpcm"
	case 2, 14:
		return "mp3"
	case 4, 5, 6:
		return "nellymoser"
	case 7, 8:
		return "g711"
	case 10:
		return "aac"
	case 11:
		return "speex"
	default:
		return fmt.Sprintf("audio codec %d", id)
	}
}

// fourCCName names a codec of E-RTMP (v2, "Enhanced Video", "Enhanced Audio").
// Of one that it doesn't know it returns the letters, if they are such.
func fourCCName(fourCC uint32) string {
	var letters [4]byte
	binary.BigEndian.PutUint32(letters[:], fourCC)
	switch string(letters[:]) {
	case "avc1":
		return "h264"
	case "hvc1":
		return "hevc"
	case "vvc1":
		return "vvc"
	case "av01":
		return "av1"
	case "vp08":
		return "vp8"
	case "vp09":
		return "vp9"
	case "mp4a":
		return "aac"
	case "Opus":
		return "opus"
	case ".mp3":
		return "mp3"
	case "fLaC":
		return "flac"
	case "ac-3":
		return "ac3"
	case "ec-3":
		return "eac3"
	}
	for _, c := range letters {
		if c < ' ' || c > '~' {
			return fmt.Sprintf("codec %#08x", fourCC)
		}
	}
	return string(letters[:])
}
