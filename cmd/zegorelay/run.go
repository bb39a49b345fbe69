package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"zegorelay/config"
	"zegorelay/dispatch"
	"zegorelay/relay"
	"zegorelay/relay/admin"
	"zegorelay/relay/rtmp"
)

type runCommand struct{}

// Run relays until ctx ends.
func (runCommand) Run(ctx context.Context, t terminal) error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	outliveReaders()
	log, queue := newLogger(t.err, cfg)
	defer queue.Close()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	log.Info().Str(logVersion, version().String()).Uint32(logAppID, cfg.AppID).Msg("zegorelay started")
	d, err := prepare(cfg, log)
	if err != nil {
		log.Error().Err(err).Msg("zegorelay could not start")
		return logged{err}
	}
	d.logDropped, d.hangups, d.setLevel = queue.Dropped, hangups, queue.SetLevel
	d.logReady()
	if err := d.run(ctx); err != nil {
		log.Error().Err(err).Msg("zegorelay failed")
		return logged{err}
	}
	log.Info().Msg("zegorelay ended")
	return nil
}

// prepare fits a daemon into its surroundings: what the machine gives it, and who has
// started it.
func prepare(cfg *config.Config, log zerolog.Logger) (*daemon, error) {
	fitMemory(cfg, os.DirFS("/"), log)
	limitMemory(cfg.Memory)
	if most, ok := mostDescriptors(); ok {
		warnOfDescriptors(cfg, most, log)
	}
	manager := newServiceManager(log)
	sockets, err := inheritSockets()
	if err != nil {
		return nil, err
	}
	d, err := newDaemon(cfg, log, sockets)
	if err != nil {
		sockets.close()
		return nil, err
	}
	d.manager = manager
	return d, nil
}

// daemon is a configured relay with its listeners open.
type daemon struct {
	cfg      *config.Config
	zego     *dispatch.Zego
	relay    *relay.Server
	encoders []net.Listener // the first is RTMP, others may be RTMPS
	http     net.Listener   // nil if it is off
	log      zerolog.Logger

	manager    *serviceManager     // may be one that isn't there
	logDropped func() uint64       // lines that could not be logged; nil if nobody counts
	setLevel   func(zerolog.Level) // of the log; nil if it stays
	hangups    <-chan os.Signal    // ask for the configuration to be read again; nil: nobody does
	reloaded   atomic.Pointer[reloaded]
}

// newDaemon connects the rooms of the house and opens its doors, of which some may
// have been opened before.
func newDaemon(cfg *config.Config, log zerolog.Logger, sockets inherited) (*daemon, error) {
	zego := newZego(cfg, func(sentence string) { log.Warn().Msg(sentence) })
	nodes := net.Dialer{Control: dispatch.NodePolicy{Allow: cfg.NodeAllow}.Control}
	server := relay.New(relay.Options{
		Dispatch:         zego.Dispatch,
		Nodes:            rtmp.Dialer{Dial: nodes.DialContext},
		Log:              log,
		App:              cfg.App,
		PullApp:          cfg.PullApp,
		StreamID:         cfg.StreamID,
		Rules:            rulesOf(cfg),
		ConnectTimeout:   cfg.ConnectTimeout,
		StallTimeout:     cfg.StallTimeout,
		Conflict:         relay.Conflict(cfg.Conflict),
		Grace:            cfg.Grace,
		PublisherTimeout: cfg.PublisherTimeout,
		DrainTimeout:     cfg.ShutdownTimeout,
		RetryMin:         cfg.RetryMin,
		RetryMax:         cfg.RetryMax,
		Backlog:          cfg.Backlog,
		BacklogBytes:     int(min(cfg.BacklogBytes, math.MaxInt)),
		MemoryBytes:      cfg.Memory / 8 * 5,
		PlayAllow:        cfg.PlayAllow,
		PullIdle:         cfg.PullIdle,
		PullWait:         cfg.PullWait,
		MaxStreams:       cfg.MaxStreams,
		MaxConnections:   cfg.MaxConnections,
	})
	d := &daemon{cfg: cfg, zego: zego, relay: server, log: log, manager: &serviceManager{}}
	d.reloaded.Store(&reloaded{cfg: cfg, ok: true, at: time.Now()})
	if err := d.listen(sockets); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// newZego is ZEGO as the configuration names it.
func newZego(cfg *config.Config, warn func(sentence string)) *dispatch.Zego {
	environment := map[string]dispatch.Environment{"true": dispatch.Test, "false": dispatch.Production}[cfg.IsTest]
	return dispatch.NewZego(dispatch.Options{
		Signer:      dispatch.NewSigner(cfg.AppID, cfg.ServerSecret.Reveal()),
		Endpoints:   cfg.APIURL,
		Action:      dispatch.Action(cfg.APIAction),
		Environment: environment,
		ClientIP:    cfg.ClientIP,
		Timeout:     cfg.DispatchTimeout,
		Rate:        cfg.DispatchRate,
		Warn:        warn,
	})
}

// run serves until ctx ends and then drains. Everything it started has ended
// when it returns.
func (d *daemon) run(ctx context.Context) error {
	work, ctx := errgroup.WithContext(ctx)
	// Operators see the relay drain: what they look at ends after it.
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatching()
	operator := d.operator()
	work.Go(func() error {
		if err := operator.Run(watching, d.http); err != nil {
			return fmt.Errorf("HTTP: %w", err)
		}
		return nil
	})
	drained := make(chan struct{})
	work.Go(func() error { d.reloadWhenAsked(ctx); return nil })
	work.Go(func() error { supervise(ctx, d.manager, d.relay, drained, d.cfg.ShutdownTimeout); return nil })
	work.Go(func() error {
		defer stopWatching()
		defer close(drained)
		return d.relay.Run(ctx, d.encoders...)
	})
	return work.Wait()
}

// logReady says what encoders are given, and who may publish.
func (d *daemon) logReady() {
	key := "a StreamId of your choice"
	if d.cfg.StreamsFile != "" {
		key = fmt.Sprintf("one of the %d in %s", len(d.cfg.Streams), d.cfg.StreamsFile)
	} else {
		d.log.Warn().Msg("whoever can connect may publish, under any StreamId: set ZEGORELAY_STREAMS_FILE to say who may")
	}
	d.log.Info().Str(logServer, d.publishURL()).Str(logKey, key).
		Msg("zegorelay is ready: give this server and a stream key to the encoder")
}

// operator is the relay's side for people and their machines.
func (d *daemon) operator() *admin.Server {
	v := version()
	return admin.NewServer(admin.Options{
		Relay:         d.relay,
		Log:           d.log,
		Token:         d.cfg.HTTPToken.Reveal,
		Version:       v.release,
		Revision:      v.revision,
		PublishURL:    d.publishURL(),
		PlayURL:       d.url() + "/" + d.cfg.PullApp,
		App:           d.cfg.App,
		PullApp:       d.cfg.PullApp,
		Skew:          d.zego.Skew,
		LogDropped:    d.logDropped,
		Configured:    d.names,
		Reload:        d.lastReload,
		WebhookURL:    d.cfg.WebhookURL.Reveal,
		WebhookSecret: d.cfg.WebhookSecret.Reveal,
	})
}

// publishURL is what goes into the server field of an encoder.
func (d *daemon) publishURL() string { return d.url() + "/" + d.cfg.App }

// playURL is where players find a StreamId.
func (d *daemon) playURL(streamID string) string {
	return d.url() + "/" + d.cfg.PullApp + "/" + streamID
}

func (d *daemon) url() string { return "rtmp://" + reachable(d.encoders[0].Addr()) }

// pageURL is where the operator looks.
func (d *daemon) pageURL() string { return "http://" + reachable(d.http.Addr()) + "/" }

// reachable is host:port by which others find what listens at an address.
func reachable(addr net.Addr) string {
	host, port, _ := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "HOST"
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	return net.JoinHostPort(host, port)
}
