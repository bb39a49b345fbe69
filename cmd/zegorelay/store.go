package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"

	"zegorelay/relay/handover"
)

// systemd keeps descriptors for a service while it restarts (FileDescriptorStoreMax=),
// and gives them to the next process behind its sockets, by these names.
//
// All connections are in one of them (handover.Pack): systemd puts the names of all into
// one variable, which the kernel takes up to 128 KiB only, and compares each descriptor
// that it gets with all that it has.
const (
	storedPrefix      = "zegorelay-"
	storedConnections = storedPrefix + "connections"
	storedListener    = storedPrefix + "listener"
	storedState       = storedPrefix + "state"
)

const (
	// packTimeout is how long the kernel may take to put all connections into one socket,
	// or to take them out again.
	packTimeout = 2 * time.Second

	// storeTimeout is how long the manager may take for all messages, and barrierTimeout
	// how long until it says that it has read them.
	storeTimeout   = time.Second
	barrierTimeout = 2 * time.Second
)

// store is a service manager that keeps descriptors, as an heir: the process that it
// starts next gets them.
type store struct {
	manager *serviceManager
	log     zerolog.Logger
	failed  bool // it is not tried again
}

// newStore returns the store of a manager; nil: it has none.
func newStore(m *serviceManager, log zerolog.Logger) *store {
	if m.keeps <= 0 {
		return nil
	}
	return &store{manager: m, log: log}
}

// isWanted reports whether the process that is asked to end is to leave its connections
// in the store. A stop is no restart: systemd would throw them away, and neither nodes
// nor encoders would hear a goodbye.
//
// Where there is no answer a restart is likelier than a stop, and the mistake costs less:
// after a stop the streams end without a goodbye, which ZEGO takes back by its own
// time-out; a drain instead of a hand-over would cut off every encoder that is live.
func (s *store) isWanted(ctx context.Context) bool {
	if s.failed {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, busTimeout)
	defer cancel()
	wanted, err := startsAnother(ctx)
	if err != nil {
		s.log.Warn().Err(err).Msg("systemd didn't say whether this is a stop or a restart: all connections are left to the next process")
		return true
	}
	return wanted
}

// inherit gives everything to the manager.
func (s *store) inherit(e *estate) error {
	own := make([]openDoor, 0, len(e.doors))
	for _, d := range e.doors {
		if !d.lent {
			own = append(own, d)
		}
	}
	n := len(own) + 2
	if n > s.manager.keeps {
		return fmt.Errorf("%d descriptors are too many for systemd's store of %d: raise FileDescriptorStoreMax= and FDSTORE", n, s.manager.keeps)
	}
	state, err := e.sealed(own)
	if err != nil {
		return err
	}
	defer state.Close()
	connections, err := handover.Pack(e.connections(), packTimeout)
	if err != nil {
		return fmt.Errorf("put all connections into one socket (LimitNOFILE= bounds them): %w", err)
	}
	defer connections.Close()
	s.manager.forget() // what was to be forgotten before, and may not have been
	// The state comes last: a next process that has it has everything.
	err = s.manager.keep([]named{
		{storedConnections, []*os.File{connections}}, {storedListener, listeners(own)}, {storedState, []*os.File{state}},
	})
	if err == nil {
		err = s.has(n)
	}
	if err != nil {
		s.manager.forget()
		// It may not hear that: then it has a socket with nothing in it.
		files, _ := handover.Unpack(connections, mostFiles, packTimeout)
		closeAll(files)
		return fmt.Errorf("give the connections to systemd: %w", err)
	}
	return nil
}

// has checks that the manager has kept so many descriptors, as far as it says so.
func (s *store) has(n int) error {
	if err := s.manager.barrier(barrierTimeout); err != nil {
		s.log.Warn().Err(err).Msg("systemd didn't say that it has the connections: it may still be busy with them")
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), storedTimeout)
	defer cancel()
	if kept, err := storedDescriptors(ctx); err == nil && kept < n {
		return fmt.Errorf("it has kept %d descriptors of %d: set FileDescriptorStoreMax= to no less than FDSTORE, and NotifyAccess=main", kept, n)
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

// keep has the manager keep descriptors for the next process. FDPOLL=0 is essential: it
// would drop the socket with the connections at once, since the far end of it is closed.
func (m *serviceManager) keep(all []named) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	end := time.Now().Add(storeTimeout)
	for _, n := range all {
		if len(n.files) == 0 {
			continue
		}
		if err := m.sendFiles([]byte("FDSTORE=1\nFDNAME="+n.name+"\nFDPOLL=0"), n.files, end); err != nil {
			return err
		}
	}
	return nil
}

// forget has the manager let go of what it keeps for us by some names; none: by all.
func (m *serviceManager) forget(names ...string) {
	if len(names) == 0 {
		names = []string{storedState, storedConnections, storedListener}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range names {
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
