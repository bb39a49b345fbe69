package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
)

// An heir goes on with what a process leaves behind: the next one, which the service
// manager starts, or one that is there already.
type heir interface {
	// accept says that it gets everything as soon as the relay has let go of it.
	accept()

	// inherit hands everything over. After an error the heir has nothing, and this process
	// goes on with it.
	inherit(e *estate) error

	// refuse says that there is nothing for it, since that failed.
	refuse(why error)
}

// run serves until ctx ends and then drains, or until another process goes on. A
// process has more than one life if a hand-over fails: it goes on by itself.
// Everything it started has ended when it returns.
func (d *daemon) run(ctx context.Context) error {
	defer d.manager.close()
	for {
		left, err := d.live(ctx)
		if err != nil || left == nil {
			left.close()
			return err
		}
		if err := d.liveOn(left); err != nil {
			left.close()
			return fmt.Errorf("go on after a hand-over that failed: %w", err)
		}
	}
}

// liveOn makes everything anew that a life has used up.
func (d *daemon) liveOn(left *legacy) error {
	d.relay = d.newRelay(d.reloaded.Load().cfg)
	if err := d.listen(left.sockets); err != nil {
		return errors.Join(err, d.close())
	}
	d.goOn(left)
	return nil
}

// goOn gives the relay what it goes on with, if there is anything.
func (d *daemon) goOn(left *legacy) {
	if left == nil || left.bundle == nil {
		return
	}
	d.relay.GoOn(left.bundle)
	left.bundle.Close() // what nobody wanted
}

// life is a daemon from the opening of its doors to the end, or to the hand-over.
type life struct {
	*daemon
	asked   context.Context    // ends when somebody wants the process to end
	ending  context.Context    // … or something has failed: the process will end
	leaving context.Context    // … or there is an heir: the life will
	leave   context.CancelFunc // for that
	serving context.Context    // of the relay
	drain   context.CancelFunc // ends it with goodbyes, and nothing goes on

	heir   heir // nil: there is none. Set before the relay is told to hand over
	estate *estate
}

// live is one life. It returns what the process has to go on with, since no heir does;
// nil: it is over.
func (d *daemon) live(asked context.Context) (left *legacy, err error) {
	l := &life{daemon: d, asked: asked}
	var fail context.CancelFunc
	l.ending, fail = context.WithCancel(asked)
	defer fail()
	l.leaving, l.leave = context.WithCancel(l.ending)
	defer l.leave()
	l.serving, l.drain = context.WithCancel(context.WithoutCancel(asked))
	defer l.drain()

	over := make(chan struct{})
	var telling sync.WaitGroup
	most := d.cfg.ShutdownTimeout + drainSlack
	if d.isOnAir {
		most += handOverSlack
	}
	telling.Go(func() { supervise(l.leaving, l.ending, d.manager, d.relay, over, most) })
	left, err = l.work(asked, fail)
	close(over)
	telling.Wait()
	return left, err
}

// work does all that a life is for, and calls fail if something of it ends too early.
func (l *life) work(asked context.Context, fail func()) (left *legacy, err error) {
	var work errgroup.Group
	do := func(f func() error) {
		work.Go(func() error {
			err := f()
			if err != nil {
				fail()
			}
			return err
		})
	}
	// Operators see the relay drain: what they look at ends after it.
	watching, stopWatching := context.WithCancel(context.WithoutCancel(asked))
	defer stopWatching()
	operator := l.operator()
	do(func() error {
		if err := operator.Run(watching, l.http); err != nil {
			return fmt.Errorf("HTTP: %w", err)
		}
		return nil
	})
	heirs := make(chan heir)
	do(func() error { l.reloadWhenAsked(l.leaving); return nil })
	do(func() error { l.receiveHeirs(l.leaving, heirs); return nil })
	do(func() error { l.end(l.leaving, heirs); return nil })
	do(func() error {
		err := l.relay.Run(l.serving, l.encoders...)
		stopWatching() // that may take its second while others go on already
		if err == nil {
			left = l.handOver()
		}
		return err
	})
	err = work.Wait()
	return left, err
}

// end waits for whoever wants this life to end, or for leaving to end, and begins the
// end that fits.
func (l *life) end(leaving context.Context, heirs <-chan heir) {
	for {
		var h heir
		select {
		case <-leaving.Done():
			if l.asked.Err() != nil && l.store != nil && l.store.isWanted(context.WithoutCancel(leaving)) {
				h = l.store
			}
		case h = <-heirs:
		}
		if h == nil {
			l.drain()
			return
		}
		doors, err := openDoors(l.doors)
		if err == nil {
			l.heir, l.estate = h, &estate{doors: doors}
			l.leave()
			h.accept()
			l.relay.HandOver()
			return
		}
		h.refuse(err)
		if leaving.Err() != nil {
			l.drain()
			return
		}
	}
}

// handOver hands over what the relay has kept. It returns what there still is if that
// fails.
func (l *life) handOver() *legacy {
	if l.heir == nil {
		return nil
	}
	for _, ln := range l.encoders {
		_ = ln.Close() // the doors are open all the same
	}
	if l.estate.bundle = l.relay.Kept(); l.estate.bundle == nil {
		l.heir.refuse(errors.New("it was ending"))
		l.estate.close()
		return nil
	}
	connections := len(l.estate.bundle.Files)
	err := l.heir.inherit(l.estate)
	if err == nil {
		l.estate.close()
		l.log.Info().Int(logConnections, connections).Msg("handed over all connections")
		l.manager.isStopping(drainPatience) // now it is certain, if it was not before
		return nil
	}
	l.log.Error().Err(err).Int(logConnections, connections).Msg("hand-over failed: this process goes on")
	l.heir.refuse(err)
	return l.estate.legacy()
}
