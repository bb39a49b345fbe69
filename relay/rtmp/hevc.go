package rtmp

import "encoding/binary"

// describeHEVC reads a HEVCDecoderConfigurationRecord (ISO/IEC 14496-15
// §8.3.3.1.2): 22 bytes, the number of arrays, and in each a type, a number and
// NAL units behind their sizes.
func (d *Description) describeHEVC(p []byte) {
	if len(p) < 23 {
		return
	}
	d.Profile = hevcProfile(p[1] & 0x1F)
	const typeSPS = 33
	arrays, p := p[22], p[23:]
	for ; arrays > 0 && len(p) >= 3; arrays-- {
		typ, count := p[0]&0x3F, binary.BigEndian.Uint16(p[1:])
		p = p[3:]
		for ; count > 0 && len(p) >= 2; count-- {
			size := int(binary.BigEndian.Uint16(p))
			p = p[2:]
			if size > len(p) {
				return
			}
			if typ == typeSPS {
				d.describeHEVCSPS(p[:size])
				return
			}
			p = p[size:]
		}
	}
}

// hevcProfile names general_profile_idc (ISO/IEC 23008-2 §A.3).
func hevcProfile(idc byte) string {
	switch idc {
	case 1:
		return "Main"
	case 2:
		return "Main 10"
	case 3:
		return "Main Still Picture"
	case 4:
		return "Range Extensions"
	case 9:
		return "Screen Content"
	default:
		return ""
	}
}

// describeHEVCSPS reads the size of the picture from a sequence parameter set, a
// whole NAL unit (ISO/IEC 23008-2 §7.3.2.2.1).
func (d *Description) describeHEVCSPS(nal []byte) {
	if len(nal) < 2 {
		return
	}
	b := &bitReader{rest: nal[2:], isEscaped: true}
	b.read(4) // sps_video_parameter_set_id
	subLayers := int(b.read(3))
	b.flag() // sps_temporal_id_nesting_flag
	skipProfileTierLevel(b, subLayers)
	b.golomb() // sps_seq_parameter_set_id
	chroma := b.golomb()
	if chroma == 3 {
		if isSeparate := b.flag(); isSeparate {
			chroma = 0
		}
	}
	width, height := int64(b.golomb()), int64(b.golomb())
	if hasCrop := b.flag(); hasCrop { // conformance_window_flag
		unitX, unitY := chromaUnits(chroma)
		width -= unitX * (int64(b.golomb()) + int64(b.golomb()))
		height -= unitY * (int64(b.golomb()) + int64(b.golomb()))
	}
	if !b.short {
		d.setSize(width, height)
	}
}

// skipProfileTierLevel passes profile_tier_level(1, subLayers) (§7.3.3).
func skipProfileTierLevel(b *bitReader, subLayers int) {
	const profile, level = 88, 8
	b.skip(profile + level)
	var hasProfile, hasLevel [8]bool
	for i := range subLayers {
		hasProfile[i], hasLevel[i] = b.flag(), b.flag()
	}
	if subLayers > 0 {
		b.skip(2 * (8 - subLayers)) // reserved_zero_2bits
	}
	for i := range subLayers {
		if hasProfile[i] {
			b.skip(profile)
		}
		if hasLevel[i] {
			b.skip(level)
		}
	}
}
