package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"zegorelay/config"
)

// Reloading reads the whole configuration again, all or nothing. The environment of a
// process doesn't change, so what can is in files: the streams with their log_level, and
// the server secret. Certificates are read again by themselves.

// reloaded is the configuration in force, and what came of the last reading.
type reloaded struct {
	cfg *config.Config
	ok  bool      // the last reading succeeded
	at  time.Time // of the last that did
}

// reloadWhenAsked serves SIGHUP until ctx ends.
func (d *daemon) reloadWhenAsked(ctx context.Context) {
	for {
		select {
		case <-d.hangups:
			if err := d.manager.reloading(d.reload); err != nil {
				d.log.Error().Strs(logProblems, problemsOf(err)).Msg("configuration not reloaded: the old one stayed in force")
			}
		case <-ctx.Done():
			return
		}
	}
}

// reload reads the configuration again and puts it in force. An error leaves everything
// as it was. One goroutine calls it.
func (d *daemon) reload() error {
	was := d.reloaded.Load()
	is, err := config.Load()
	if err == nil && (is.StreamsFile == "") != (was.cfg.StreamsFile == "") {
		err = errors.New("whether there is a streams file is for the environment to say, which only a restart reads")
	}
	if err != nil {
		d.reloaded.Store(&reloaded{cfg: was.cfg, at: was.at})
		return err
	}
	changed := d.change(was.cfg, is)
	d.reloaded.Store(&reloaded{cfg: is, ok: true, at: time.Now()})
	d.log.Info().Strs(logChanged, changed).Msg("configuration reloaded")
	if os.Getenv("CREDENTIALS_DIRECTORY") != "" {
		d.log.Warn().Msg("what systemd has handed over as credentials is what it was at the start: a change of that takes a restart")
	}
	return nil
}

// change puts is in force where was has been, and says in words what that changes.
func (d *daemon) change(was, is *config.Config) (what []string) {
	if d.setLevel != nil && is.LogLevel != was.LogLevel {
		d.setLevel(is.LogLevel)
		what = append(what, "log level")
	}
	if secret := is.ServerSecret.Reveal(); secret != was.ServerSecret.Reveal() {
		d.zego.SetSecret(secret)
		d.relay.RetryRefused()
		what = append(what, "server secret")
	}
	if difference := differences(was.Streams, is.Streams); difference != "" {
		d.relay.SetRules(rulesOf(is))
		what = append(what, difference)
	}
	if is.HTTPToken.Reveal() != was.HTTPToken.Reveal() || is.WebhookSecret.Reveal() != was.WebhookSecret.Reveal() {
		d.log.Warn().Msg("the HTTP token or the webhook's secret has changed: that takes a restart")
	}
	return what
}

// problemsOf is an error of config.Load, a problem a line.
func problemsOf(err error) (lines []string) {
	var problems config.Problems
	if !errors.As(err, &problems) {
		return []string{err.Error()}
	}
	for _, p := range problems {
		lines = append(lines, p.String())
	}
	return lines
}

// differences counts what is different between two lists of streams, in words.
func differences(was, is []config.Stream) string {
	before := make(map[string]config.Stream, len(was))
	for _, s := range was {
		before[s.StreamID] = s
	}
	var added, other int
	for _, s := range is {
		old, known := before[s.StreamID]
		switch {
		case !known:
			added++
		case !s.Equal(old):
			other++
		}
		delete(before, s.StreamID)
	}
	if added+other+len(before) == 0 {
		return ""
	}
	return fmt.Sprintf("streams (%d added, %d removed, %d changed)", added, len(before), other)
}

// lastReload is for the metrics.
func (d *daemon) lastReload() (ok bool, at time.Time) {
	last := d.reloaded.Load()
	return last.ok, last.at
}

// names are what operators call the streams of the list in force.
func (d *daemon) names() []string { return namesOf(d.reloaded.Load().cfg) }
