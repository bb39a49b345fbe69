package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
)

const (
	// notifyTimeout bounds how long a service manager that doesn't read is waited for.
	notifyTimeout = time.Second

	stoppingStatus = "stopping"
)

// serviceManager is systemd, or whoever speaks its protocol (sd_notify(3)), and what it
// has been told. One that nobody named is told nothing.
//
// go-systemd's SdNotify opens a socket for every message and may block for ever. Here one
// is kept: the watchdog must be fed also while no descriptor is left, or a crowd of
// connections would end in a restart; and each message has a deadline, or a manager
// that hangs would hold up the end.
type serviceManager struct {
	socket   string        // empty: there is none
	watchdog time.Duration // it restarts us after so much silence; 0: it doesn't
	keeps    int           // descriptors, for the next process
	log      zerolog.Logger

	mu       sync.Mutex // over a whole message: what is told after STOPPING=1 is decided under it
	conn     net.Conn
	ready    bool
	stopping bool
	status   string
	isDeaf   bool // the last message didn't get there
}

// newServiceManager reads who has started us from the environment, and takes it out:
// it is for this process only.
func newServiceManager(log zerolog.Logger) *serviceManager {
	m := &serviceManager{socket: os.Getenv("NOTIFY_SOCKET"), log: log}
	_ = os.Unsetenv("NOTIFY_SOCKET") // fails for malformed names only
	if m.isThere() {
		m.keeps = storeSize(log)
	}
	_ = os.Unsetenv("FDSTORE")
	var err error
	if m.watchdog, err = sd.SdWatchdogEnabled(true); err != nil {
		log.Warn().Err(err).Msg("systemd's watchdog is not fed")
	}
	return m
}

// storeSize is how many descriptors the manager keeps for us; 0: it doesn't.
func storeSize(log zerolog.Logger) int {
	text := os.Getenv("FDSTORE")
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		log.Warn().Err(err).Msg("FDSTORE is no number: a restart will end all streams")
		return 0
	}
	return n
}

func (m *serviceManager) isThere() bool { return m.socket != "" }

// isReady says that the service takes encoders.
func (m *serviceManager) isReady(status string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopping {
		return // the drain has begun while the service did
	}
	m.ready, m.status = true, status
	m.tell(sd.SdNotifyReady, "STATUS="+status)
}

// isNow gives the line that systemctl status shows, if that is another than before.
func (m *serviceManager) isNow(status string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopping || status == m.status {
		return
	}
	m.status = status
	m.tell("STATUS=" + status)
}

// isAlive feeds the watchdog.
func (m *serviceManager) isAlive() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tell(sd.SdNotifyWatchdog)
}

// isStopping says that the service drains, and may take so long that the manager's own
// patience would end, for as long as this is said again in time.
func (m *serviceManager) isStopping(patience time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	extend := fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", patience.Microseconds())
	if m.stopping {
		m.tell(extend, sd.SdNotifyWatchdog)
		return
	}
	m.stopping, m.status = true, stoppingStatus
	m.tell(sd.SdNotifyStopping, extend, "STATUS="+stoppingStatus)
}

// reloading calls f, and has the manager wait for it: systemctl reload returns when f
// has. Nothing is told if the service is not ready yet, or stops. It is for one
// goroutine.
func (m *serviceManager) reloading(f func() error) error {
	m.reload(func() string { return sd.SdNotifyReloading + "\n" + sd.SdNotifyMonotonicUsec() })
	err := f()
	// Also after a failure: the service goes on with what it had.
	m.reload(func() string { return sd.SdNotifyReady })
	return err
}

func (m *serviceManager) reload(message func() string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ready && !m.stopping {
		m.tell(message())
	}
}

// tell sends one message. What can't be told is logged once. The caller holds the
// lock.
func (m *serviceManager) tell(assignments ...string) {
	if !m.isThere() {
		return
	}
	message := []byte(strings.TrimSuffix(strings.Join(assignments, "\n"), "\n"))
	err := m.send(message)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		m.hangUp() // it may have been started anew
		err = m.send(message)
	}
	if err != nil && !m.isDeaf {
		m.log.Warn().Err(err).Msg("the service manager could not be told how zegorelay is")
	}
	m.isDeaf = err != nil
}

func (m *serviceManager) send(message []byte) error {
	if err := m.dial(); err != nil {
		return err
	}
	if err := m.conn.SetWriteDeadline(time.Now().Add(notifyTimeout)); err != nil {
		return err
	}
	_, err := m.conn.Write(message)
	return err
}

func (m *serviceManager) dial() error {
	if m.conn != nil {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	m.conn = conn
	return nil
}

func (m *serviceManager) hangUp() {
	if m.conn != nil {
		_ = m.conn.Close()
		m.conn = nil
	}
}

// close ends the conversation.
func (m *serviceManager) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hangUp()
}
