package admin

import (
	"math"
	"time"

	"zegorelay/relay"
)

// This file is the shape of the API's JSON: a contract, which openapi.yaml describes and
// a test holds against it. Durations are milliseconds and say so in their names, times are
// RFC 3339 in UTC, and what is not known is null.

type streamsView struct {
	At        *time.Time   `json:"at"` // by the relay's clock
	ItemCount int          `json:"itemCount"`
	Items     []streamView `json:"items"`
}

type streamView struct {
	Name        string     `json:"name"`
	App         string     `json:"app"`
	StreamID    string     `json:"streamId"`
	Direction   string     `json:"direction"`
	Health      string     `json:"health"`
	Reason      string     `json:"reason"`
	HealthSince *time.Time `json:"healthSince"`
	Since       *time.Time `json:"since"`

	Publisher *publisherView `json:"publisher"`
	Remote    string         `json:"remote"`
	AwaySince *time.Time     `json:"awaySince"`
	Upstream  upstreamView   `json:"upstream"`

	Video    *videoView   `json:"video"`
	Audio    *audioView   `json:"audio"`
	AVSkewMs float64      `json:"avSkewMs"`
	Rate     rateView     `json:"rate"`
	Bytes    bytesView    `json:"bytes"`
	Messages messagesView `json:"messages"`

	Dropped    droppedView    `json:"dropped"`
	Drops      []dropView     `json:"drops"`
	Replayed   uint64         `json:"replayed"`
	QueueMs    int64          `json:"queueMs"`
	QueueBytes int            `json:"queueBytes"`
	LagMs      int64          `json:"lagMs"`
	RTTMs      *float64       `json:"rttMs"`
	Reconnects reconnectsView `json:"reconnects"`
	Dispatches uint64         `json:"dispatches"`
	OutageMs   int64          `json:"outageMs"`

	Players int    `json:"players"`
	Plays   uint64 `json:"plays"`
	Skipped uint64 `json:"skipped"`

	Advice []adviceView `json:"advice"`
	Events []eventView  `json:"events"`
}

type publisherView struct {
	ID     uint64     `json:"id"`
	Remote string     `json:"remote"`
	Since  *time.Time `json:"since"`
	Client string     `json:"client"`
	Secure bool       `json:"secure"`
}

type upstreamView struct {
	State       string       `json:"state"`
	Node        string       `json:"node"`
	Since       *time.Time   `json:"since"`
	Attempt     int          `json:"attempt"`
	NextTryInMs *int64       `json:"nextTryInMs"`
	LastError   *failureView `json:"lastError"`
}

type failureView struct {
	At     *time.Time `json:"at"`
	Stage  string     `json:"stage"`
	Code   string     `json:"code"`
	Text   string     `json:"text"`
	Advice string     `json:"advice"`
}

type trackView struct {
	Codec       string     `json:"codec"`
	Kbps        float64    `json:"kbps"`
	Messages    uint64     `json:"messages"`
	Jumps       uint64     `json:"timestampJumps"`
	LastMessage *time.Time `json:"lastMessageAt"`
}

type videoView struct {
	trackView

	Profile            string     `json:"profile"`
	Width              int        `json:"width"`
	Height             int        `json:"height"`
	FPS                float64    `json:"fps"`
	KeyframeIntervalMs *int64     `json:"keyframeIntervalMs"`
	LastKeyframe       *time.Time `json:"lastKeyframeAt"`
	BFrames            bool       `json:"bFrames"`
}

type audioView struct {
	trackView

	SampleRate int `json:"sampleRate"`
	Channels   int `json:"channels"`
}

type rateView struct {
	InKbps  float64 `json:"inKbps"`
	OutKbps float64 `json:"outKbps"`
}

type bytesView struct {
	In     uint64 `json:"in"`
	Out    uint64 `json:"out"`
	Played uint64 `json:"played"`
}

type messagesView struct {
	In  uint64 `json:"in"`
	Out uint64 `json:"out"`
}

type droppedView struct {
	Messages uint64 `json:"messages"`
	Ms       int64  `json:"ms"`
}

type dropView struct {
	Track    string `json:"track"`
	Reason   string `json:"reason"`
	Messages uint64 `json:"messages"`
}

type reconnectsView struct {
	Publisher uint64 `json:"publisher"`
	Upstream  uint64 `json:"upstream"`
}

type adviceView struct {
	Kind  string     `json:"kind"`
	Since *time.Time `json:"since"`
	Text  string     `json:"text"`
	Fix   string     `json:"fix"`
}

type eventView struct {
	ID        uint64     `json:"id"`
	At        *time.Time `json:"at"`
	Kind      string     `json:"kind"`
	Level     string     `json:"level"`
	Stream    string     `json:"stream"`
	StreamID  string     `json:"streamId"`
	Direction string     `json:"direction"`
	Text      string     `json:"text"`
	Advice    string     `json:"advice"`
}

type infoView struct {
	Version   string     `json:"version"`
	Revision  string     `json:"revision"`
	GoVersion string     `json:"goVersion"`
	StartedAt *time.Time `json:"startedAt"`
	UptimeMs  int64      `json:"uptimeMs"`
	RTMP      rtmpView   `json:"rtmp"`
	Token     tokenView  `json:"token"`
	ClockSkew *int64     `json:"clockSkewMs"`
	Totals    totalsView `json:"totals"`
}

type rtmpView struct {
	PublishURL string `json:"publishUrl"`
	PlayURL    string `json:"playUrl"`
	App        string `json:"app"`
	PullApp    string `json:"pullApp"`
}

type tokenView struct {
	IsSet   bool `json:"isSet"`   // without one nothing can be changed
	ForRead bool `json:"forRead"` // it is needed to read, too
}

type totalsView struct {
	Publishers     int               `json:"publishers"`
	Players        int               `json:"players"`
	PublishersEver uint64            `json:"publishersEver"`
	PlaysEver      uint64            `json:"playsEver"`
	Rejects        map[string]uint64 `json:"rejects"`
	Dispatches     []dispatchView    `json:"dispatches"`
	Throttled      uint64            `json:"throttled"`
	MemoryBytes    int64             `json:"memoryBytes"`
	EventsDropped  uint64            `json:"eventsDropped"`
}

type dispatchView struct {
	Direction string `json:"direction"`
	Code      string `json:"code"`
	Requests  uint64 `json:"requests"`
	TookMs    int64  `json:"tookMs"` // in all
}

// doneView is the answer to a command.
type doneView struct {
	Action    string `json:"action"`
	Name      string `json:"name"`
	Direction string `json:"direction"`
}

// stamp is t as the API says it; nil for the zero time.
func stamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}

// kilobits is a rate with one decimal; JSON has no numbers beyond the finite.
func kilobits(bits float64) float64 { return rounded(bits / 1000) }

func rounded(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return math.Round(f*100) / 100
}

// milliseconds keeps what is below one.
func milliseconds(d time.Duration) float64 { return rounded(d.Seconds() * 1000) }

func viewOfTotals(t relay.Totals) totalsView {
	v := totalsView{
		Publishers: t.Publishers, Players: t.Players, PublishersEver: t.PublishersEver, PlaysEver: t.PlaysEver,
		Rejects: t.Rejects, Dispatches: []dispatchView{},
		Throttled: t.Throttled, MemoryBytes: t.Memory, EventsDropped: t.EventsDropped,
	}
	if v.Rejects == nil {
		v.Rejects = map[string]uint64{}
	}
	for _, d := range t.Dispatches {
		v.Dispatches = append(v.Dispatches,
			dispatchView{string(d.Direction), d.Code, d.Requests, d.Took.Milliseconds()})
	}
	return v
}

func viewOfEvent(e relay.Event) eventView {
	return eventView{
		ID: e.ID, At: stamp(e.At), Kind: string(e.Kind), Level: e.Level,
		Stream: e.Stream, StreamID: e.StreamID, Direction: string(e.Direction), Text: e.Text, Advice: e.Advice,
	}
}
