package media

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

// A field that is added to what is remembered of a stream needs a decision: does the
// process that goes on with the stream need it?
func TestEveryFieldIsDecided(t *testing.T) {
	const (
		goes  = "goes"  // state.go has it
		anew  = "anew"  // who goes on is told it again, or finds it out
		quiet = "quiet" // state.go sees to it that it makes no news
	)
	for typ, fields := range map[reflect.Type]map[string]string{
		reflect.TypeFor[Meter](): {
			"mu": anew, "bytes": anew, "rate": anew, "video": goes, "audio": goes, "since": anew, "skew": anew, "skewKnown": anew,
		},
		reflect.TypeFor[measured](): {
			"isThere": anew, "confirmed": anew, "codec": anew, "what": anew, "bytes": goes, "frames": goes, "jumps": goes, "rate": anew, "last": anew,
			"ticks": anew, "newest": anew, "cadence": anew,
		},
		reflect.TypeFor[pictures](): {
			"measured": goes, "keyframe": anew, "keyframeAt": anew, "keyframeOK": anew, "interval": anew, "composition": anew, "composed": anew,
			"reordered": anew,
		},
		reflect.TypeFor[Counters](): {
			"Bytes": goes, "Frames": goes, "Jumps": goes,
		},
		reflect.TypeFor[Advisor](): {
			"mu": anew, "episodes": anew, "memory": quiet,
		},
		reflect.TypeFor[recollection](): {
			"videoJumps": quiet, "audioJumps": quiet, "usual": anew, "dropped": quiet, "droppedAt": anew, "lag": anew, "keyless": anew,
		},
		reflect.TypeFor[jumps](): {
			"seen": quiet, "times": anew,
		},
	} {
		var there []string
		for i := range typ.NumField() {
			name := typ.Field(i).Name
			there = append(there, name)
			if fields[name] == "" {
				t.Errorf("%s.%s: does the next process need it? state.go has it, or not; say so here", typ.Name(), name)
			}
		}
		for name := range fields {
			if !slices.Contains(there, name) {
				t.Errorf("%s.%s is no more", typ.Name(), name)
			}
		}
	}
}

// What one meter has counted, the next one goes on with; and nobody is told again of
// what was before.
func TestCountersGoOn(t *testing.T) {
	show := studio{}.show(showtime(), 30*time.Second)
	video, audio := Counters{Bytes: 13, Frames: 14, Jumps: 15}, Counters{Bytes: 16, Frames: 17, Jumps: 18}
	m, a := &Meter{}, &Advisor{}
	m.Recall(video, audio)
	if v, s := m.Counters(); v != video || s != audio {
		t.Errorf("got %+v, %+v", v, s)
	}
	a.Recall(video, audio, 7)
	watch(m, show, 20*time.Second, func(now time.Time) {
		if begun, _ := a.Look(now, Condition{Figures: m.Figures(now), Encoder: 1, OnAir: time.Hour, Dropped: 7}); begun != nil {
			t.Errorf("it is news: %+v", begun)
		}
	})
	f := m.Figures(showtime().Add(20 * time.Second))
	if f.Video.Jumps != 15 || f.Audio.Jumps != 18 || f.Video.Messages != 14+601 {
		t.Errorf("got %+v, %+v", f.Video, f.Audio)
	}
	near(t, "rate of pictures", f.Video.Rate, 4e6, 2e5)
}
