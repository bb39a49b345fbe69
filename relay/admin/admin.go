// Package admin is what the operator, or a machine on the operator's behalf, sees and
// touches of a running relay over HTTP: the status page, an API, metrics, a preview, and
// a webhook that tells of events.
//
// A request goes through the door (door.go), which holds few connections and gives up
// waiting ones first; then through access (access.go), which knows who may do what; and
// then to its handler (routes.go says which). openapi.yaml describes all of them. Nothing
// here waits for an encoder, a player or a node, and none of them waits for anything here.
package admin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"zegorelay/relay"
)

const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second // the whole request
	writeTimeout      = 10 * time.Second // the whole answer; rolling for the feed and the preview
	idleTimeout       = 30 * time.Second
	maxHeader         = 16 << 10 // bytes
	maxConnections    = 64

	// grace is how long requests and deliveries of the webhook may go on at the end.
	grace = time.Second
)

// Relay is what is needed of a relay.Server.
type Relay interface {
	Streams() []relay.Status
	Totals() relay.Totals
	Events(ctx context.Context) <-chan relay.Event
	Kick(name string, direction relay.Direction) error
	Redispatch(name string, direction relay.Direction) error
	ObserveDispatch(f func(d relay.Direction, took time.Duration))
	ObserveRestore(f func(took time.Duration))
	WriteFLV(ctx context.Context, name string, direction relay.Direction, w io.Writer) error
}

// Options say what a Server shows. Relay is required; a func that is nil, or a text that
// is empty, is something that is not known or not wanted. Secrets are funcs, so that
// nothing that prints Options prints them.
type Options struct {
	Relay Relay
	Log   zerolog.Logger

	Token func() string // needed to write, and to read from elsewhere than this machine

	Version    string // of the program
	Revision   string // of its source
	PublishURL string // for encoders, without the key
	PlayURL    string // for players, without the StreamId
	App        string // RTMP application for publishing
	PullApp    string // RTMP application for playing

	Configured func() []string // names of streams that have metrics before anybody publishes them

	Skew       func() (ahead time.Duration, measured bool) // this machine's clock to ZEGO's
	LogDropped func() uint64                               // lines that the log had no room for
	Reload     func() (ok bool, at time.Time)              // the last reading of the configuration

	WebhookURL    func() string // may hold a password
	WebhookSecret func() string // signs what is sent
}

// Server is the operator's side of a relay.
type Server struct {
	o       Options
	started time.Time
	token   string
	feed    *feed
	preview *preview
	metrics http.Handler
	page    map[string]file
	webhook *webhook // nil: none
}

// NewServer returns a Server that does nothing until Run. It must be called before the
// relay runs.
func NewServer(o Options) *Server {
	s := &Server{o: o, started: time.Now(), token: reveal(o.Token), page: pageFiles()}
	s.feed = newFeed(s.streamsMessage)
	s.preview = newPreview(o.Relay)
	s.webhook = newWebhook(reveal(o.WebhookURL), reveal(o.WebhookSecret), o.Log)
	s.metrics = newMetrics(s)
	return s
}

func reveal(secret func() string) string {
	if secret == nil {
		return ""
	}
	return secret()
}

// Run serves HTTP on ln, unless that is nil, and delivers to the webhook until ctx ends.
// It closes ln, and everything it started has ended when it returns, a second after ctx at
// the latest. Its error is nil then, else why ln failed.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	work, ctx := errgroup.WithContext(ctx)
	if s.webhook != nil {
		events := s.o.Relay.Events(ctx)
		work.Go(func() error { s.webhook.run(ctx, events); return nil })
	}
	if ln != nil {
		events := s.o.Relay.Events(ctx)
		work.Go(func() error { s.feed.run(ctx, events); return nil })
		work.Go(func() error { return s.serve(ctx, ln) })
	}
	return work.Wait()
}

// serve serves HTTP on ln until ctx ends.
func (s *Server) serve(ctx context.Context, ln net.Listener) error {
	door := newDoor(ln, maxConnections)
	web := &http.Server{
		Handler:           door.count(s.handler(ln.Addr())),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(zerolog.NewSlogHandler(s.o.Log), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return ctx }, // ends feeds and previews
		ConnContext:       door.context,
	}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(door) }()
	select {
	case err := <-ended:
		_ = web.Close()
		door.wait()
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if web.Shutdown(last) != nil {
		_ = web.Close()
	}
	err := <-ended
	door.wait()
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
