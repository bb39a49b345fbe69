package main

import (
	"fmt"
	"maps"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/rs/zerolog"

	"zegorelay/config"
	"zegorelay/relay/handover"
)

// kept is what systemd has kept of the process before. Until take it goes on doing so: a
// start that fails before finds everything again at the next try.
type kept struct {
	manager     *serviceManager
	log         zerolog.Logger
	connections *os.File // in which they are
	left        *legacy  // without them
}

// inherit takes what whoever started us has opened, and what it has kept of the process
// before; nil: nothing. The variables that tell of it go out of the environment.
func inherit(cfg *config.Config, m *serviceManager, log zerolog.Logger) (inherited, *kept, error) {
	ours := make(map[string][]*os.File)
	var sockets []*os.File
	for _, file := range activation.Files(true) {
		// A socket unit without a name for it passes its own: that isn't ours.
		if name := file.Name(); strings.HasPrefix(name, storedPrefix) && !strings.HasSuffix(name, ".socket") {
			ours[name] = append(ours[name], file)
		} else {
			sockets = append(sockets, file)
		}
	}
	all, err := inheritSockets(sockets)
	if err != nil {
		return nil, nil, err
	}
	for name, files := range ours {
		switch name {
		case storedState, storedConnections, storedListener:
			continue
		}
		closeAll(files)
		delete(ours, name)
		m.forget(name)
		log.Warn().Str(logName, name).Int(logDescriptors, len(files)).
			Msg("systemd has kept something that this version doesn't know: closed")
	}
	if len(ours) == 0 {
		return all, nil, nil
	}
	return all, newKept(cfg, m, log, ours), nil
}

// newKept looks at what was kept, by name. nil: it is of no use, closed and forgotten.
func newKept(cfg *config.Config, m *serviceManager, log zerolog.Logger, ours map[string][]*os.File) *kept {
	states, sockets, doors := ours[storedState], ours[storedConnections], ours[storedListener]
	k := &kept{manager: m, log: log}
	defer closeAll(states)
	if len(states) != 1 || len(sockets) != 1 {
		closeAll(sockets)
		closeAll(doors)
		log.Error().Int(logStates, len(states)).Int(logSockets, len(sockets)).Int(logListeners, len(doors)).
			Msg("connections of the process before were closed: it has not left one state that tells how they go on, and one socket with them")
		k.forget()
		return nil
	}
	k.connections = sockets[0]
	err := guarded(func() (err error) {
		k.left, err = newLegacy(cfg, log, states[0], doors)
		return err
	})
	if err != nil {
		closeAll(sockets)
		log.Error().Err(err).Int(logListeners, len(doors)).
			Msg("connections of the process before were closed: its state can't be read")
		k.forget()
		return nil
	}
	if k.left.closed {
		k.keepListeners()
	}
	return k
}

// guarded turns a panic in f into an error: nothing that was kept may end this process,
// since the next one would find it again.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

// keepListeners has the manager close listeners that nobody wants any more, too: their
// addresses are free only then. The others are there for the next try, if this one fails.
func (k *kept) keepListeners() {
	k.manager.forget(storedListener)
	files := k.left.listeners()
	defer closeAll(files)
	if err := k.manager.keep([]named{{storedListener, files}}); err != nil {
		k.log.Warn().Err(err).Msg("systemd could not be given listeners of the process before again")
	}
	k.settle()
}

// legacy is what there is to go on with. k may be nil.
func (k *kept) legacy() *legacy {
	if k == nil {
		return nil
	}
	return k.left
}

// take takes the connections, which from here on are ours alone: whatever becomes of us,
// no other process goes on with them. Also one that the manager gives them to again,
// since it has not heard that it is to forget them, finds the socket empty.
func (k *kept) take() {
	if k == nil {
		return
	}
	k.manager.forget()
	files, err := handover.Unpack(k.connections, mostFiles, packTimeout)
	_ = k.connections.Close()
	if err != nil {
		// Without them the state is nothing to go on with: it may be an old one.
		k.left.bundle.Close()
		k.left.bundle = nil
		k.log.Error().Err(err).Msg("connections of the process before were closed: they can't be received")
		return
	}
	connections, closed := handover.Gather(files)
	maps.Copy(k.left.bundle.Files, connections)
	k.log.Info().Int(logConnections, len(connections)).Int(logClosed, closed).Msg("the process before has left its connections")
}

// close lets go of it, and the manager keeps it.
func (k *kept) close() {
	if k == nil {
		return
	}
	_ = k.connections.Close()
	k.left.close()
}

// drop closes it for good.
func (k *kept) drop() {
	if k == nil {
		return
	}
	k.close()
	k.forget()
}

// forget has the manager close it, too, and waits for that: addresses are free then.
func (k *kept) forget() {
	k.manager.forget()
	k.settle()
}

func (k *kept) settle() {
	if err := k.manager.barrier(barrierTimeout); err != nil {
		k.log.Warn().Err(err).Msg("systemd didn't say that it has let go of what the process before has left")
	}
}
