package media

import (
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"zegorelay/relay/rtmp"
)

// measure is what a meter says of a show at its end.
func measure(show []sent, lasts time.Duration) Figures {
	m := &Meter{}
	watch(m, show, lasts, nil)
	return m.Figures(showtime().Add(lasts))
}

func TestMeterMeasuresAnEncoder(t *testing.T) {
	for name, tc := range map[string]struct {
		studio
		fps, gop float64 // in seconds
	}{
		"30":                        {studio{}, 30, 2},
		"29.97":                     {studio{fps: 30000.0 / 1001}, 29.97, 2.002},
		"59.94 with B-frames":       {studio{fps: 60000.0 / 1001, bFrames: true}, 59.94, 2.002},
		"23.976":                    {studio{fps: 24000.0 / 1001}, 23.976, 2.002},
		"OBS's auto keyframes":      {studio{gop: 250}, 30, 8.333},
		"over 2^32 ms":              {studio{first: math.MaxUint32 - 15_000}, 30, 2},
		"over 2^31 ms":              {studio{first: 1<<31 - 15_000}, 30, 2},
		"sound 400 ms ahead":        {studio{ahead: 400}, 30, 2},
		"sound behind, over 2^32":   {studio{ahead: -300, first: math.MaxUint32 - 15_000}, 30, 2},
		"five pictures in a second": {studio{fps: 5}, 5, 2},
		"a picture in two seconds":  {studio{fps: 0.5, gop: 1}, 0.5, 2},
	} {
		t.Run(name, func(t *testing.T) {
			f := measure(tc.show(showtime(), time.Minute), 30*time.Second)
			v, a := f.Video, f.Audio
			if v == nil || a == nil {
				t.Fatalf("got %+v", f)
			}
			near(t, "fps", v.FPS, tc.fps, 0.02)
			near(t, "keyframe interval", v.KeyframeInterval.Seconds(), tc.gop, 0.001)
			near(t, "skew", float64(f.Skew.Milliseconds()), tc.ahead, 35)
			near(t, "rate of sound", a.Rate, 302*8*48000/1024, 2000)
			near(t, "rate", f.RateIn, v.Rate+a.Rate, 0.001)
			if tc.studio.fps >= 20 {
				near(t, "rate of pictures", v.Rate, 4e6, 2e5)
			}
			if v.Jumps+a.Jumps != 0 {
				t.Errorf("%d and %d jumps", v.Jumps, a.Jumps)
			}
			if v.BFrames != tc.bFrames {
				t.Errorf("B-frames: %v", v.BFrames)
			}
			if v.Codec != "h264" || v.Profile != "High" || v.Width != 1920 || v.Height != 1080 {
				t.Errorf("got %+v", v)
			}
			if a.Codec != "aac" || a.SampleRate != 48000 || a.Channels != 2 {
				t.Errorf("got %+v", a)
			}
		})
	}
}

func near(t *testing.T, what string, got, want, by float64) {
	t.Helper()
	if math.Abs(got-want) > by {
		t.Errorf("%s: got %.3f, want %.3f ± %.3f", what, got, want, by)
	}
}

func TestMeterMeasuresRealEncoders(t *testing.T) {
	for file, want := range map[string]struct {
		video, audio   string
		width, height  int
		fps            float64
		videos, audios uint64
	}{
		"obs-29.0.2.bin":                  {"h264", "aac", 640, 360, 15, 110, 344},
		"ffmpeg-5.1.bin":                  {"h264", "aac", 320, 180, 15, 75, 236},
		"ffmpeg-5.1-starts-at-20000s.bin": {"h264", "aac", 320, 180, 15, 75, 236},
		"ffmpeg-8.1-hevc-aac.bin":         {"hevc", "aac", 320, 180, 15, 60, 189},
		"ffmpeg-8.1-av1-opus.bin":         {"av1", "opus", 320, 180, 15, 60, 201},
		"ffmpeg-8.1-multitrack.bin":       {"h264", "aac", 320, 180, 15, 60, 189},
		"gst-rtmp2sink-1.22.bin":          {"h264", "aac", 320, 180, 15, 75, 234},
		"gst-rtmpsink-librtmp-2.4.bin":    {"h264", "aac", 320, 180, 15, 75, 234},
	} {
		t.Run(file, func(t *testing.T) {
			f := measure(captured(t, file), 4*time.Second)
			whole := measure(captured(t, file), 9*time.Second)
			v, a := f.Video, f.Audio
			if v == nil || a == nil {
				t.Fatalf("got %+v", f)
			}
			near(t, "fps", v.FPS, want.fps, 0.1)
			near(t, "skew", float64(f.Skew.Milliseconds()), 0, 40)
			if v.BFrames || v.Jumps != 0 || a.Jumps != 0 {
				t.Errorf("got %+v, %+v", v, a)
			}
			if v.Codec != want.video || v.Width != want.width || v.Height != want.height || a.Codec != want.audio {
				t.Errorf("got %+v, %+v", v, a)
			}
			if whole.Video.Messages != want.videos || whole.Audio.Messages != want.audios {
				t.Errorf("got %d and %d frames, want %d and %d",
					whole.Video.Messages, whole.Audio.Messages, want.videos, want.audios)
			}
		})
	}
}

func TestMeterWhenNothingComes(t *testing.T) {
	m := &Meter{}
	show := studio{}.show(showtime(), 20*time.Second)
	watch(m, show, 30*time.Second, nil)
	f := m.Figures(showtime().Add(30 * time.Second))
	if f.RateIn != 0 || f.Video.Rate != 0 || f.Audio.Rate != 0 || f.Video.FPS != 0 || f.Skew != 0 || f.Video.BFrames {
		t.Errorf("got %+v, %+v, %+v", f, f.Video, f.Audio)
	}
	if want := showtime().Add(20*time.Second - 33*time.Millisecond); f.Video.Last.Sub(want).Abs() > time.Millisecond {
		t.Errorf("the last picture came at %v", f.Video.Last)
	}
	if (&Meter{}).Figures(showtime()) != (Figures{}) {
		t.Error("there is something before anything came")
	}
}

func TestMeterCountsJumps(t *testing.T) {
	frame := func(ms uint32, at time.Duration) sent {
		e := studio{}.message(showtime(), rtmp.TypeVideo, 0, []byte("\x27\x01\x00\x00\x00x"))
		e.Timestamp, e.at = ms, showtime().Add(at)
		return e
	}
	for name, tc := range map[string]struct {
		then []sent // after a frame of 10,000 ms that came at 0
		want uint64
	}{
		"next":                       {[]sent{frame(10_033, 33*time.Millisecond)}, 0},
		"the same again":             {[]sent{frame(10_000, 33*time.Millisecond)}, 0},
		"it fell":                    {[]sent{frame(9_999, 33*time.Millisecond)}, 1},
		"it fell, and goes on there": {[]sent{frame(0, 33*time.Millisecond), frame(33, 66*time.Millisecond)}, 1},
		"it leapt":                   {[]sent{frame(11_001, 33*time.Millisecond)}, 1},
		"a second is no leap":        {[]sent{frame(11_000, 33*time.Millisecond)}, 0},
		"it leapt and came back":     {[]sent{frame(99_000, 0), frame(10_066, 66*time.Millisecond)}, 2},
		"a pause":                    {[]sent{frame(15_000, 5*time.Second)}, 0},
		"a pause, then a leap":       {[]sent{frame(15_000, 3*time.Second)}, 1},
		"late, but right":            {[]sent{frame(10_033, 5*time.Second)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := &Meter{}
			frame(10_000, 0).into(m)
			for _, e := range tc.then {
				e.into(m)
			}
			if got := m.Figures(showtime()).Video.Jumps; got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

// An offset that is always the same, but for rounding, is a delay; and B-frames
// that are no more are forgotten.
func TestMeterSeesBFrames(t *testing.T) {
	m := &Meter{}
	with := studio{bFrames: true}.show(showtime(), 10*time.Second)
	without := studio{}.show(showtime().Add(10*time.Second), 10*time.Second)
	for i, e := range without {
		if e.Type == rtmp.TypeVideo && e.info.Kind != rtmp.SequenceHeader {
			e.Payload[4] = 33 + byte(i%2)
		}
	}
	var seen []bool
	watch(m, with, 9*time.Second, nil)
	watch(m, without, 20*time.Second, func(now time.Time) {
		seen = append(seen, m.Figures(now).Video.BFrames)
	})
	for i, got := range seen {
		if want := i < 5; got != want {
			t.Errorf("%d s later: %v", i, got)
		}
	}
}

// An encoder that comes back starts its clock anew: that is no jump. Without
// sound there is no track of sound any more, but what was counted stays.
func TestMeterOverEncoders(t *testing.T) {
	m := &Meter{}
	watch(m, studio{}.show(showtime(), 10*time.Second), 10*time.Second, nil)
	before := m.Figures(showtime().Add(10 * time.Second))
	m.Begin()
	again := showtime().Add(15 * time.Second)
	second := studio{noAudio: true, codec: "17000000000142c014ffe100176742c014da05067e7c0440000003004000000783c50aa801000468ce3c80"}
	watch(m, second.show(again, 10*time.Second), 16*time.Second, nil)
	if m.Figures(again).Audio == nil {
		t.Error("the sound is gone while it may still come")
	}
	watch(m, second.show(again.Add(time.Second), time.Minute)[1:], 26*time.Second, nil)
	f := m.Figures(showtime().Add(26 * time.Second))
	if f.Audio != nil {
		t.Errorf("sound that isn't there: %+v", f.Audio)
	}
	if f.Video.Jumps != before.Video.Jumps+1 { // the two shows above don't fit
		t.Errorf("%d jumps", f.Video.Jumps)
	}
	if f.Video.Width != 320 || f.Video.Profile != "Constrained Baseline" || f.Video.Messages <= before.Video.Messages {
		t.Errorf("got %+v", f.Video)
	}
	if f.Skew != 0 {
		t.Errorf("a skew of %v to no sound", f.Skew)
	}

	m.Begin()
	third := showtime().Add(30 * time.Second)
	watch(m, studio{noVideo: true}.show(third, 10*time.Second), 40*time.Second, nil)
	f = m.Figures(third.Add(10 * time.Second))
	if f.Video != nil || f.Audio == nil || f.Audio.Messages <= before.Audio.Messages {
		t.Errorf("got %+v, %+v", f.Video, f.Audio)
	}
}

func TestMeterOfTracksWithoutHeaders(t *testing.T) {
	m := &Meter{}
	mp3 := studio{}.message(showtime(), rtmp.TypeAudio, 0, []byte("\x2f\xff\xfb"))
	second := studio{}.message(showtime(), rtmp.TypeVideo, 0, []byte("\xa6\x01avc1\x01\x00\x00\x43"))
	data := studio{}.message(showtime(), rtmp.TypeData, 0, []byte("\x02\x00\x0aonTextData\x08"))
	for _, e := range []sent{mp3, second, data} {
		e.into(m)
	}
	f := m.Figures(showtime())
	if f.Audio == nil || f.Audio.Codec != "mp3" || f.Video != nil {
		t.Errorf("got %+v, %+v", f.Audio, f.Video)
	}
	if m.bytes != uint64(len(mp3.Payload)+len(second.Payload)+len(data.Payload)) {
		t.Errorf("%d bytes", m.bytes)
	}
}

func TestMeterIsCheap(t *testing.T) {
	m, show := &Meter{}, studio{bFrames: true}.show(showtime(), time.Second)
	if n := testing.AllocsPerRun(10, func() {
		for _, e := range show {
			e.into(m)
		}
	}); n != 0 {
		t.Errorf("%v allocations for %d messages", n, len(show))
	}
}

func BenchmarkMeter(b *testing.B) {
	m, show := &Meter{}, studio{bFrames: true}.show(showtime(), time.Minute)
	b.ReportAllocs()
	for i := range b.N {
		show[i%len(show)].into(m)
	}
}

// For the race detector: anybody reads while messages come.
func TestMeterIsReadByAnybody(t *testing.T) {
	m, show := &Meter{}, studio{}.show(showtime(), 5*time.Second)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 100 {
				_ = m.Figures(showtime())
			}
		})
	}
	watch(m, show, 5*time.Second, nil)
	wg.Wait()
}

func TestRate(t *testing.T) {
	var r Rate
	var got []string
	for i, bytes := range []uint64{0, 1000, 2000, 3000, 4000, 9000, 9000, 9000, 9000, 9000} {
		r.Look(showtime().Add(time.Duration(i)*time.Second), bytes)
		got = append(got, time.Duration(r.Bits()).String())
	}
	want := "0s 8µs 8µs 8µs 8µs 16µs 14µs 12µs 10µs 0s"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
	r = Rate{}
	r.Look(showtime(), 1)
	r.Look(showtime(), 2)
	if r.Bits() != 0 {
		t.Errorf("in no time: %v", r.Bits())
	}
}
