package relay

import (
	"strings"
	"testing"
	"time"

	"zegorelay/dispatch"
)

func TestJudge(t *testing.T) {
	live := Status{Direction: dispatch.Push, Publisher: &Publisher{}, State: Publishing}
	with := func(change func(*Status)) Status {
		s := live
		change(&s)
		return s
	}
	for name, tc := range map[string]struct {
		st     Status
		drops  bool
		want   Health
		reason string
	}{
		"live":                   {st: live, want: OK},
		"no encoder":             {st: Status{Direction: dispatch.Push, State: Idle}, want: Away, reason: "no encoder"},
		"encoder lost":           {st: with(func(s *Status) { s.Publisher, s.Away = nil, time.Now() }), want: Away, reason: "held"},
		"begins":                 {st: with(func(s *Status) { s.State, s.OutFor = Dispatching, time.Second }), want: Degraded, reason: "asks ZEGO"},
		"begins for too long":    {st: with(func(s *Status) { s.State, s.OutFor = Connecting, time.Minute }), want: Down, reason: "no node"},
		"lost its node":          {st: with(func(s *Status) { s.State, s.LastError = Waiting, "node lost: reset" }), want: Down, reason: "node lost: reset"},
		"asks again":             {st: with(func(s *Status) { s.State, s.LastError = Dispatching, "node lost: reset" }), want: Down, reason: "reset"},
		"node silent":            {st: with(func(s *Status) { s.Stood = 2 * time.Second }), want: Degraded, reason: "acknowledged nothing for 2 s"},
		"encoder silent":         {st: with(func(s *Status) { s.Silence = 4 * time.Second }), want: Degraded, reason: "encoder has sent nothing for 4 s"},
		"drops":                  {st: live, drops: true, want: Degraded, reason: "dropped"},
		"behind":                 {st: with(func(s *Status) { s.Lag, s.RateIn = 5*time.Second, 2e6 }), want: Degraded, reason: "5 s behind"},
		"sound alone":            {st: with(func(s *Status) { s.Lag, s.RateIn = 5*time.Second, 64e3 }), want: OK},
		"no picture":             {st: with(func(s *Status) { s.Advice = []Advice{{Kind: "no_video", Text: "no picture"}} }), want: Degraded, reason: "no picture"},
		"B-frames":               {st: with(func(s *Status) { s.Advice = []Advice{{Kind: "b_frames"}} }), want: OK},
		"pull without players":   {st: Status{Direction: dispatch.Pull, State: Playing}, want: Away, reason: "no player"},
		"pull":                   {st: Status{Direction: dispatch.Pull, State: Playing, Players: 1}, want: OK},
		"pull with a mute node":  {st: Status{Direction: dispatch.Pull, State: Playing, Players: 1, Silence: 3 * time.Second}, want: Degraded, reason: "node has sent nothing"},
		"pull without its node":  {st: Status{Direction: dispatch.Pull, State: Waiting, Players: 1, LastError: "1003"}, want: Down, reason: "1003"},
		"connected, not claimed": {st: with(func(s *Status) { s.State, s.OutFor, s.Outage = Connecting, time.Second, time.Hour }), want: Degraded},
	} {
		got, reason := judge(&tc.st, tc.drops)
		if got != tc.want || !strings.Contains(reason, tc.reason) || (got == OK) != (reason == "") {
			t.Errorf("%s: got %s, %q, want %s, %q", name, got, reason, tc.want, tc.reason)
		}
	}
}

func TestHealthSince(t *testing.T) {
	var h healthState
	at := time.Unix(1000, 0)
	st := Status{Direction: dispatch.Push, Publisher: &Publisher{}, State: Publishing}
	h.settle(&st, at)
	h.settle(&st, at.Add(time.Second))
	if st.Health != OK || !st.HealthSince.Equal(at) {
		t.Errorf("got %s since %v", st.Health, st.HealthSince)
	}
	st.Dropped = 3
	h.settle(&st, at.Add(2*time.Second))
	if st.Health != Degraded || !st.HealthSince.Equal(at.Add(2*time.Second)) {
		t.Errorf("after drops: got %s since %v", st.Health, st.HealthSince)
	}
	h.settle(&st, at.Add(2*time.Second+dropMemoryFor))
	if st.Health != OK {
		t.Errorf("after a while without: got %s, %s", st.Health, st.Reason)
	}
}

func TestOutage(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	var o outage
	steps := []struct {
		at              int
		attended, onAir bool
		restored, total time.Duration
	}{
		{0, true, false, 0, 0},
		{3, true, true, 0, 3 * time.Second}, // the first node restores nothing
		{10, true, false, 0, 3 * time.Second},
		{12, true, true, 2 * time.Second, 5 * time.Second},
		{20, true, false, 0, 5 * time.Second},
		{24, false, false, 0, 9 * time.Second}, // nobody needs it any more
		{30, true, false, 0, 9 * time.Second},
		{31, true, true, 0, 10 * time.Second}, // for an encoder that had none
	}
	for _, s := range steps {
		o.attended, o.onAir = s.attended, s.onAir
		if restored := o.reckon(at(s.at)); restored != s.restored || o.total+o.present(at(s.at)) != s.total {
			t.Errorf("at %d: restored %v, total %v; want %v, %v", s.at, restored, o.total+o.present(at(s.at)), s.restored, s.total)
		}
	}
}
