package media

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// told is what an advisor says of a show, as "kind begin–end" in seconds of the
// show, and what is on at its end.
type told struct {
	spans  []string
	begun  []Advice
	at     map[string]time.Duration
	latest []Advice
}

// attend has an advisor see a show to an encoder's end, and what else there is to
// know of the stream.
func attend(show []sent, until time.Duration, tune func(now time.Duration, c *Condition)) told {
	m, a := &Meter{}, &Advisor{}
	got := told{at: map[string]time.Duration{}}
	watch(m, show, until, func(now time.Time) {
		at := now.Sub(showtime())
		c := Condition{Figures: m.Figures(now), Encoder: 1, OnAir: time.Hour}
		c.RateOut = c.RateIn
		if tune != nil {
			tune(at, &c)
		}
		begun, ended := a.Look(now, c)
		for _, b := range begun {
			got.at[b.Kind] = at
			got.begun = append(got.begun, b)
		}
		for _, e := range ended {
			got.spans = append(got.spans, fmt.Sprintf("%s %.0f-%.0f", e.Kind, got.at[e.Kind].Seconds(), at.Seconds()))
			delete(got.at, e.Kind)
		}
	})
	got.latest = a.Current()
	for _, on := range got.latest {
		got.spans = append(got.spans, fmt.Sprintf("%s %.0f-", on.Kind, got.at[on.Kind].Seconds()))
	}
	return got
}

func (w told) check(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(w.spans, want) {
		t.Errorf("got %q, want %q", w.spans, want)
	}
	for _, a := range append(w.begun, w.latest...) {
		if a.Text == "" || a.Fix == "" || a.Since.IsZero() || a.Since.Before(showtime()) {
			t.Errorf("an advice without all that it should have: %+v", a)
		}
		if testing.Verbose() {
			t.Logf("%s: %s\n  %s", a.Kind, a.Text, a.Fix)
		}
	}
}

// without is a show without some of its messages.
func without(show []sent, drop func(at time.Duration, e sent) bool) []sent {
	return slices.DeleteFunc(slices.Clone(show), func(e sent) bool { return drop(e.at.Sub(showtime()), e) })
}

func isVideo(e sent) bool { return e.Type.String() == "video" }

func TestAdviceOnEncoders(t *testing.T) {
	const lasts = 3 * time.Minute
	for name, tc := range map[string]struct {
		studio
		want []string
	}{
		"OBS at its defaults, keyframes 2 s": {studio{bFrames: true, rate: 2_500_000}, []string{"b_frames 6-"}},
		"and without B-frames":               {studio{}, nil},
		"OBS's auto keyframes":               {studio{gop: 250}, []string{"gop_long 12-"}},
		"keyframes each 4 s at 29.97":        {studio{fps: 30000.0 / 1001, gop: 120}, nil},
		"keyframes each 5 s":                 {studio{gop: 150}, []string{"gop_long 8-"}},
		"a single keyframe":                  {studio{gop: 1 << 30}, []string{"no_keyframe 13-"}},
		"sound only":                         {studio{noVideo: true}, nil},
		"a picture only":                     {studio{noAudio: true}, nil},
		"AV1":                                {studio{codec: svt1080}, []string{"codec 5-"}},
		"over 2^32 ms":                       {studio{first: 1<<32 - 60_000}, nil},
		"one picture a second":               {studio{fps: 1, gop: 2}, nil},
		"a picture in four seconds":          {studio{fps: 0.25, gop: 1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			attend(tc.show(showtime(), lasts), lasts, nil).check(t, tc.want...)
		})
	}
}

// What real encoders sent is said nothing of, however long it goes on, but what is
// so.
func TestAdviceOnRealEncoders(t *testing.T) {
	for file, want := range map[string][]string{
		"obs-29.0.2.bin":                  nil,
		"ffmpeg-5.1.bin":                  nil,
		"ffmpeg-5.1-starts-at-20000s.bin": nil,
		"gst-rtmp2sink-1.22.bin":          nil,
		"gst-rtmpsink-librtmp-2.4.bin":    nil,
		"ffmpeg-8.1-hevc-aac.bin":         nil,
		"ffmpeg-8.1-multitrack.bin":       nil,
		"ffmpeg-8.1-av1-opus.bin":         {"codec 5-"},
	} {
		t.Run(file, func(t *testing.T) {
			once := captured(t, file)
			var show []sent
			for _, again := range []uint32{0, 8000, 16000, 24000, 32000} {
				for _, e := range once {
					e.Timestamp += again
					e.at = e.at.Add(time.Duration(again) * time.Millisecond)
					show = append(show, e)
				}
			}
			attend(show, 36*time.Second, nil).check(t, want...)
		})
	}
}

func TestAdviceEnds(t *testing.T) {
	first := studio{bFrames: true, gop: 250}.show(showtime(), 25*time.Second)
	later := studio{}.show(showtime().Add(25*time.Second), 2*time.Minute)
	for i := range later {
		later[i].Timestamp += 25_000
	}
	attend(append(first, later...), 2*time.Minute, nil).check(t, "gop_long 12-57", "b_frames 6-60")
}

func TestAdviceOnATrackThatStops(t *testing.T) {
	show := studio{}.show(showtime(), 2*time.Minute)
	between := func(from, to int) func(time.Duration) bool {
		return func(at time.Duration) bool {
			return at >= time.Duration(from)*time.Second && at < time.Duration(to)*time.Second
		}
	}
	for name, tc := range map[string]struct {
		show []sent
		want []string
	}{
		"the picture, for a minute": {
			without(show, func(at time.Duration, e sent) bool { return isVideo(e) && between(20, 80)(at) }),
			[]string{"no_video 25-90"},
		},
		"the picture, for four seconds": {
			without(show, func(at time.Duration, e sent) bool { return isVideo(e) && between(20, 24)(at) }), nil,
		},
		"the sound, twice in one episode": {
			without(show, func(at time.Duration, e sent) bool {
				return !isVideo(e) && (between(20, 30)(at) || between(35, 50)(at))
			}),
			[]string{"no_audio 25-61"},
		},
		"the sound, of which only the header comes": {
			without(show, func(at time.Duration, e sent) bool {
				return !isVideo(e) && at > 0 || !isVideo(e) && len(e.Payload) > 10
			}),
			[]string{"no_audio 4-"},
		},
		"all, for a minute: the encoder is away": {
			without(show, func(at time.Duration, _ sent) bool { return between(20, 80)(at) }), nil,
		},
	} {
		t.Run(name, func(t *testing.T) { attend(tc.show, 2*time.Minute, nil).check(t, tc.want...) })
	}
}

func TestAdviceOnTimestamps(t *testing.T) {
	jumps := func(at ...int) []sent {
		show := studio{}.show(showtime(), 4*time.Minute)
		for _, second := range at {
			for i := range show {
				if show[i].at.Sub(showtime()) >= time.Duration(second)*time.Second {
					show[i].Timestamp += 5000
				}
			}
		}
		return show
	}
	attend(jumps(20), 4*time.Minute, nil).check(t) // once, in both tracks
	attend(jumps(20, 110, 200), 4*time.Minute, nil).check(t)
	attend(jumps(20, 40, 60), 4*time.Minute, nil).check(t, "timestamps 60-142")

	// A track that is gone and comes back has jumped no more than before.
	attend(jumps(20), 4*time.Minute, func(now time.Duration, c *Condition) {
		if now%(20*time.Second) == 0 {
			c.Video.Jumps, c.Audio = 7, nil
		}
		c.Video.Jumps = 7
	}).check(t, "timestamps 0-121")
}

func TestAdviceOnAFallingBitrate(t *testing.T) {
	const fall = 5 * time.Minute
	show := studio{}.show(showtime(), 7*time.Minute)
	missing := without(show, func(at time.Duration, e sent) bool {
		return at > fall && at < fall+30*time.Second && isVideo(e) && e.Timestamp%400 > 40
	})
	got := attend(missing, 7*time.Minute, nil)
	got.check(t, "bitrate_low 309-347")
	if text := got.begun[0].Text; !strings.Contains(text, "4.0 Mbit/s and 29") || !strings.Contains(text, "0.8 Mbit/s and 5") {
		t.Errorf("got %q", text)
	}

	still := slices.Clone(show)
	for i, e := range still {
		if e.at.Sub(showtime()) > fall && isVideo(e) && len(e.Payload) > 100 {
			still[i].Payload = e.Payload[:100]
		}
	}
	attend(still, 7*time.Minute, nil).check(t)

	// Another encoder may send what it likes.
	attend(missing, 7*time.Minute, func(now time.Duration, c *Condition) {
		if now > fall {
			c.Encoder = 2
		}
	}).check(t)
}

func TestAdviceOnASlowUplink(t *testing.T) {
	show := studio{}.show(showtime(), 2*time.Minute)
	slow := func(lag func(now time.Duration) time.Duration) func(now time.Duration, c *Condition) {
		return func(now time.Duration, c *Condition) {
			c.RateOut = 1_234_000
			c.Lag, c.Behind = lag(now), true
		}
	}
	got := attend(show, 2*time.Minute, slow(func(now time.Duration) time.Duration {
		if now > 80*time.Second {
			return 100 * time.Millisecond
		}
		return max(now/2-20*time.Second, 0) // from 40 s on; 2 s at 44 s
	}))
	got.check(t, "uplink_slow 48-96")
	for _, want := range []string{"takes 1.2 Mbit/s", "sends 4.1 Mbit/s", "4.0 s of it"} {
		if !strings.Contains(got.begun[0].Text, want) {
			t.Errorf("no %q in %q", want, got.begun[0].Text)
		}
	}
	if fix := got.begun[0].Fix; !strings.Contains(fix, "900 kbit/s") {
		t.Errorf("got %q", fix)
	}

	// A new node is sent what has waited: that catches up.
	attend(show, 2*time.Minute, slow(func(now time.Duration) time.Duration {
		return max(9*time.Second-now/2, 0)
	})).check(t)
	attend(show, 2*time.Minute, func(now time.Duration, c *Condition) {
		if now > time.Minute {
			c.OnAir, c.Lag, c.Behind = 0, now-time.Minute, true
		}
	}).check(t)

	// A node that is too slow for some messages, again and again.
	attend(show, 2*time.Minute, func(now time.Duration, c *Condition) {
		c.Dropped = uint64(min(max(now-30*time.Second, 0), 30*time.Second) / time.Second)
	}).check(t, "uplink_slow 34-80")
}

// Players here don't mind what ZEGO's do; what is broken is broken at the other end.
func TestAdviceOnWhatIsPlayed(t *testing.T) {
	show := studio{bFrames: true, gop: 250, codec: svt1080}.show(showtime(), time.Minute)
	show = without(show, func(at time.Duration, e sent) bool { return !isVideo(e) && at > 20*time.Second })
	got := attend(show, time.Minute, func(_ time.Duration, c *Condition) { c.Pulled, c.OnAir = true, 0 })
	got.check(t, "no_audio 25-")
	if fix := got.latest[0].Fix; !strings.Contains(fix, "ZEGO") {
		t.Errorf("got %q", fix)
	}
}

// An encoder that begins without a keyframe, and one whose keyframes stop.
func TestAdviceOnKeyframes(t *testing.T) {
	show := studio{}.show(showtime(), time.Minute)
	isKey := func(e sent) bool { return isVideo(e) && e.Payload[0] == 0x17 && e.Payload[1] == 1 }
	attend(without(show, func(_ time.Duration, e sent) bool { return isKey(e) }), time.Minute, nil).
		check(t, "no_keyframe 14-")
	attend(without(show, func(at time.Duration, e sent) bool { return isKey(e) && at > 20*time.Second }), time.Minute, nil).
		check(t, "no_keyframe 33-", "gop_long 28-")
}
