package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"runtime/debug"

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
	log.Info().Str(logVersion, version().String()).Uint32(logAppID, cfg.AppID).Msg("zegorelay started")
	limitMemory(cfg.Memory)
	d, err := newDaemon(cfg, log)
	if err != nil {
		log.Error().Err(err).Msg("zegorelay could not start")
		return logged{err}
	}
	d.logDropped = queue.Dropped
	log.Info().Str(logServer, d.publishURL()).Str(logKey, "a StreamId of your choice").
		Msg("zegorelay is ready: give this server and a stream key to the encoder")
	if err := d.run(ctx); err != nil {
		log.Error().Err(err).Msg("zegorelay failed")
		return logged{err}
	}
	log.Info().Msg("zegorelay ended")
	return nil
}

// heapGrowth is how much the heap may grow before a collection, in percent. The
// heap is payloads, which come from a pool and hold no pointers: what becomes
// garbage is little, collections are rare and cheap, and at Go's own 100 % half of
// the process would be what was thrown away while streams began.
const heapGrowth = 25

// limitMemory has the garbage collector keep the process under most bytes: the
// backlogs take up to five eighths of them, and what they let go of is to be
// used again before the rest is full. Who sets GOMEMLIMIT or GOGC knows better.
func limitMemory(most int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(most / 8 * 7)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}

// daemon is a configured relay with its listeners open.
type daemon struct {
	cfg      *config.Config
	zego     *dispatch.Zego
	relay    *relay.Server
	encoders []net.Listener // the first is RTMP, a second RTMPS
	http     net.Listener   // nil if it is off
	log      zerolog.Logger

	logDropped func() uint64 // lines that could not be logged; nil if nobody counts
}

// newDaemon connects the rooms of the house and opens its doors.
func newDaemon(cfg *config.Config, log zerolog.Logger) (*daemon, error) {
	zego := newZego(cfg, func(sentence string) { log.Warn().Msg(sentence) })
	nodes := net.Dialer{Control: dispatch.NodePolicy{Allow: cfg.NodeAllow}.Control}
	server := relay.New(relay.Options{
		Dispatch:         zego.Dispatch,
		Nodes:            rtmp.Dialer{Dial: nodes.DialContext},
		Log:              log,
		App:              cfg.App,
		PullApp:          cfg.PullApp,
		StreamID:         cfg.StreamID,
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
	d := &daemon{cfg: cfg, zego: zego, relay: server, log: log}
	if err := d.listen(); err != nil {
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

// listen opens all listeners.
func (d *daemon) listen() error {
	ln, err := net.Listen("tcp", d.cfg.RTMPListen)
	if err != nil {
		return fmt.Errorf("ZEGORELAY_RTMP_LISTEN: %w", err)
	}
	d.encoders = append(d.encoders, ln)
	d.log.Info().Stringer(logListen, ln.Addr()).Msg("listening for RTMP")
	if d.cfg.RTMPSListen != "" {
		cert, err := newCertificate(d.cfg.TLSCert, d.cfg.TLSKey, d.log)
		if err != nil {
			return err
		}
		if ln, err = net.Listen("tcp", d.cfg.RTMPSListen); err != nil {
			return fmt.Errorf("ZEGORELAY_RTMPS_LISTEN: %w", err)
		}
		d.encoders = append(d.encoders, tls.NewListener(ln, &tls.Config{
			GetCertificate: cert.get,
			MinVersion:     tls.VersionTLS12,
		}))
		d.log.Info().Stringer(logListen, ln.Addr()).Msg("listening for RTMPS")
	}
	if d.cfg.HTTPListen != "" {
		if d.http, err = net.Listen("tcp", d.cfg.HTTPListen); err != nil {
			return fmt.Errorf("ZEGORELAY_HTTP_LISTEN: %w", err)
		}
		d.log.Info().Stringer(logListen, d.http.Addr()).Str(logPage, d.pageURL()).Str(logMetrics, "/metrics").
			Msg("listening for HTTP")
	}
	return nil
}

// close closes the listeners of a daemon that never ran.
func (d *daemon) close() error {
	var err error
	for _, ln := range d.encoders {
		err = errors.Join(err, ln.Close())
	}
	return err
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
	work.Go(func() error {
		defer stopWatching()
		return d.relay.Run(ctx, d.encoders...)
	})
	return work.Wait()
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
