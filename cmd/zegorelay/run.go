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

	"zegorelay/config"
	"zegorelay/dispatch"
	"zegorelay/relay"
	"zegorelay/relay/admin"
	"zegorelay/relay/rtmp"
)

type runCommand struct {
	TakeOver bool `help:"Go on with the connections of the zegorelay that runs with this ZEGORELAY_RTMP_LISTEN, which ends then (Linux; under systemd: systemctl restart)."`
}

// Run relays until ctx ends.
func (c runCommand) Run(ctx context.Context, t terminal) error {
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
	d, err := prepare(ctx, cfg, log, c.TakeOver)
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

// prepare fits a daemon into its surroundings: what the machine gives it, who has
// started it, and what another process has left to it.
func prepare(ctx context.Context, cfg *config.Config, log zerolog.Logger, takeOver bool) (*daemon, error) {
	fitMemory(cfg, os.DirFS("/"), log)
	limitMemory(cfg.Memory)
	if most, ok := mostDescriptors(); ok {
		warnOfDescriptors(cfg, most, log)
	}
	manager := newServiceManager(log)
	sockets, kept, err := inherit(cfg, manager, log)
	if err != nil {
		return nil, err
	}
	var d *daemon
	if takeOver {
		d, err = succeed(ctx, cfg, log, sockets, kept)
	} else {
		d, err = begin(cfg, log, sockets, kept)
	}
	if err != nil {
		return nil, err
	}
	d.manager = manager
	d.store = newStore(manager, log)
	d.isOnAir = true
	return d, nil
}

// begin makes a daemon that goes on with what systemd has kept, if it has. What was kept
// is taken last: whatever else fails may pass, and the next start finds it again.
func begin(cfg *config.Config, log zerolog.Logger, sockets inherited, kept *kept) (*daemon, error) {
	d, err := newDaemon(cfg, log, sockets.with(kept.legacy()))
	if err != nil {
		sockets.close()
		kept.close()
		return nil, err
	}
	kept.take()
	d.goOn(kept.legacy())
	return d, nil
}

// succeed makes a daemon that goes on with what the one that runs does.
func succeed(ctx context.Context, cfg *config.Config, log zerolog.Logger, sockets inherited, kept *kept) (*daemon, error) {
	c, err := askToTakeOver(ctx, cfg, log)
	if err != nil {
		sockets.close()
		kept.close()
		return nil, err
	}
	defer c.close()
	kept.drop() // what runs is newer
	d, err := newDaemon(cfg, log, sockets.with(c.left))
	if err != nil {
		sockets.close()
		c.left.close()
		return nil, err
	}
	if err := c.isMine(ctx); err != nil {
		c.left.close()
		return nil, errors.Join(err, d.close())
	}
	d.goOn(c.left)
	return d, nil
}

// daemon is a configured relay with its listeners open.
type daemon struct {
	cfg      *config.Config
	zego     *dispatch.Zego
	relay    *relay.Server
	doors    []door         // all of these listeners:
	encoders []net.Listener // the first is RTMP, others may be RTMPS
	http     net.Listener   // nil if it is off
	log      zerolog.Logger

	manager    *serviceManager     // may be one that isn't there
	store      *store              // nil: nobody keeps descriptors for the next process
	isOnAir    bool                // another process may ask to go on
	logDropped func() uint64       // lines that could not be logged; nil if nobody counts
	setLevel   func(zerolog.Level) // of the log; nil if it stays
	hangups    <-chan os.Signal    // ask for the configuration to be read again; nil: nobody does
	reloaded   atomic.Pointer[reloaded]
}

// newDaemon connects the rooms of the house and opens its doors, of which some may
// have been opened before.
func newDaemon(cfg *config.Config, log zerolog.Logger, sockets inherited) (*daemon, error) {
	zego := newZego(cfg, func(sentence string) { log.Warn().Msg(sentence) })
	d := &daemon{cfg: cfg, zego: zego, log: log, manager: &serviceManager{}}
	d.relay = d.newRelay(cfg)
	d.reloaded.Store(&reloaded{cfg: cfg, ok: true, at: time.Now()})
	if err := d.listen(sockets); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// newRelay is a relay with the streams of a configuration, which may have been read
// again since the start.
func (d *daemon) newRelay(streams *config.Config) *relay.Server {
	cfg := d.cfg
	nodes := net.Dialer{Control: dispatch.NodePolicy{Allow: cfg.NodeAllow}.Control}
	return relay.New(relay.Options{
		Dispatch:         d.zego.Dispatch,
		Nodes:            rtmp.Dialer{Dial: nodes.DialContext},
		Log:              d.log,
		App:              cfg.App,
		PullApp:          cfg.PullApp,
		StreamID:         cfg.StreamID,
		Rules:            rulesOf(streams),
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
