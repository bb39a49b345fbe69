package relay

import (
	"testing"
	"time"

	"zegorelay/relay/rtmp"
)

func TestPace(t *testing.T) {
	for what, c := range map[string]struct {
		perSecond uint32 // ms of media
		leap      uint32 // after a minute
		want      bool
	}{
		"a live encoder":            {1000, 0, false},
		"a clock that is 0.5% fast": {1005, 0, false},
		"a clock that is set anew":  {1000, 3_600_000, false},
		"a clock that is set back":  {1000, 1<<32 - 60_000, false},
		"a file at double speed":    {2000, 0, true},
		"a slow encoder":            {500, 0, false},
	} {
		var p pace
		now, timestamp := time.Now(), uint32(1<<32-30_000) // over the wrap, too
		for s := range 3600 * 25 {
			if s == 60*25 {
				timestamp += c.leap
			}
			p.note(rtmp.Message{Type: rtmp.TypeVideo, Timestamp: timestamp}, now)
			timestamp += c.perSecond / 25
			now = now.Add(time.Second / 25)
			if s%25 == 0 {
				timestamp += c.perSecond % 25
			}
		}
		if p.ahead != c.want {
			t.Errorf("%s for an hour: ahead is %v", what, p.ahead)
		}
	}
}
