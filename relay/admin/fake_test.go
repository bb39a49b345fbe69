package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"zegorelay/relay"
)

// fake is a relay with streams that have everything a Status can have.
type fake struct {
	mu       sync.Mutex
	statuses []relay.Status
	totals   relay.Totals
	calls    []string
	asked    int // how often for Streams
	events   []chan relay.Event

	dispatched func(relay.Direction, time.Duration)
	restored   func(time.Duration)
	flv        func(ctx context.Context, w io.Writer) error
}

func (f *fake) Streams() []relay.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	return f.statuses
}

func (f *fake) Totals() relay.Totals { return f.totals }

func (f *fake) Events(ctx context.Context) <-chan relay.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	events := make(chan relay.Event, 1000)
	f.events = append(f.events, events)
	return events
}

func (f *fake) happen(e relay.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, events := range f.events {
		events <- e
	}
}

var errUnable = errors.New("the stream is draining")

func (f *fake) do(what, name string, d relay.Direction) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, what+" "+name+" "+string(d))
	switch name {
	case "gone":
		return relay.ErrNoStream
	case "draining":
		return errUnable
	}
	return nil
}

func (f *fake) Kick(name string, d relay.Direction) error       { return f.do("kick", name, d) }
func (f *fake) Redispatch(name string, d relay.Direction) error { return f.do("redispatch", name, d) }

func (f *fake) ObserveDispatch(g func(relay.Direction, time.Duration)) { f.dispatched = g }
func (f *fake) ObserveRestore(g func(time.Duration))                   { f.restored = g }

func (f *fake) WriteFLV(ctx context.Context, name string, _ relay.Direction, w io.Writer) error {
	if name == "gone" {
		return relay.ErrNoStream
	}
	if f.flv != nil {
		return f.flv(ctx, w)
	}
	_, err := io.WriteString(w, "FLV")
	return err
}

var testTime = time.Date(2026, 11, 27, 12, 0, 0, 123456789, time.FixedZone("CET", 3600))

func richStatus(name string, direction relay.Direction) relay.Status {
	st := relay.Status{
		Name: name, StreamID: "venue-" + name, App: "live", Direction: direction, Since: testTime,
		Health: relay.Down, Reason: "ZEGO has no node", HealthSince: testTime,
		Publisher: &relay.Publisher{ID: 7, Remote: "10.0.0.5:51312", Since: testTime, Client: "FMLE/3.0", Secure: true},
		Remote:    "10.0.0.5:51312", Away: testTime, Publishes: 3,
		State: relay.Waiting, StateFor: 3 * time.Second, Node: "81.69.49.115:1935", LastError: "dispatch: 1002",
		Failure: &relay.Failure{At: testTime, Stage: relay.AtDispatch, Code: "1002", Text: "no push node", Advice: "wait"},
		Attempt: 4, NextTry: time.Now().Add(time.Hour),
		BytesIn: 1000, MessagesIn: 100, BytesOut: 900, MessagesOut: 90, Replayed: 5, Dropped: 60,
		Drops:      []relay.Drop{{Track: "video", Reason: "age", Messages: 50}, {Track: "audio", Reason: "bytes", Messages: 10}},
		Dispatches: 4, Sessions: 3, Outage: 1800 * time.Millisecond,
		Disconnects: map[string]uint64{"reset": 2},
		Players:     2, Plays: 9, BytesPlayed: 777, Skipped: 11,
		BacklogBytes: 4096, BacklogAge: 12 * time.Millisecond, Lag: 34 * time.Millisecond, RTT: 5600 * time.Microsecond,
		Advice: []relay.Advice{{Kind: "b_frames", Since: testTime, Text: "there are B-frames", Fix: "set bframes to 0"}},
		Events: []relay.Event{richEvent(1, relay.EventUpstreamLost)},
	}
	st.Video = &relay.VideoTrack{
		Track:   relay.Track{Codec: "h264", Rate: 4e6, Messages: 70, Jumps: 1, Last: testTime},
		Profile: "High", Width: 1920, Height: 1080, FPS: 25, KeyframeInterval: 2 * time.Second,
		LastKeyframe: testTime, BFrames: true,
	}
	st.Audio = &relay.AudioTrack{
		Track:      relay.Track{Codec: "aac", Rate: 128e3, Messages: 30, Jumps: 2, Last: testTime},
		SampleRate: 48000, Channels: 2,
	}
	st.RateIn, st.RateOut, st.Skew = 4.012e6, 4.01e6, -20*time.Millisecond
	return st
}

func richEvent(id uint64, kind relay.EventKind) relay.Event {
	return relay.Event{
		ID: id, At: testTime, Kind: kind, Level: "warn", Stream: "cam1", StreamID: "venue-cam1",
		Direction: relay.Push, Text: "The node closed the connection.", Advice: "wait",
	}
}

func newFake() *fake {
	return &fake{
		statuses: []relay.Status{
			richStatus("cam2", relay.Push), richStatus("cam1", relay.Push), richStatus("both", relay.Pull),
			richStatus("both", relay.Push), richStatus("gone", relay.Push), richStatus("draining", relay.Push),
		},
		totals: relay.Totals{
			Publishers: 2, Players: 3, PublishersEver: 20, PlaysEver: 30, Rejects: map[string]uint64{"conflict": 4},
			Dispatches: []relay.DispatchCount{{Direction: relay.Push, Code: "1002", Requests: 5, Took: time.Second}},
			Throttled:  1, Memory: 8192, EventsDropped: 2,
		},
	}
}

const testToken = "marker2-token-0123456789"

func fixed(text string) func() string { return func() string { return text } }

func loopback() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8935} }
func outside() net.Addr  { return &net.TCPAddr{IP: net.IPv4zero, Port: 8935} }

func testServer(f *fake) *Server {
	return NewServer(Options{
		Relay: f, Token: fixed(testToken), Version: "v0.3.1", Revision: "a1b2c3d",
		PublishURL: "rtmp://host:1935/live", PlayURL: "rtmp://host:1935/pull", App: "live", PullApp: "pull",
		Skew:       func() (time.Duration, bool) { return -1500 * time.Millisecond, true },
		LogDropped: func() uint64 { return 3 },
		Reload:     func() (bool, time.Time) { return true, testTime },
		Configured: func() []string { return []string{"cam1", "cam9"} },
	})
}

// ask makes one request; head lines are pairs.
func ask(h http.Handler, method, target string, head ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, bytes.NewReader(nil))
	r.Host = "127.0.0.1:8935"
	for i := 0; i < len(head); i += 2 {
		if head[i] == "Host" {
			r.Host = head[i+1]
		} else {
			r.Header.Add(head[i], head[i+1])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
