package rtmp

// Audio object types (ISO/IEC 14496-3, table 1.17).
const (
	aacMain = 1
	aacLC   = 2
	aacSSR  = 3
	aacLTP  = 4
	aacSBR  = 5  // explicit HE-AAC
	aacPS   = 29 // explicit HE-AAC v2
)

// describeAAC reads an AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1). HE-AAC
// may be said at once or, for decoders that know only LC, behind what they read
// (§1.6.5).
func (d *Description) describeAAC(p []byte) {
	b := &bitReader{rest: p}
	object := aacObject(b)
	rate := aacRate(b)
	channels := aacChannels(b.read(4))
	hasSBR, hasPS := object == aacSBR || object == aacPS, object == aacPS
	if hasSBR {
		rate = aacRate(b)
		aacObject(b)
	}
	if b.short {
		return
	}
	if object == aacLC {
		if r, ps, ok := aacExtension(b); ok {
			rate, hasSBR, hasPS = r, true, ps
		}
	}
	if hasPS && channels == 1 {
		channels = 2 // parametric stereo
	}
	d.SampleRate, d.Channels = rate, channels
	switch {
	case hasPS:
		d.Profile = "HE-AAC v2"
	case hasSBR:
		d.Profile = "HE-AAC"
	default:
		d.Profile = aacProfile(object)
	}
}

func aacProfile(object uint32) string {
	switch object {
	case aacMain:
		return "AAC Main"
	case aacLC:
		return "AAC LC"
	case aacSSR:
		return "AAC SSR"
	case aacLTP:
		return "AAC LTP"
	default:
		return ""
	}
}

// aacExtension reads GASpecificConfig (§4.4.1) and, behind it, the extension that
// says SBR and PS.
func aacExtension(b *bitReader) (rate int, hasPS, ok bool) {
	const syncSBR, syncPS = 0x2B7, 0x548
	b.flag() // frameLengthFlag
	if dependsOnCore := b.flag(); dependsOnCore {
		b.read(14) // coreCoderDelay
	}
	b.flag() // extensionFlag
	if b.read(11) != syncSBR || aacObject(b) != aacSBR || !b.flag() {
		return 0, false, false
	}
	rate = aacRate(b)
	ok = !b.short
	hasPS = b.read(11) == syncPS && b.flag() && !b.short
	return rate, hasPS, ok
}

func aacObject(b *bitReader) uint32 {
	if object := b.read(5); object != 31 {
		return object
	}
	return 32 + b.read(6)
}

// aacRate reads samplingFrequencyIndex (§1.6.3.4, table 1.18).
func aacRate(b *bitReader) int {
	rates := [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
	index := b.read(4)
	switch {
	case index == 15:
		return int(b.read(24))
	case int(index) < len(rates):
		return rates[index]
	default:
		return 0
	}
}

// aacChannels counts those of a channelConfiguration (table 1.19). 0 is one that
// is told elsewhere.
func aacChannels(config uint32) int {
	return [16]int{0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8, 0}[config&15]
}

// describeOpus reads an identification header (RFC 7845 §5.1). The rate in it is
// what was before the encoder: Opus is always decoded to 48 kHz.
func (d *Description) describeOpus(p []byte) {
	if len(p) < 10 || !hasPrefix(p, "OpusHead") {
		return
	}
	d.SampleRate, d.Channels = 48000, int(p[9])
}
