package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"zegorelay/relay"
)

const (
	// statusEvery is the least time between two lines of status.
	statusEvery = time.Second

	// drainSaidEvery is how often the manager hears that the drain goes on;
	// drainPatience is how long it waits for that.
	drainSaidEvery = time.Second
	drainPatience  = 5 * time.Second

	// drainSlack is what the end may take beyond the drain timeout, handOverSlack what a
	// hand-over may take on top: that to a process which takes over is the longest, and
	// the state has to be sealed for it first. What hangs is no longer excused after it.
	drainSlack    = 2 * time.Second
	handOverSlack = claimTimeout + requestTimeout + 5*time.Second
)

// supervised is what of a relay the service manager is told.
type supervised interface {
	Alive(ctx context.Context) error
	Streams() []relay.Status
}

// supervise tells the manager how a relay is until leaving ends, and from then on until
// over is closed, or for most at the longest, that this takes its time: that the process
// stops, once ending has ended, too; before that, another may still go on.
func supervise(leaving, ending context.Context, m *serviceManager, r supervised, over <-chan struct{}, most time.Duration) {
	if !m.isThere() {
		return
	}
	var living sync.WaitGroup
	living.Go(func() { tellStatus(leaving, m, r) })
	living.Go(func() { feedWatchdog(leaving, m, r) })
	<-leaving.Done()
	tellEnd(ending, m) // at once, whatever these two wait for
	living.Wait()
	tick := time.NewTicker(drainSaidEvery)
	defer tick.Stop()
	end := time.After(most)
	for {
		select {
		case <-tick.C:
			tellEnd(ending, m)
		case <-over:
			return
		case <-end:
			return
		}
	}
}

// tellEnd has the manager wait.
func tellEnd(ending context.Context, m *serviceManager) {
	if ending.Err() != nil {
		m.isStopping(drainPatience)
	} else {
		m.isAlive()
	}
}

// tellStatus says READY=1 when connections are taken: the listeners are open, and every
// accept loop has come round. Then it keeps the status up to date.
func tellStatus(ctx context.Context, m *serviceManager, r supervised) {
	if err := r.Alive(ctx); err != nil {
		return // the end has come first
	}
	m.isReady(statusLine(r.Streams()))
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if ctx.Err() == nil { // else the last word is that it stops
				m.isNow(statusLine(r.Streams()))
			}
		case <-ctx.Done():
			return
		}
	}
}

// feedWatchdog says WATCHDOG=1 twice in the manager's patience, and each time only when
// a timer has fired and every accept loop has passed through the stream table. An
// answer that is late, since the machine is busy, still counts; while there is none the
// watchdog gets nothing, and the manager ends the process with SIGABRT, by which Go
// prints where all goroutines are.
func feedWatchdog(ctx context.Context, m *serviceManager, r supervised) {
	if m.watchdog <= 0 {
		return
	}
	tick := time.NewTicker(m.watchdog / 2)
	defer tick.Stop()
	for {
		if !answers(ctx, m, r) {
			return
		}
		m.isAlive()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// answers waits until a relay shows that it is alive. False: the end has come.
func answers(ctx context.Context, m *serviceManager, r supervised) bool {
	late := time.AfterFunc(m.watchdog/4, func() {
		m.log.Error().Stringer(logAfter, m.watchdog/4).
			Msg("the accept loops don't come round through the stream table: if that goes on, systemd's watchdog starts zegorelay anew")
	})
	defer late.Stop()
	return r.Alive(ctx) == nil
}

// statusLine is how the streams are, for systemctl status.
func statusLine(streams []relay.Status) string {
	var live, down, away int
	for _, s := range streams {
		switch s.Health {
		case relay.Down:
			down++
		case relay.Away:
			away++
		default:
			live++
		}
	}
	line := fmt.Sprintf("%d live", live)
	if down > 0 {
		line += fmt.Sprintf(", %d not reaching ZEGO", down)
	}
	if away > 0 {
		line += fmt.Sprintf(", %d held for their encoders or players", away)
	}
	return line
}
