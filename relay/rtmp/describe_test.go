package rtmp

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// What ffprobe 5.1 says of the same bytes as an FLV file, as far as it knows
// Enhanced RTMP, which it doesn't; there it is what FFmpeg 8.1 was told to send.
func TestDescribeRealEncoders(t *testing.T) {
	const (
		baseline = "h264 Constrained Baseline 320x180"
		aac      = "aac AAC LC 48000 Hz 2"
	)
	for file, want := range map[string]string{
		"obs-29.0.2.bin":                  "8/0 aac AAC LC 48000 Hz 2, 9/0 h264 Constrained Baseline 640x360",
		"ffmpeg-5.1.bin":                  "9/0 " + baseline + ", 8/0 " + aac,
		"ffmpeg-5.1-starts-at-20000s.bin": "9/0 " + baseline + ", 8/0 " + aac,
		"gst-rtmp2sink-1.22.bin":          "9/0 h264 High 4:4:4 Predictive 320x180, 8/0 " + aac,
		"gst-rtmpsink-librtmp-2.4.bin":    "9/0 h264 High 4:4:4 Predictive 320x180, 8/0 " + aac,
		"ffmpeg-8.1-hevc-aac.bin":         "9/0 hevc Main 320x180, 8/0 " + aac,
		"ffmpeg-8.1-av1-opus.bin":         "9/0 av1 Main 320x180, 8/0 opus 48000 Hz 2",
		"ffmpeg-8.1-multitrack.bin": "9/0 " + baseline + ", 9/1 hevc Main 160x90, " +
			"8/0 " + aac + ", 8/1 opus 48000 Hz 2",
	} {
		t.Run(file, func(t *testing.T) {
			var got []string
			for _, m := range readCapture(t, file) {
				if info := m.Inspect(); info.BeginsTrack() {
					got = append(got, fmt.Sprintf("%d/%d %s", m.Type, info.Slot>>8, words(m.Describe())))
				}
			}
			if strings.Join(got, ", ") != want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
			}
		})
	}
}

// words is a description on one line.
func words(d Description) string {
	all := []string{d.Codec}
	if d.Profile != "" {
		all = append(all, d.Profile)
	}
	if d.Width != 0 || d.Height != 0 {
		all = append(all, fmt.Sprintf("%dx%d", d.Width, d.Height))
	}
	if d.SampleRate != 0 {
		all = append(all, fmt.Sprintf("%d Hz", d.SampleRate))
	}
	if d.Channels != 0 {
		all = append(all, fmt.Sprint(d.Channels))
	}
	return strings.Join(all, " ")
}

// The configuration records are of x264, x265, SVT-AV1 and libaom, and ffprobe
// says the same of their files; those of AAC are written out by hand.
func TestDescribe(t *testing.T) {
	const (
		avc, hevc, av1 = "170000000000", "1c0000000000", "1d0000000000"
		x264           = "01640028ffe1001b67640028acd940780227e5c044000003000400000300f03c60c65801000468ef8fcbfdf8f800"
		x265           = "01022000000090000000000078f000fcfdfafa00000f03200001001840010c01ffff022000000300900000030000030078959409" +
			"210001002d420101022000000300900000030000030078a003c0801107cad965654a4c2f016808000003000800000300f04022000100064401c073c189"
		svt = "81080c000a0b00000042abbfc3700be001"
	)
	legacy := func(prefix, record string) string { return prefix[:10] + record }
	for name, tc := range map[string]struct {
		typ      Type
		in, want string
	}{
		"1080p, cropped from 1088":    {TypeVideo, legacy(avc, x264), "h264 High 1920x1080"},
		"avc1":                        {TypeVideo, "9061766331" + x264, "h264 High 1920x1080"},
		"avc1 as one of tracks":       {TypeVideo, "961061766331" + "02" + "00002e" + x264 + "03000002ffff", "h264 High 1920x1080"},
		"a track that is cut":         {TypeVideo, "961061766331" + "02" + "000009" + x264, "h264 High"},
		"tracks, cut before the size": {TypeVideo, "961061766331" + "020000", "h264"},
		"behind ModEx":                {TypeVideo, "97020102030061766331" + x264, "h264 High 1920x1080"},
		"1080i: fields": {TypeVideo, legacy(avc,
			"01640028ffe1001a67640028acd94078044fde0220000003002000000643e2c5b2c001000468fe8fcbfdf8f800"), "h264 High 1920x1080"},
		"4:2:2, 10 bits, matrices": {TypeVideo, legacy(avc,
			"017a001fffe1001b677a001fb6cd940d83fe68fc0440000003004000000c83c60c658001000568ef8fcc03fefafa00"), "h264 High 4:2:2 854x482"},
		"4:4:4": {TypeVideo, legacy(avc,
			"01f4001effe1001b67f4001e919b281b07bc6f80880000030008000003019078b16cb001000668ef8f192190fff8f800"),
			"h264 High 4:4:4 Predictive 852x480"},
		"AVC that is cut":           {TypeVideo, legacy(avc, x264[:40]), "h264 High"},
		"AVC of no parameter sets":  {TypeVideo, legacy(avc, "01640028ffe00000"), "h264 High"},
		"an empty AVC record (DJI)": {TypeVideo, legacy(avc, ""), "h264"},
		"an AVC frame":              {TypeVideo, "1701000000" + x264, "h264"},
		"HEVC Main 10":              {TypeVideo, "9068766331" + x265, "hevc Main 10 1920x1080"},
		"HEVC as CDNs number it":    {TypeVideo, legacy(hevc, x265), "hevc Main 10 1920x1080"},
		"HEVC that is cut":          {TypeVideo, "9068766331" + x265[:110], "hevc Main 10"},
		"HEVC 4:2:2, cropped": {TypeVideo, "9068766331" +
			"0104080000009d08000000005af000fcfef8f800001303200001001b40010c02ffff0408000003009d0800000300005a00009594aca0" +
			"48210001002f4201020408000003009d0800000300005a0000b006c201f1cd1f965652b2a5261780b404000003000400000300782022000100064401c073c189",
			"hevc Range Extensions 854x482"},
		"AV1":                        {TypeVideo, "9061763031" + svt, "av1 Main 1920x1080"},
		"AV1 as CDNs number it":      {TypeVideo, legacy(av1, svt), "av1 Main 1920x1080"},
		"AV1 4:4:4":                  {TypeVideo, "9061763031" + "812140000a0b2000000cc5036936be5080", "av1 High 642x362"},
		"AV1 behind another OBU":     {TypeVideo, "9061763031" + "81080c00" + "1200" + svt[8:], "av1 Main 1920x1080"},
		"AV1 that is cut":            {TypeVideo, "9061763031" + svt[:16], "av1 Main"},
		"AV1 with a size of 2^56":    {TypeVideo, "9061763031" + "81080c00" + "0affffffffffffff7f00", "av1 Main"},
		"AV1 in MPEG-2 TS":           {TypeVideo, "9561763031" + svt, "av1"},
		"VP9":                        {TypeVideo, "9076703039" + "01000000" + "020a82020202", "vp9 Profile 2"},
		"VP9 without a box":          {TypeVideo, "9076703039" + "001f8202020200", "vp9 Profile 0"},
		"VVC":                        {TypeVideo, "9076766331" + "00", "vvc"},
		"a codec yet to come":        {TypeVideo, "9061767333" + "00", "avs3"},
		"no codec":                   {TypeVideo, "90000000ff" + "00", "codec 0x000000ff"},
		"H.263":                      {TypeVideo, "2200", "h263"},
		"a CodecID of no codec":      {TypeVideo, "2f00", "video codec 15"},
		"a header of one byte":       {TypeVideo, "17", "h264"},
		"nothing":                    {TypeVideo, "", ""},
		"AAC LC":                     {TypeAudio, "af001210", "aac AAC LC 44100 Hz 2"},
		"AAC, mono":                  {TypeAudio, "af001188", "aac AAC LC 48000 Hz 1"},
		"AAC 7.1":                    {TypeAudio, "af0011b8", "aac AAC LC 48000 Hz 8"},
		"AAC with a rate of its own": {TypeAudio, "af00" + "17805dc010", "aac AAC LC 48000 Hz 2"},
		"AAC without SBR, said":      {TypeAudio, "af00119056e500", "aac AAC LC 48000 Hz 2"},
		"HE-AAC, at once":            {TypeAudio, "af002b920800", "aac HE-AAC 44100 Hz 2"},
		"HE-AAC, behind LC":          {TypeAudio, "af00139056e5a0", "aac HE-AAC 44100 Hz 2"},
		"HE-AAC v2, at once":         {TypeAudio, "af00eb8a0800", "aac HE-AAC v2 44100 Hz 2"},
		"HE-AAC v2, behind LC":       {TypeAudio, "af00138856e5a54880", "aac HE-AAC v2 44100 Hz 2"},
		"mp4a":                       {TypeAudio, "906d703461" + "1190", "aac AAC LC 48000 Hz 2"},
		"AAC of no configuration":    {TypeAudio, "af00", "aac"},
		"AAC that is cut":            {TypeAudio, "af0011", "aac"},
		"an AAC frame":               {TypeAudio, "af011190", "aac"},
		"Opus of a source of 16 kHz": {TypeAudio, "904f707573" + "4f707573486561640102380180" + "3e00000000", "opus 48000 Hz 2"},
		"Opus that is cut":           {TypeAudio, "904f707573" + "4f70757348656164", "opus"},
		"MP3, stereo":                {TypeAudio, "2fff", "mp3 2"},
		"mp3 as a FourCC":            {TypeAudio, "912e6d7033" + "ff", "mp3"},
		"PCM of 22 kHz":              {TypeAudio, "3a00", "pcm 22050 Hz 1"},
		"data":                       {TypeData, "0200", ""},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := hex.DecodeString(tc.in)
			if err != nil {
				t.Fatal(err)
			}
			m := Message{Type: tc.typ, Payload: in}
			if got := words(m.Describe()); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestCodedFrame(t *testing.T) {
	const (
		avc1, hvc1, av01 = 0x61766331, 0x68766331, 0x61763031
		opus             = 0x4F707573
	)
	for name, tc := range map[string]struct {
		typ    Type
		in     string
		want   CodedFrame
		wantOK bool
	}{
		"AVC":                       {TypeVideo, "\x27\x01\x00\x00\x43\x65", CodedFrame{0, 7, 67}, true},
		"AVC, shown before":         {TypeVideo, "\x27\x01\xff\xff\xdf\x65", CodedFrame{0, 7, -33}, true},
		"AVC that is cut":           {TypeVideo, "\x27\x01\x00", CodedFrame{0, 7, 0}, false},
		"AVC sequence header":       {TypeVideo, "\x17\x00\x00\x00\x43\x65", CodedFrame{0, 7, 0}, false},
		"AVC end of sequence":       {TypeVideo, "\x17\x02\x00\x00\x43", CodedFrame{0, 7, 0}, false},
		"HEVC as CDNs number it":    {TypeVideo, "\x2c\x01\x00\x00\x43", CodedFrame{0, 12, 67}, true},
		"a command to the player":   {TypeVideo, "\x57\x00", CodedFrame{}, false},
		"H.263":                     {TypeVideo, "\x22\x00\x43", CodedFrame{0, 2, 0}, true},
		"hvc1":                      {TypeVideo, "\xa1hvc1\x00\x00\x43", CodedFrame{0, hvc1, 67}, true},
		"hvc1 without CTS":          {TypeVideo, "\xa3hvc1\x00\x00\x43", CodedFrame{0, hvc1, 0}, true},
		"hvc1 that is cut":          {TypeVideo, "\xa1hvc1\x00", CodedFrame{0, hvc1, 0}, false},
		"hvc1 metadata":             {TypeVideo, "\xd4hvc1", CodedFrame{}, false},
		"av01 has no CTS":           {TypeVideo, "\xa1av01\x00\x00\x43", CodedFrame{0, av01, 0}, true},
		"a second track":            {TypeVideo, "\xa6\x01avc1\x01\x00\x00\x43", CodedFrame{1, avc1, 67}, true},
		"several tracks":            {TypeVideo, "\xa6\x11avc1\x01\x00\x00\x03\x00\x00\x43", CodedFrame{1, avc1, 67}, true},
		"several codecs":            {TypeVideo, "\xa6\x21avc1\x00\x00\x00\x03\x00\x00\x43", CodedFrame{0, avc1, 67}, true},
		"behind ModEx":              {TypeVideo, "\xa7\x02\x01\x02\x03\x01hvc1\x00\x00\x43", CodedFrame{0, hvc1, 67}, true},
		"AAC":                       {TypeAudio, "\xaf\x01\x21", CodedFrame{0, 10, 0}, true},
		"AAC sequence header":       {TypeAudio, "\xaf\x00\x12\x10", CodedFrame{0, 10, 0}, false},
		"MP3":                       {TypeAudio, "\x2f\xff", CodedFrame{0, 2, 0}, true},
		"Opus":                      {TypeAudio, "\x91Opus\xfc", CodedFrame{0, opus, 0}, true},
		"Opus of a second track":    {TypeAudio, "\x95\x01Opus\x01\xfc", CodedFrame{1, opus, 0}, true},
		"Opus multichannel config":  {TypeAudio, "\x94Opus\xfc", CodedFrame{0, opus, 0}, false},
		"packet 3 of sound is no X": {TypeAudio, "\x93Opus\xfc", CodedFrame{0, opus, 0}, false},
		"data":                      {TypeData, "\x02\x00\x0aonTextData", CodedFrame{}, false},
		"video of no bytes":         {TypeVideo, "", CodedFrame{}, false},
		"ModEx without anything":    {TypeVideo, "\xa7\x00", CodedFrame{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := Message{Type: tc.typ, Payload: []byte(tc.in)}.CodedFrame()
			if got != tc.want || ok != tc.wantOK {
				t.Errorf("got %+v, %v; want %+v, %v", got, ok, tc.want, tc.wantOK)
			}
		})
	}
}

// B-frames are none in the captures: every composition offset is the same.
func TestCodedFramesOfRealEncoders(t *testing.T) {
	for file, want := range map[string]int{
		"obs-29.0.2.bin":            110,
		"ffmpeg-8.1-hevc-aac.bin":   60,
		"ffmpeg-8.1-multitrack.bin": 60, // of the first track
	} {
		got := 0
		for _, m := range readCapture(t, file) {
			f, ok := m.CodedFrame()
			if !ok || m.Type != TypeVideo || f.Track != 0 {
				continue
			}
			if got++; f.Composition != 0 {
				t.Errorf("%s: a composition offset of %d ms", file, f.Composition)
			}
		}
		if got != want {
			t.Errorf("%s: %d frames, want %d", file, got, want)
		}
	}
}

func TestDescribeAllocatesNothing(t *testing.T) {
	for _, file := range []string{"obs-29.0.2.bin", "ffmpeg-8.1-hevc-aac.bin", "ffmpeg-8.1-av1-opus.bin"} {
		messages := readCapture(t, file)
		if n := testing.AllocsPerRun(10, func() {
			for _, m := range messages {
				m.Describe()
				m.CodedFrame()
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", file, n)
		}
	}
}

func FuzzDescribe(f *testing.F) {
	for _, file := range []string{
		"obs-29.0.2.bin", "ffmpeg-8.1-hevc-aac.bin", "ffmpeg-8.1-av1-opus.bin", "ffmpeg-8.1-multitrack.bin", "gst-rtmp2sink-1.22.bin",
	} {
		frames := 0
		for _, m := range readCapture(f, file) {
			isHeader := m.Inspect().Kind == SequenceHeader
			if frames++; m.IsMedia() && (isHeader || frames < 20) {
				f.Add(byte(m.Type), m.Payload[:min(len(m.Payload), 512)])
			}
		}
	}
	f.Add(byte(TypeAudio), []byte("\xaf\x00\x13\x88\x56\xe5\xa5\x48\x80"))
	f.Add(byte(TypeVideo), []byte("\x90vp09\x01\x00\x00\x00\x02"))
	f.Fuzz(func(t *testing.T, typ byte, in []byte) {
		m := Message{Type: Type(typ), Payload: in}
		d := m.Describe()
		if (d.Width == 0) != (d.Height == 0) || d.Width < 0 || d.Width > 1<<16 || d.Height < 0 || d.Height > 1<<16 {
			t.Errorf("a picture of %dx%d", d.Width, d.Height)
		}
		if d.SampleRate < 0 || d.SampleRate >= 1<<24 || d.Channels < 0 || d.Channels > 255 {
			t.Errorf("sound of %d Hz and %d channels", d.SampleRate, d.Channels)
		}
		if isAV := m.Type == TypeAudio || m.Type == TypeVideo; (d.Codec == "") != (!isAV || len(in) == 0) {
			t.Errorf("a codec %q of %x", d.Codec, in)
		}
		for _, c := range d.Codec {
			if c < ' ' || c > '~' {
				t.Errorf("a codec %q", d.Codec)
			}
		}
		frame, isFrame := m.CodedFrame()
		if kind := m.Inspect().Kind; isFrame && kind != Frame && kind != Keyframe {
			t.Errorf("a frame of kind %v", kind)
		}
		if isFrame && frame.Codec != m.Codec() {
			t.Errorf("codec %#x in a frame, else %#x", frame.Codec, m.Codec())
		}
	})
}
