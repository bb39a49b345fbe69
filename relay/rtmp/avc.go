package rtmp

import "encoding/binary"

// describeAVC reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1)
// as far as its first sequence parameter set.
func (d *Description) describeAVC(p []byte) {
	if len(p) < 8 {
		return
	}
	d.Profile = avcProfile(p[1], p[2])
	count, size, sps := p[5]&0x1F, int(binary.BigEndian.Uint16(p[6:])), p[8:]
	if count > 0 && size <= len(sps) {
		d.describeAVCSPS(sps[:size])
	}
}

// avcProfile names profile_idc (ISO/IEC 14496-10 §A.2), with the
// constraint_set flags that make another profile of it.
func avcProfile(idc, constraints byte) string {
	switch {
	case idc == 66 && constraints&0x40 != 0:
		return "Constrained Baseline"
	case idc == 66:
		return "Baseline"
	case idc == 77:
		return "Main"
	case idc == 88:
		return "Extended"
	case idc == 100:
		return "High"
	case idc == 110:
		return "High 10"
	case idc == 122:
		return "High 4:2:2"
	case idc == 244:
		return "High 4:4:4 Predictive"
	case idc == 44:
		return "CAVLC 4:4:4 Intra"
	default:
		return ""
	}
}

// describeAVCSPS reads the size of the picture from a sequence parameter set, a
// whole NAL unit (ISO/IEC 14496-10 §7.3.2.1.1). Names are those of the
// specification.
func (d *Description) describeAVCSPS(nal []byte) {
	if len(nal) < 4 || nal[0]&0x1F != 7 {
		return
	}
	b := &bitReader{rest: nal[4:], isEscaped: true} // behind profile_idc, flags, level_idc
	b.golomb()                                      // seq_parameter_set_id
	chromaArrayType := uint32(1)
	if hasChromaFormat(nal[1]) {
		chromaArrayType = skipChromaFormat(b)
	}
	b.golomb() // log2_max_frame_num_minus4
	skipPicOrderCnt(b)
	b.golomb() // max_num_ref_frames
	b.flag()   // gaps_in_frame_num_value_allowed_flag
	width, height := int64(b.golomb())+1, int64(b.golomb())+1
	fields := int64(1)
	if isFrameOnly := b.flag(); !isFrameOnly {
		fields = 2 // frame_mbs_only_flag: else height counts macroblocks of a field
		b.flag()   // mb_adaptive_frame_field_flag
	}
	b.flag() // direct_8x8_inference_flag
	width, height = 16*width, 16*height*fields
	if hasCrop := b.flag(); hasCrop { // equations 7-19 to 7-22
		unitX, unitY := chromaUnits(chromaArrayType)
		width -= unitX * (int64(b.golomb()) + int64(b.golomb()))
		height -= unitY * fields * (int64(b.golomb()) + int64(b.golomb()))
	}
	if !b.short {
		d.setSize(width, height)
	}
}

// hasChromaFormat tells the profiles with a chroma format and scaling matrices.
func hasChromaFormat(profile byte) bool {
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		return true
	default:
		return false
	}
}

// skipChromaFormat passes chroma_format_idc to seq_scaling_matrix and returns
// ChromaArrayType (§7.4.2.1.1).
func skipChromaFormat(b *bitReader) uint32 {
	chroma, lists := b.golomb(), 8
	chromaArrayType := chroma
	if chroma == 3 {
		lists = 12
		if isSeparate := b.flag(); isSeparate {
			chromaArrayType = 0
		}
	}
	b.golomb() // bit_depth_luma_minus8
	b.golomb() // bit_depth_chroma_minus8
	b.flag()   // qpprime_y_zero_transform_bypass_flag
	if hasMatrix := b.flag(); !hasMatrix {
		return chromaArrayType
	}
	for i := range lists {
		if isPresent := b.flag(); !isPresent {
			continue
		}
		if i < 6 {
			skipScalingList(b, 16)
		} else {
			skipScalingList(b, 64)
		}
	}
	return chromaArrayType
}

// skipScalingList passes a scaling_list (§7.3.2.1.1.1), which ends where the next
// scale would be 0.
func skipScalingList(b *bitReader, size int) {
	last, next := int32(8), int32(8)
	for range size {
		if next != 0 {
			next = (last + b.signedGolomb() + 256) % 256
		}
		if next != 0 {
			last = next
		}
	}
}

func skipPicOrderCnt(b *bitReader) {
	switch b.golomb() { // pic_order_cnt_type
	case 0:
		b.golomb() // log2_max_pic_order_cnt_lsb_minus4
	case 1:
		b.flag()                                                            // delta_pic_order_always_zero_flag
		b.signedGolomb()                                                    // offset_for_non_ref_pic
		b.signedGolomb()                                                    // offset_for_top_to_bottom_field
		for cycle := min(b.golomb(), 255); cycle > 0 && !b.short; cycle-- { // at most 255, by §7.4.2.1.1
			b.signedGolomb() // offset_for_ref_frame
		}
	}
}

// chromaUnits is SubWidthC and SubHeightC (ISO/IEC 14496-10 and 23008-2, table
// 6-1): how many pixels wide and high what a crop counts is.
func chromaUnits(chromaFormat uint32) (x, y int64) {
	switch chromaFormat {
	case 1:
		return 2, 2
	case 2:
		return 2, 1
	default:
		return 1, 1
	}
}
