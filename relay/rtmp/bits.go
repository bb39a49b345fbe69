package rtmp

// bitReader reads a bit string, most significant bit first. Behind its end there are
// zeros, and short is set: a reader of something whole looks at that once, at
// its own end.
type bitReader struct {
	rest    []byte
	current byte
	left    int // bits of current that are not read yet
	short   bool

	// In the NAL units of H.264 and H.265 a 3 behind two zeros is no content
	// (ISO/IEC 14496-10 §7.4.1, 23008-2 §7.4.2: emulation_prevention_three_byte).
	isEscaped bool
	zeros     int
}

// read returns the next n bits, of which there may be 32.
func (b *bitReader) read(n int) (v uint32) {
	for range n {
		if b.left == 0 {
			b.next()
		}
		b.left--
		v = v<<1 | uint32(b.current>>b.left&1)
	}
	return v
}

func (b *bitReader) next() {
	if b.isEscaped && b.zeros >= 2 && len(b.rest) > 0 && b.rest[0] == 3 {
		b.rest, b.zeros = b.rest[1:], 0
	}
	b.left = 8
	if len(b.rest) == 0 {
		b.current, b.short = 0, true
		return
	}
	b.current, b.rest = b.rest[0], b.rest[1:]
	if b.current == 0 {
		b.zeros++
	} else {
		b.zeros = 0
	}
}

func (b *bitReader) flag() bool { return b.read(1) == 1 }

// skip passes over n bits, for n that the specification bounds.
func (b *bitReader) skip(n int) {
	for ; n > 0 && !b.short; n -= 32 {
		b.read(min(n, 32))
	}
}

// golomb reads an Exp-Golomb code (ISO/IEC 14496-10 §9.1), which AV1 calls uvlc
// (§4.10.3). One that doesn't fit 32 bits is no content of any header.
func (b *bitReader) golomb() uint32 {
	zeros := 0
	for !b.short && !b.flag() {
		if zeros++; zeros == 32 {
			b.short = true
		}
	}
	if b.short {
		return 0
	}
	return 1<<zeros - 1 + b.read(zeros)
}

// signedGolomb reads one that may be negative (§9.1.1).
func (b *bitReader) signedGolomb() int32 {
	k := b.golomb()
	if k&1 == 1 {
		return int32(k/2 + 1)
	}
	return -int32(k / 2)
}
