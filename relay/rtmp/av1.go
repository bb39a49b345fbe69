package rtmp

// describeAV1 reads an AV1CodecConfigurationRecord (AV1 Codec ISO Media File
// Format Binding, §2.3): four bytes and OBUs, of which one is the sequence
// header.
func (d *Description) describeAV1(p []byte) {
	if len(p) < 4 {
		return
	}
	d.Profile = av1Profile(p[1] >> 5)
	const typeSequenceHeader = 1
	for p = p[4:]; len(p) > 0; {
		typ, obu, rest := nextOBU(p)
		if typ == typeSequenceHeader {
			d.describeAV1Sequence(obu)
			return
		}
		p = rest
	}
}

// av1Profile names seq_profile (AV1 §A.2).
func av1Profile(profile byte) string {
	switch profile {
	case 0:
		return "Main"
	case 1:
		return "High"
	case 2:
		return "Professional"
	default:
		return ""
	}
}

// nextOBU splits an open bitstream unit from p: its header (AV1 §5.3.2) and, if
// it has one, its size as a leb128 (§4.10.5).
func nextOBU(p []byte) (typ byte, obu, rest []byte) {
	typ = p[0] >> 3 & 0x0F
	hasExtension, hasSize := p[0]&4 != 0, p[0]&2 != 0
	p = p[1:]
	if hasExtension {
		p = p[min(1, len(p)):]
	}
	if !hasSize {
		return typ, p, nil
	}
	size := uint64(0)
	for i := 0; i < 8 && len(p) > 0; i++ {
		more := p[0]&0x80 != 0
		size |= uint64(p[0]&0x7F) << (7 * i)
		p = p[1:]
		if !more {
			break
		}
	}
	if size > uint64(len(p)) {
		return typ, p, nil
	}
	return typ, p[:size], p[size:]
}

// describeAV1Sequence reads the size of the picture from a sequence_header_obu
// (AV1 §5.5.1).
func (d *Description) describeAV1Sequence(obu []byte) {
	b := &bitReader{rest: obu}
	b.read(3) // seq_profile
	b.flag()  // still_picture
	if isReduced := b.flag(); isReduced {
		b.read(5) // seq_level_idx
	} else {
		skipOperatingPoints(b)
	}
	widthBits, heightBits := int(b.read(4))+1, int(b.read(4))+1
	width, height := int64(b.read(widthBits))+1, int64(b.read(heightBits))+1
	if !b.short {
		d.setSize(width, height)
	}
}

// skipOperatingPoints passes timing_info, decoder_model_info and the operating
// points (§5.5.1 to §5.5.5).
func skipOperatingPoints(b *bitReader) {
	delayBits := 0 // of decoder_model_info, if there is one
	if hasTiming := b.flag(); hasTiming {
		b.skip(32 + 32) // num_units_in_display_tick, time_scale
		if isEqual := b.flag(); isEqual {
			b.golomb() // num_ticks_per_picture_minus_1
		}
		if hasModel := b.flag(); hasModel {
			delayBits = int(b.read(5)) + 1
			b.skip(32 + 5 + 5)
		}
	}
	hasDisplayDelay := b.flag()
	for range b.read(5) + 1 {
		b.read(12) // operating_point_idc
		if level := b.read(5); level > 7 {
			b.flag() // seq_tier
		}
		if delayBits > 0 && b.flag() {
			b.skip(2*delayBits + 1) // operating_parameters_info
		}
		if hasDisplayDelay && b.flag() {
			b.read(4) // initial_display_delay_minus_1
		}
	}
}
