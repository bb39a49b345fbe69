package relay

import (
	"errors"
	"testing"
	"time"

	"zegorelay/dispatch"
	"zegorelay/relay/rtmp"
)

// What was lost decides how long to wait, by itself or beside the usual.
func TestDelay(t *testing.T) {
	api := func(v dispatch.Verdict, code, status int) error {
		return &dispatch.Error{Verdict: v, Code: code, HTTPStatus: status, Err: errors.New("no")}
	}
	taken := &rtmp.StatusError{Code: rtmp.CodePublishBadName}
	now := time.Now()
	for what, tc := range map[string]struct {
		lost   loss
		lostAt time.Time // of our last session
		usual  time.Duration
		want   time.Duration
	}{
		"a node":                         {loss{err: errStalled}, now, 70 * time.Millisecond, 70 * time.Millisecond},
		"a node that was healthy":        {loss{err: errStalled, lasted: healthyAfter}, now, time.Minute, 0},
		"the API doesn't answer":         {loss{err: api(dispatch.Again, 0, 0)}, now, time.Minute, unreachableWait},
		"the API's front answers 503":    {loss{err: api(dispatch.Again, 0, 503)}, now, time.Minute, unreachableWait},
		"the API doesn't answer, early":  {loss{err: api(dispatch.Again, 0, 0)}, now, 0, failedCallWait},
		"a code that heals, early":       {loss{err: api(dispatch.Again, 1001, 200)}, now, 0, failedCallWait},
		"a code that nobody knows":       {loss{err: api(dispatch.Again, 4711, 200)}, now, 0, unknownWait},
		"a code that heals":              {loss{err: api(dispatch.Again, 1001, 200)}, now, time.Minute, time.Minute},
		"a code that slows":              {loss{err: api(dispatch.Throttled, 1010, 200)}, now, 0, throttledWait},
		"a code for a person":            {loss{err: api(dispatch.Operator, 100000005, 200)}, now, 0, operatorWait},
		"a code for the stream":          {loss{err: api(dispatch.ThisStream, 30009, 200)}, now, 0, operatorWait},
		"the name is our own ghost's":    {loss{err: taken}, now.Add(-time.Minute), 0, ghostWait},
		"the name is taken for too long": {loss{err: taken}, now.Add(-ghostLife - time.Second), 0, takenWait},
		"the name is another's":          {loss{err: taken}, time.Time{}, 0, takenWait},
		"the name, late":                 {loss{err: taken}, now, 9 * time.Second, 9 * time.Second},
	} {
		s := &Stream{lostAt: tc.lostAt}
		if got := s.delay(&tc.lost, tc.usual); got != tc.want {
			t.Errorf("%s: got %v, want %v", what, got, tc.want)
		}
	}
}
