package relay

import (
	"testing"
	"time"

	"zegorelay/dispatch"
	"zegorelay/relay/media"
)

// What advice depends on is taken from a Status as it is meant there.
func TestConditionForAdvice(t *testing.T) {
	figures := media.Figures{RateIn: 4e6, Video: &media.VideoTrack{FPS: 30}}
	st := Status{
		Direction: dispatch.Push, State: Publishing, StateFor: time.Minute, Publishes: 3, Figures: figures, RateOut: 2e6, Lag: time.Second,
		Drops: []Drop{{"video", "age", 1000}, {"video", "slow", 5}, {"audio", "slow", 2}},
	}
	with := func(change func(*Status)) Status {
		s := st
		change(&s)
		return s
	}
	want := media.Condition{Figures: figures, Encoder: 3, OnAir: time.Minute, RateOut: 2e6, Lag: time.Second, Behind: true, Dropped: 7}
	wanted := func(change func(*media.Condition)) media.Condition {
		c := want
		change(&c)
		return c
	}
	for name, tc := range map[string]struct {
		st   Status
		want media.Condition
	}{
		"on air":         {st, want},
		"without a node": {with(func(s *Status) { s.State = Waiting }), wanted(func(c *media.Condition) { c.OnAir = 0 })},
		"seconds of sound that the node may have": {
			with(func(s *Status) { s.RateIn = 64e3 }), wanted(func(c *media.Condition) { c.RateIn, c.Behind = 64e3, false }),
		},
		"a pull": {
			with(func(s *Status) { s.Direction, s.State = dispatch.Pull, Playing }),
			wanted(func(c *media.Condition) { c.Pulled, c.OnAir = true, 0 }),
		},
	} {
		if got := tc.st.condition(); got != tc.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tc.want)
		}
	}
}
