package relay

import (
	"context"
	"net/netip"
	"time"

	"github.com/rs/zerolog"

	"zegorelay/dispatch"
	"zegorelay/relay/rtmp"
)

// DispatchFunc asks which nodes a stream goes to. Its errors carry a verdict.
type DispatchFunc func(ctx context.Context, r dispatch.Request) (dispatch.Answer, error)

// Options tune a Server. Dispatch is required; any other zero field means the
// default in brackets.
type Options struct {
	Dispatch DispatchFunc
	Nodes    rtmp.Dialer    // reaches nodes
	Log      zerolog.Logger // [silent]
	Limits   rtmp.Limits    // what one encoder may make us hold

	App      string // RTMP application that encoders publish to [live]
	PullApp  string // RTMP application by which players play from ZEGO [pull]
	StreamID string // template with {app} and {key}, without Rules [{key}]
	Rules    []Rule // the streams that may be published; see Server.SetRules [any StreamId]

	ConnectTimeout   time.Duration // node: from dial to Publish.Start [5s]
	StallTimeout     time.Duration // node: no progress with data under way [5s]
	PublisherTimeout time.Duration // encoder: silence [15s]
	Grace            time.Duration // encoder lost without goodbye: its node is held for its return [none]
	Conflict         Conflict      // a second encoder on a stream [Auto]
	DrainTimeout     time.Duration // what is accepted may take this long to reach a node after the encoder's end [10s]
	RetryMin         time.Duration // ceiling of the first wait for another node [200ms]
	RetryMax         time.Duration // ceiling of the longest [15s]

	Backlog      time.Duration // age up to which undelivered media is kept [10s]
	BacklogBytes int           // bytes of it, for one stream [64 MiB]
	MemoryBytes  int64         // bytes of it, for all streams [1 GiB]

	PlayAllow []netip.Prefix // addresses that may play [none]
	PullIdle  time.Duration  // a pulled stream without a player goes on for [not at all]
	PullWait  time.Duration  // players without media are held for [10s]

	MaxStreams     int // streams at a time, pulled ones included [1000]
	MaxConnections int // encoders' and players' connections at a time [4000]
}

func (o Options) withDefaults() Options {
	setDefault(&o.App, "live")
	setDefault(&o.PullApp, "pull")
	setDefault(&o.StreamID, "{key}")
	setDefault(&o.ConnectTimeout, 5*time.Second)
	setDefault(&o.StallTimeout, 5*time.Second)
	setDefault(&o.PublisherTimeout, 15*time.Second)
	setDefault(&o.DrainTimeout, 10*time.Second)
	setDefault(&o.RetryMin, 200*time.Millisecond)
	setDefault(&o.RetryMax, 15*time.Second)
	setDefault(&o.Backlog, 10*time.Second)
	setDefault(&o.BacklogBytes, 64<<20)
	setDefault(&o.MemoryBytes, 1<<30)
	setDefault(&o.Conflict, Auto)
	setDefault(&o.PullWait, 10*time.Second)
	setDefault(&o.MaxStreams, 1000)
	setDefault(&o.MaxConnections, 4000)
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
