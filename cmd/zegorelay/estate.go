package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"os"
	"runtime/debug"
	"slices"

	"github.com/rs/zerolog"

	"zegorelay/config"
	"zegorelay/relay/handover"
)

// largeState is how large a state is, in bytes, for which memory is made room for first.
const largeState = 64 << 20

// estate is what a process leaves behind.
type estate struct {
	bundle *handover.Bundle
	doors  []openDoor
}

// openDoor is a door that stays open when its listener is closed, which ends with a
// life: whoever connects meanwhile waits, and is not refused.
type openDoor struct {
	door
	file   *os.File
	number handover.Socket
}

// openDoors keeps doors open.
func openDoors(doors []door) (open []openDoor, err error) {
	defer func() {
		if err != nil {
			(&estate{doors: open}).close()
		}
	}()
	for _, d := range doors {
		ln, ok := d.Listener.(*net.TCPListener)
		if !ok {
			return open, fmt.Errorf("the listener at %v can't be kept open: %w", d.Addr(), errors.ErrUnsupported)
		}
		file, err := ln.File()
		if err != nil {
			return open, fmt.Errorf("keep the listener at %v open: %w", d.Addr(), err)
		}
		open = append(open, openDoor{door: d, file: file})
		if open[len(open)-1].number, err = handover.SocketOf(file); err != nil {
			return open, fmt.Errorf("keep the listener at %v open: %w", d.Addr(), err)
		}
	}
	return open, nil
}

// sealed is the state in a file, for somebody who gets these doors, too.
func (e *estate) sealed(doors []openDoor) (*os.File, error) {
	listeners := make([]handover.Listener, len(doors))
	for i, d := range doors {
		listeners[i] = handover.Listener{Socket: d.number, Protocol: d.protocol, Asked: d.asked}
	}
	e.bundle.State.Listeners = listeners
	if e.bundle.State.Size() > largeState {
		// The file is charged to the cgroup of this process, where the kernel kills rather than
		// fails. The relay has let go of what goes beyond half of its bound; here the memory of
		// that goes back, so that there is room.
		debug.FreeOSMemory()
	}
	return e.bundle.State.Seal()
}

// connections are the descriptors of all connections.
func (e *estate) connections() []*os.File { return slices.Collect(maps.Values(e.bundle.Files)) }

// listeners are the descriptors of doors.
func listeners(doors []openDoor) (files []*os.File) {
	for _, d := range doors {
		files = append(files, d.file)
	}
	return files
}

// close lets go of it. What somebody else has, too, stays open.
func (e *estate) close() {
	if e.bundle != nil {
		e.bundle.Close()
	}
	for _, d := range e.doors {
		_ = d.file.Close()
	}
}

// legacy is what there is to go on with: what another process has left, or an earlier
// life of this one.
type legacy struct {
	bundle  *handover.Bundle // nil: no connections
	sockets inherited
	closed  bool // there were listeners that nobody asks for now
}

// legacy is an estate that nobody else wants.
func (e *estate) legacy() *legacy {
	left := &legacy{bundle: e.bundle, sockets: make(inherited)}
	for _, d := range e.doors {
		ln, err := listenerOf(d.file)
		if err != nil {
			continue // the address is tried, then
		}
		left.sockets[d.protocol] = append(left.sockets[d.protocol], socket{Listener: ln, lent: d.lent})
	}
	return left
}

// newLegacy is what another process has left: a state, and descriptors of which the
// state knows what they are. They are closed if there is an error.
func newLegacy(cfg *config.Config, log zerolog.Logger, state *os.File, files []*os.File) (*legacy, error) {
	// Whatever its size: it is in memory already, and a ZEGORELAY_MEMORY that is smaller now
	// must not close all connections.
	s, problems, err := handover.Unseal(state, math.MaxInt)
	if err != nil {
		closeAll(files)
		return nil, err
	}
	for _, p := range problems {
		log.Warn().Err(p).Msg("a part of what the process before has left could not be read")
	}
	b := &handover.Bundle{State: s}
	b.Files, _ = handover.Gather(files) // what is closed is missed by who needs it
	left := &legacy{bundle: b, sockets: make(inherited)}
	for _, l := range s.Listeners {
		left.takeListener(cfg, log, l)
	}
	return left, nil
}

// takeListener takes a listener out of the bundle. One that the configuration doesn't
// ask for is closed.
func (l *legacy) takeListener(cfg *config.Config, log zerolog.Logger, is handover.Listener) {
	file, ok := l.bundle.Take(is.Socket)
	if !ok {
		return
	}
	if is.Asked == "" || is.Asked != askedFor(cfg, is.Protocol) {
		_ = file.Close()
		l.closed = true
		log.Info().Str(logListen, is.Asked).Msg("the process before listened where this one doesn't: closed")
		return
	}
	ln, err := listenerOf(file)
	if err != nil {
		log.Warn().Err(err).Str(logListen, is.Asked).Msg("a listener of the process before is of no use")
		return
	}
	l.sockets[is.Protocol] = append(l.sockets[is.Protocol], socket{Listener: ln})
}

// listeners are descriptors of its listeners, for the caller to close.
func (l *legacy) listeners() (files []*os.File) {
	for _, sockets := range l.sockets {
		for _, s := range sockets {
			if ln, ok := s.Listener.(*net.TCPListener); ok {
				if file, err := ln.File(); err == nil {
					files = append(files, file)
				}
			}
		}
	}
	return files
}

// close ends what is left. It may be nil.
func (l *legacy) close() {
	if l == nil {
		return
	}
	if l.bundle != nil {
		l.bundle.Close()
	}
	l.sockets.close()
}

// with adds the listeners of another process, for protocols that have none yet. The
// others are closed.
func (i inherited) with(left *legacy) inherited {
	if left == nil {
		return i
	}
	all := maps.Clone(i)
	for protocol, sockets := range left.sockets {
		if len(i[protocol]) == 0 {
			all[protocol] = sockets
			continue
		}
		inherited{protocol: sockets}.close()
	}
	return all
}

func closeAll(files []*os.File) {
	for _, file := range files {
		_ = file.Close()
	}
}
