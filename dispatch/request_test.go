package dispatch

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestEnvironment(t *testing.T) {
	const prefix = "zegotest-1234567890-"
	for what, tc := range map[string]struct {
		environment Environment
		id          string
		sent        string // empty: refused
		isTest      []string
	}{
		"unsaid":               {Unsaid, "cam1", "cam1", nil},
		"production":           {Production, "cam1", "cam1", []string{"false"}},
		"test":                 {Test, "cam1", prefix + "cam1", []string{"true"}},
		"test, prefixed":       {Test, prefix + "cam1", prefix + "cam1", []string{"true"}},
		"longest":              {Unsaid, strings.Repeat("a", 255), strings.Repeat("a", 255), nil},
		"too long":             {Unsaid, strings.Repeat("a", 256), "", nil},
		"too long by a prefix": {Test, strings.Repeat("a", 236), "", nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			var got url.Values
			z := fake(Options{Environment: tc.environment}, func(q url.Values) (int, http.Header, string) {
				got = q
				return 200, nil, good
			})
			_, err := z.Dispatch(t.Context(), Request{StreamID: tc.id, Direction: Push})
			switch {
			case tc.sent == "":
				if VerdictOf(err) != ThisStream || got != nil {
					t.Errorf("%s: got %v, sent %v", what, err, got)
				}
			case err != nil || got.Get("StreamId") != tc.sent || fmt.Sprint(got["IsTest"]) != fmt.Sprint(tc.isTest):
				t.Errorf("%s: sent StreamId %q, IsTest %v: %v", what, got.Get("StreamId"), got["IsTest"], err)
			}
		})
	}
}

func TestPull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := fake(Options{}, func(q url.Values) (int, http.Header, string) {
			if q.Get("Type") != "pull" {
				t.Errorf("Type is %q", q.Get("Type"))
			}
			return 200, nil, good
		})
		if _, err := z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Pull}); err != nil {
			t.Error(err)
		}
	})
}

// The old action names addresses; their URLs are built as the new one's are.
func TestRTMPDispatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := fake(Options{Action: V1, Environment: Test}, func(q url.Values) (int, http.Header, string) {
			if q.Get("Action") != "RTMPDispatch" {
				t.Errorf("Action is %q", q.Get("Action"))
			}
			return 200, nil, `{"Code":0,"Data":["81.69.49.115:1935","81.69.49.116:1936"]}`
		})
		answer, err := z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Push})
		if err != nil || len(answer.Nodes) != 2 ||
			answer.Nodes[1].URL() != "rtmp://81.69.49.116:1936/1234567890/zegotest-1234567890-cam1" {
			t.Errorf("got %v, %v", answer.Nodes, err)
		}
	})
}

// A ClientIP that ZEGO refuses is left out from then on, and told once.
func TestClientIPRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent, told []string
		z := fake(Options{
			ClientIP: netip.MustParseAddr("192.0.2.1"),
			Warn:     func(s string) { told = append(told, s) },
		}, func(q url.Values) (int, http.Header, string) {
			sent = append(sent, q.Get("ClientIP"))
			if q.Get("ClientIP") != "" {
				return 200, nil, `{"Code":30011}`
			}
			return 200, nil, good
		})
		for range 3 {
			if _, err := z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Push}); err != nil {
				t.Error(err)
			}
		}
		if fmt.Sprint(sent) != "[192.0.2.1   ]" || len(told) != 1 || !strings.Contains(told[0], "ZEGORELAY_CLIENT_IP") {
			t.Errorf("sent %q, told %q", sent, told)
		}
	})
}

// A clock that is off by more than signatures bear is corrected by the answer's
// Date; from a minute on it is told, once.
func TestA14ClockSkew(t *testing.T) {
	for what, tc := range map[string]struct {
		ahead time.Duration
		calls int
		told  string
	}{
		"right":           {0, 2, ""},
		"a little behind": {-40 * time.Second, 2, ""},
		"a minute ahead":  {65 * time.Second, 2, "ahead of"},
		"far ahead":       {11 * time.Minute, 3, "ahead of"},
		"far behind":      {-24 * time.Hour, 3, "behind"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var told []string
			calls := 0
			nonces, sequences := map[string]bool{}, map[string]bool{}
			z := fake(Options{
				Now:  func() time.Time { return time.Now().Add(tc.ahead) },
				Warn: func(s string) { told = append(told, s) },
			}, func(q url.Values) (int, http.Header, string) {
				calls++
				nonces[q.Get("SignatureNonce")], sequences[q.Get("Sequence")] = true, true
				header := http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}}
				var at int64
				_, _ = fmt.Sscan(q.Get("Timestamp"), &at)
				if off := time.Since(time.Unix(at, 0)); off.Abs() > 10*time.Minute {
					return 200, header, `{"Code":100000004}`
				}
				return 200, header, good
			})
			for range 2 {
				if _, err := z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Push}); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			if skew, ok := z.Skew(); !ok || (skew-tc.ahead).Abs() > 2*time.Second {
				t.Errorf("%s: measured %v, %v", what, skew, ok)
			}
			if calls != tc.calls || len(nonces) != calls || len(sequences) != calls {
				t.Errorf("%s: %d calls, %d nonces, %d sequences; want %d", what, calls, len(nonces), len(sequences), tc.calls)
			}
			if said := strings.Join(told, "|"); (said == "") != (tc.told == "") || !strings.Contains(said, tc.told) || len(told) > 1 {
				t.Errorf("%s: told %q, want %q once", what, said, tc.told)
			}
		})
	}
}

// A signature that has expired for no reason of ours is not tried for ever.
func TestExpiredAlthoughTheClockIsRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		z := fake(Options{}, func(url.Values) (int, http.Header, string) {
			calls++
			return 200, http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}}, `{"Code":100000004}`
		})
		if _, err := z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Push}); VerdictOf(err) != Operator || calls != 1 {
			t.Errorf("%d calls, %v", calls, err)
		}
	})
}

// An endpoint that has failed rests; when all do, all are asked.
func TestEndpointsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := ""
		down := map[string]bool{"a": true}
		z := fake(Options{Rate: 100}, nil)
		z.endpoints = newEndpoints([]*url.URL{{Scheme: "https", Host: "a"}, {Scheme: "https", Host: "b"}})
		z.client.Transport = transportFunc(func(r *http.Request) (*http.Response, error) {
			asked += r.URL.Host
			if down[r.URL.Host] {
				return nil, fmt.Errorf("dial %s: no route", r.URL.Host)
			}
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(good))}, nil
		})
		ask := func() error {
			_, err := z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Push})
			asked += " "
			return err
		}
		for range 2 {
			if err := ask(); err != nil {
				t.Error(err)
			}
		}
		<-time.After(31 * time.Second)
		if err := ask(); err != nil { // a is tried again, and still down
			t.Error(err)
		}
		down["b"] = true
		for range 2 {
			if ask() == nil {
				t.Error("an answer although both are down")
			}
		}
		down["a"] = false
		if err := ask(); err != nil {
			t.Error(err)
		}
		if want := "ab b ab b ab a "; asked != want {
			t.Errorf("asked %q, want %q", asked, want)
		}
	})
}
