package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/rs/zerolog"

	"zegorelay/config"
)

// systemd keeps descriptors for a service while it restarts (FileDescriptorStoreMax=),
// and gives them to the next process behind its sockets, by these names.
const (
	storedConnection = "zegorelay-connection"
	storedListener   = "zegorelay-listener"
	storedState      = "zegorelay-state"
)

const (
	// storeBatch is how many descriptors go with one message. The kernel takes 253.
	storeBatch = 250

	// storeTimeout is how long the manager may take for all messages, and barrierTimeout
	// how long until it says that it has read them; storeEach comes on top for every
	// descriptor: systemd compares each with all that it has.
	storeTimeout   = 3 * time.Second
	barrierTimeout = 2 * time.Second
	storeEach      = time.Millisecond
)

// store is a service manager that keeps descriptors, as an heir: the process that it
// starts next gets them.
type store struct {
	manager *serviceManager
	log     zerolog.Logger
	jobType func(ctx context.Context) (string, error) // what the manager is about to do with us
	failed  bool                                      // it is not tried again
}

// newStore returns the store of a manager; nil: it has none.
func newStore(m *serviceManager, log zerolog.Logger) *store {
	if m.keeps <= 0 {
		return nil
	}
	return &store{manager: m, log: log, jobType: jobType}
}

// isWanted reports whether the process that is asked to end is to leave its connections
// in the store. A stop is no restart: systemd would throw them away, and neither nodes
// nor encoders would hear a goodbye.
//
// Where systemd has no job for us, somebody else has sent the signal (systemctl kill, a
// person), and Restart=always starts the next process. Where there is no answer a
// restart is likelier than a stop, and the mistake costs less: after a stop the streams
// end without a goodbye, which ZEGO takes back by its own time-out; a drain instead of a
// hand-over would cut off every encoder that is live.
func (s *store) isWanted(ctx context.Context) bool {
	if s.failed {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, jobTimeout)
	defer cancel()
	job, err := s.jobType(ctx)
	if err != nil {
		s.log.Warn().Err(err).Msg("systemd didn't say whether this is a stop or a restart: all connections are left to the next process")
	}
	return job != "stop"
}

// inherit gives everything to the manager. The state comes last: a next process that
// has it has everything.
func (s *store) inherit(e *estate) error {
	own := make([]openDoor, 0, len(e.doors))
	for _, d := range e.doors {
		if !d.lent {
			own = append(own, d)
		}
	}
	connections := e.connections()
	n := len(connections) + len(own) + 1
	if n > s.manager.keeps {
		return fmt.Errorf("%d descriptors are too many for systemd's store of %d: raise FileDescriptorStoreMax= and FDSTORE", n, s.manager.keeps)
	}
	state, err := e.sealed(own)
	if err != nil {
		return err
	}
	defer state.Close()
	more := time.Duration(n) * storeEach
	err = s.manager.keep(storeTimeout+more, []named{
		{storedConnection, connections}, {storedListener, listeners(own)}, {storedState, []*os.File{state}},
	})
	if err != nil {
		s.manager.forget()
		return fmt.Errorf("give the connections to systemd: %w", err)
	}
	if err := s.manager.barrier(barrierTimeout + more); err != nil {
		s.log.Warn().Err(err).Msg("systemd didn't say that it has the connections: it may still be busy with them")
	}
	return nil
}

// accept and refuse have nothing to say: nobody waits.
func (s *store) accept()      {}
func (s *store) refuse(error) { s.failed = true }

// named are descriptors under one name.
type named struct {
	name  string
	files []*os.File
}

// keep has the manager keep descriptors for the next process. FDPOLL=0: it would drop
// connections that end, and nobody would read what they brought.
func (m *serviceManager) keep(most time.Duration, all []named) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	end := time.Now().Add(most)
	for _, n := range all {
		message := []byte("FDSTORE=1\nFDNAME=" + n.name + "\nFDPOLL=0")
		for files := n.files; len(files) > 0; {
			batch := files[:min(len(files), storeBatch)]
			files = files[len(batch):]
			if err := m.sendFiles(message, batch, end); err != nil {
				return err
			}
		}
	}
	return nil
}

// forget has the manager let go of what it keeps for us.
func (m *serviceManager) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range []string{storedState, storedConnection, storedListener} {
		m.tell("FDSTOREREMOVE=1", "FDNAME="+name)
	}
}

// barrier waits until the manager has read all that it was told: it closes what came
// with this message then.
func (m *serviceManager) barrier(most time.Duration) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	end := time.Now().Add(most)
	m.mu.Lock()
	err = m.sendFiles([]byte("BARRIER=1"), []*os.File{w}, end)
	m.mu.Unlock()
	_ = w.Close()
	if err != nil {
		return err
	}
	if err := r.SetReadDeadline(end); err != nil {
		return err
	}
	if _, err := r.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}

// inherit takes what whoever started us has opened, and what it has kept of the process
// before. The variables that tell of it go out of the environment.
func inherit(cfg *config.Config, m *serviceManager, log zerolog.Logger) (inherited, *legacy, error) {
	kept := make(map[string][]*os.File)
	var sockets []*os.File
	for _, file := range activation.Files(true) {
		switch name := file.Name(); name {
		case storedState, storedConnection, storedListener:
			kept[name] = append(kept[name], file)
		default:
			sockets = append(sockets, file)
		}
	}
	all, err := inheritSockets(sockets)
	if len(kept) == 0 {
		return all, nil, err
	}
	// Before anything goes on: a process that dies later must not leave this to the next
	// one, for which it would be stale.
	m.forget()
	if err != nil {
		return nil, nil, err // the end of the process closes what was kept
	}
	left := takeKept(cfg, log, kept)
	if left == nil || left.closed {
		// An address is free only when systemd has closed the listener, too.
		if err := m.barrier(barrierTimeout); err != nil {
			log.Warn().Err(err).Msg("systemd didn't say that it has let go of what the process before has left")
		}
	}
	return all, left, nil
}

// takeKept makes a legacy of what was kept; nil: it is of no use, and closed.
func takeKept(cfg *config.Config, log zerolog.Logger, kept map[string][]*os.File) *legacy {
	states, connections := kept[storedState], len(kept[storedConnection])
	defer closeAll(states)
	others := append(kept[storedConnection], kept[storedListener]...)
	if len(states) != 1 {
		closeAll(others)
		log.Error().Int(logConnections, connections).Int(logStates, len(states)).
			Msg("connections of the process before were closed: it has not left one state that tells how they go on")
		return nil
	}
	left, err := newLegacy(cfg, log, states[0], others)
	if err != nil {
		log.Error().Err(err).Int(logConnections, connections).
			Msg("connections of the process before were closed: its state can't be read")
		return nil
	}
	log.Info().Int(logConnections, len(left.bundle.Files)).Msg("the process before has left its connections")
	return left
}
