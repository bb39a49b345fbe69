package relay

import (
	"testing"
	"time"
)

func TestTimeline(t *testing.T) {
	const day = 24 * 3600 * 1000
	for what, tc := range map[string]struct{ in, want []uint32 }{
		"begins at 0":                           {[]uint32{5000, 5020, 5040}, []uint32{0, 20, 40}},
		"begins at 0 five hours in":             {[]uint32{18_000_000, 18_000_040}, []uint32{0, 40}},
		"a track that lags a little":            {[]uint32{5000, 4990, 5010}, []uint32{0, 0, 10}},
		"tracks in turns":                       {[]uint32{5000, 5000, 5021, 5015, 5043}, []uint32{0, 0, 21, 15, 43}},
		"over 2^24":                             {[]uint32{1<<24 - 20, 1<<24 + 20}, []uint32{0, 40}},
		"over 2^31":                             {[]uint32{1<<31 - 20, 1<<31 + 20}, []uint32{0, 40}},
		"over 2^32":                             {[]uint32{1<<32 - 20, 20}, []uint32{0, 40}},
		"ffmpeg falls from 2^31 to 0":           {[]uint32{1<<31 - 60, 1<<31 - 20, 0, 40}, []uint32{0, 40, 0, 40}},
		"a fall within the session is a fall":   {[]uint32{1000, 90_000, 30_000, 30_040}, []uint32{0, 89_000, 29_000, 29_040}},
		"a fall to before its beginning":        {[]uint32{90_000, 95_000, 0, 40}, []uint32{0, 5000, 0, 40}},
		"a jump ahead by an hour":               {[]uint32{0, 40, 3_600_040}, []uint32{0, 40, 3_600_040}},
		"a session of more than 2^31 ms is one": {[]uint32{100, 20*day + 100, 30*day + 100, 30*day + 140}, []uint32{0, 20 * day, 30 * day, 30*day + 40}},
	} {
		t.Run(what, func(t *testing.T) {
			var clock timeline
			for i, in := range tc.in {
				if got := clock.at(in); got != tc.want[i] {
					t.Errorf("message %d at %d: got %d, want %d", i, in, got, tc.want[i])
				}
			}
		})
	}
}

// A year in steps of ten minutes: the session's clock is the encoder's, less
// what it showed at the beginning, all along.
func TestTimelineGoesOnForAYear(t *testing.T) {
	var clock timeline
	const step = 600_000
	for ms := uint64(0); ms < 366*24*3600*1000; ms += step {
		if got := clock.at(uint32(ms + 777)); got != uint32(ms) {
			t.Fatalf("after %d ms: got %d", ms, got)
		}
	}
}

func TestBackoff(t *testing.T) {
	fresh := func() backoff { return backoff{min: 200 * time.Millisecond, max: 15 * time.Second} }
	// ceiling is the longest of many waits after n failures in a row.
	ceiling := func(b backoff, n int) (longest time.Duration) {
		for range 2000 {
			tried := b
			var wait time.Duration
			for range n {
				wait = tried.next()
			}
			longest = max(longest, wait)
		}
		return longest
	}
	for n, want := range []time.Duration{1: 200, 2: 400, 3: 800, 7: 12_800, 8: 15_000, 60: 15_000} {
		if want *= time.Millisecond; want == 0 {
			continue
		}
		if got := ceiling(fresh(), n); got > want || got < want*95/100 {
			t.Errorf("the %dth wait is at most %v, want %v", n, got, want)
		}
	}
	b := fresh()
	for range 10 {
		b.next()
	}
	b.succeeded(time.Second)
	if b.failures != 10 {
		t.Error("a session of a second made up for a failure")
	}
	b.succeeded(8 * time.Second)
	if b.failures != 6 {
		t.Errorf("after 8 s of a session: %d failures, want 6", b.failures)
	}
	b.succeeded(healthyAfter)
	if b.failures != 0 {
		t.Errorf("after a healthy session: %d failures", b.failures)
	}
}
