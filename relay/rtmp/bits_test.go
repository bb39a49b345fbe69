package rtmp

import (
	"fmt"
	"math/bits"
	"strings"
	"testing"
)

// Bit strings as specifications write them: u(n), ue(v), se(v).
func u(n int, v uint64) string { return fmt.Sprintf("%0*b", n, v) }

func ue(v uint64) string {
	return strings.Repeat("0", bits.Len64(v+1)-1) + fmt.Sprintf("%b", v+1)
}

func se(v int64) string {
	if v > 0 {
		return ue(uint64(2*v - 1))
	}
	return ue(uint64(-2 * v))
}

// packed is a bit string in bytes, with zeros behind it.
func packed(fields ...string) []byte {
	all := strings.Join(fields, "")
	var out []byte
	for i := 0; i < len(all); i += 8 {
		b := byte(0)
		for j := range 8 {
			if i+j < len(all) && all[i+j] == '1' {
				b |= 0x80 >> j
			}
		}
		out = append(out, b)
	}
	return out
}

// escaped puts a 3 where a NAL unit must have one.
func escaped(p []byte) []byte {
	var out []byte
	zeros := 0
	for _, b := range p {
		if zeros >= 2 && b <= 3 {
			out, zeros = append(out, 3), 0
		}
		if out = append(out, b); b == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return out
}

func TestBitReader(t *testing.T) {
	values := []uint64{0, 1, 2, 3, 7, 8, 254, 255, 256, 65535, 1<<31 - 2}
	var fields []string
	for i, v := range values {
		fields = append(fields, ue(v), se(int64(i)-5), u(32, 0), u(7, v&127))
	}
	b := &bitReader{rest: escaped(packed(fields...)), isEscaped: true}
	for i, v := range values {
		got := []int64{int64(b.golomb()), int64(b.signedGolomb()), int64(b.read(32)), int64(b.read(7))}
		if want := []int64{int64(v), int64(i) - 5, 0, int64(v & 127)}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%d: got %v, want %v", v, got, want)
		}
	}
	if b.short {
		t.Error("it ended before its end")
	}
	b.read(8)
	if !b.short {
		t.Error("it has no end")
	}
	if b := (&bitReader{rest: make([]byte, 20)}); b.golomb() != 0 || !b.short {
		t.Error("a code of more than 32 bits")
	}
}

// What encoders seldom send, written out from the syntax tables.
func TestDescribeParameterSets(t *testing.T) {
	const w, h = 720, 576
	avc := func(profile uint64, chroma, order, size string) []byte {
		sps := packed(u(8, 0x67), u(8, profile), u(8, 0), u(8, 30), ue(0), chroma, ue(0), order, ue(4), u(1, 0), size, u(1, 0), u(1, 1))
		nal := escaped(sps)
		return append([]byte{1, byte(profile), 0, 30, 0xFF, 0xE1, byte(len(nal) >> 8), byte(len(nal))}, nal...)
	}
	// Seven scaling lists: one that ends at once, one of 16, four that are absent, one of 64.
	lists := u(1, 1) + se(-8) + u(1, 1) + se(2) + strings.Repeat(se(1), 14) + se(-5) + u(4, 0) + u(1, 1) + strings.Repeat(se(0), 64)
	frames := ue(w/16-1) + ue(h/16-1) + u(1, 1) + u(1, 1) + u(1, 0)
	ptl := func(subLayers int) string {
		s := u(48, 0x016000000090) + u(48, 0x00000000005D)
		if subLayers > 0 {
			s += u(2, 3) + strings.Repeat(u(2, 1), subLayers-1) + strings.Repeat(u(2, 0), 8-subLayers)
			s += u(48, 0) + u(40, 0) + u(8, 90) + strings.Repeat(u(8, 90), subLayers-1)
		}
		return s
	}
	hevc := func(subLayers int, size string) []byte {
		nal := escaped(packed(u(16, 0x4201), u(4, 0), u(3, uint64(subLayers)), u(1, 1), ptl(subLayers), ue(0), size, u(8, 0xFF)))
		record := append(make([]byte, 22), 2, 32, 0, 1, 0, 2, 0x40, 1, 33, 0, 1, byte(len(nal)>>8), byte(len(nal)))
		record[1] = 1
		return append(record, nal...)
	}
	av1 := func(fields ...string) []byte {
		obu := packed(append(fields, u(4, 9), u(4, 9), u(10, w-1), u(10, h-1), u(8, 0xFF))...)
		return append([]byte{0x81, 0, 0, 0, 0x0E, 0, byte(len(obu))}, obu...)
	}
	for name, tc := range map[string]struct {
		codec string
		in    []byte
		want  string
	}{
		"picture order 1": {"h264", avc(77, "", ue(1)+u(1, 0)+se(-3)+se(7)+ue(2)+se(1)+se(-1), frames), "h264 Main 720x576"},
		"picture order 2": {"h264", avc(66, "", ue(2), frames), "h264 Baseline 720x576"},
		"picture order of a cycle without end": {"h264",
			avc(77, "", ue(1)+u(1, 0)+se(0)+se(0)+ue(1<<31), frames), "h264 Main"},
		"matrices": {"h264", avc(100, ue(1)+ue(0)+ue(0)+u(1, 0)+u(1, 1)+lists+u(1, 0), ue(0)+ue(2), frames), "h264 High 720x576"},
		"4:4:4 in planes, matrices": {"h264",
			avc(244, ue(3)+u(1, 1)+ue(0)+ue(0)+u(1, 0)+u(1, 1)+lists+strings.Repeat(u(1, 0), 5), ue(0)+ue(2),
				ue(w/16-1)+ue(h/16-1)+u(1, 1)+u(1, 1)+u(1, 1)+ue(1)+ue(2)+ue(3)+ue(4)), "h264 High 4:4:4 Predictive 717x569"},
		"fields, cropped": {"h264",
			avc(77, "", ue(2), ue(w/16-1)+ue(h/32-1)+u(1, 0)+u(1, 1)+u(1, 1)+u(1, 1)+ue(0)+ue(4)+ue(0)+ue(2)), "h264 Main 712x568"},
		"a crop of more than all": {"h264", avc(77, "", ue(2), ue(0)+ue(0)+u(1, 1)+u(1, 1)+u(1, 1)+ue(9)+ue(9)+ue(0)+ue(0)), "h264 Main"},
		"a picture of 2^35":       {"h264", avc(77, "", ue(2), ue(1<<31)+ue(1<<31)+u(1, 1)+u(1, 1)+u(1, 0)), "h264 Main"},
		"HEVC":                    {"hevc", hevc(0, ue(1)+ue(w)+ue(h)+u(1, 0)), "hevc Main 720x576"},
		"HEVC, three layers":      {"hevc", hevc(2, ue(1)+ue(w)+ue(h)+u(1, 1)+ue(1)+ue(1)+ue(0)+ue(4)), "hevc Main 716x568"},
		"HEVC 4:4:4 in planes":    {"hevc", hevc(0, ue(3)+u(1, 1)+ue(w)+ue(h)+u(1, 1)+ue(1)+ue(1)+ue(0)+ue(4)), "hevc Main 718x572"},
		"AV1, a still picture":    {"av1", av1(u(3, 0), u(1, 1), u(1, 1), u(5, 8)), "av1 Main 720x576"},
		"AV1 with all there is": {"av1", av1(u(3, 0), u(1, 0), u(1, 0),
			u(1, 1), u(32, 1), u(32, 30), u(1, 1), ue(5), // timing_info
			u(1, 1), u(5, 9), u(32, 1), u(5, 9), u(5, 9), // decoder_model_info
			u(1, 1), u(5, 1), // initial_display_delay, two operating points
			u(12, 0x101), u(5, 8), u(1, 1), u(1, 1), u(10, 77), u(10, 77), u(1, 1), u(1, 1), u(4, 9),
			u(12, 0x100), u(5, 7), u(1, 0), u(1, 0)), "av1 Main 720x576"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := words(describeVideo(tc.codec, tc.in, true)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			for n := range tc.in { // cut anywhere it tells less, and nothing else
				d := describeVideo(tc.codec, tc.in[:n], true)
				if d.Width != 0 && words(d) != tc.want {
					t.Fatalf("cut after %d bytes: %q", n, words(d))
				}
			}
		})
	}
}
