package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"zegorelay/config"
	"zegorelay/relay/handover"
)

func listenLocal(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// connections are n descriptors of TCP connections with the same far side, which the
// test closes.
func connections(t *testing.T, n int) *handover.Bundle {
	t.Helper()
	ln := listenLocal(t)
	var files []*os.File
	for range n {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		file, err := conn.(*net.TCPConn).File()
		conn.Close()
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	b := &handover.Bundle{State: &handover.State{At: handover.Now()}}
	b.Files, _ = handover.Gather(files)
	if len(b.Files) != n {
		t.Fatalf("%d connections, want %d", len(b.Files), n)
	}
	t.Cleanup(b.Close)
	return b
}

// testDoors are doors of which the first is the manager's.
func testDoors(t *testing.T, cfg *config.Config) []openDoor {
	t.Helper()
	cfg.RTMPListen, cfg.HTTPListen = "asked for", "likewise"
	open, err := openDoors([]door{
		{socket: socket{Listener: listenLocal(t), lent: true}, protocol: rtmpSocket, asked: cfg.RTMPListen},
		{socket: socket{Listener: listenLocal(t)}, protocol: httpSocket, asked: cfg.HTTPListen},
	})
	if err != nil {
		t.Fatal(err)
	}
	return open
}

// listening is a manager that reads what it is told, and its end.
func listening(t *testing.T) (*serviceManager, *net.UnixConn) {
	t.Helper()
	addr := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
	conn, err := net.ListenUnixgram("unixgram", addr)
	if err != nil {
		t.Fatal(err)
	}
	m := &serviceManager{socket: addr.Name, keeps: 1000}
	t.Cleanup(func() { conn.Close(); m.close() })
	return m, conn
}

// hear reads messages until one begins with a word, and returns them with what came.
func hear(t *testing.T, conn *net.UnixConn, last string) (said []string, files []*os.File) {
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	message, rights := make([]byte, 4096), make([]byte, 4096)
	for {
		n, r, _, _, err := conn.ReadMsgUnix(message, rights)
		if err != nil {
			t.Errorf("said %q, then %v", said, err)
			return said, files
		}
		messages, _ := syscall.ParseSocketControlMessage(rights[:r])
		count := 0
		for i := range messages {
			fds, _ := syscall.ParseUnixRights(&messages[i])
			for _, fd := range fds {
				files = append(files, os.NewFile(uintptr(fd), ""))
			}
			count += len(fds)
		}
		line := strings.ReplaceAll(string(message[:n]), "\n", " ")
		if count > 0 {
			line += fmt.Sprintf(" (%d)", count)
		}
		said = append(said, line)
		if strings.HasPrefix(line, last) {
			return said, files
		}
	}
}

// withoutBus has nobody say what systemd does.
func withoutBus(t *testing.T) {
	t.Helper()
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "none"))
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "none"))
}

// forgotten is what a manager hears that is to forget everything.
func forgotten() []string {
	return []string{
		"FDSTOREREMOVE=1 FDNAME=zegorelay-state",
		"FDSTOREREMOVE=1 FDNAME=zegorelay-connections",
		"FDSTOREREMOVE=1 FDNAME=zegorelay-listener",
	}
}

// Everything goes to the manager, all connections in one descriptor and the state last,
// but for the listeners that it has. The next process finds all of it, once.
func TestTheStoreGetsEverything(t *testing.T) {
	withoutBus(t)
	m, conn := listening(t)
	cfg := config.Defaults()
	e := &estate{bundle: connections(t, 600), doors: testDoors(t, cfg)}
	defer e.close()
	s := newStore(m, zerolog.Nop())
	failed := make(chan error)
	go func() { failed <- s.inherit(e) }()
	said, files := hear(t, conn, "BARRIER=1")
	closeAll(files[len(files)-1:]) // of the barrier
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	same(t, said, append(forgotten(),
		"FDSTORE=1 FDNAME=zegorelay-connections FDPOLL=0 (1)",
		"FDSTORE=1 FDNAME=zegorelay-listener FDPOLL=0 (1)",
		"FDSTORE=1 FDNAME=zegorelay-state FDPOLL=0 (1)",
		"BARRIER=1 (1)")...)

	cfg.Memory = 1 // it has become smaller, which is no reason
	ours := func() map[string][]*os.File {
		return map[string][]*os.File{
			storedConnections: {again(t, files[0])}, storedListener: {again(t, files[1])}, storedState: {again(t, files[2])},
		}
	}
	failedStart := newKept(cfg, m, zerolog.Nop(), ours())
	failedStart.close()
	k := newKept(cfg, m, zerolog.Nop(), ours())
	k.take()
	left := k.legacy()
	defer left.close()
	for number := range e.bundle.Files {
		if left.bundle.Files[number] == nil {
			t.Fatalf("connection %d is missing", number)
		}
	}
	web := left.sockets[httpSocket]
	if len(left.bundle.Files) != 600 || len(left.sockets[rtmpSocket]) != 0 || len(web) != 1 ||
		web[0].Addr().String() != e.doors[1].Addr().String() || web[0].lent {
		t.Errorf("left are %d connections and %v", len(left.bundle.Files), left.sockets)
	}
	said, _ = hear(t, conn, "FDSTOREREMOVE=1 FDNAME=zegorelay-listener")
	same(t, said, forgotten()...)

	// A manager that didn't hear that it is to forget them gives them away again.
	stale := newKept(cfg, m, zerolog.Nop(), ours())
	stale.take()
	if left := stale.legacy(); left.bundle != nil || len(left.sockets[httpSocket]) != 1 {
		t.Errorf("the second time, left are %+v and %v", left.bundle, left.sockets)
	}
	stale.close()
	closeAll(files[:3])
}

// again is one more descriptor.
func again(t *testing.T, file *os.File) *os.File {
	t.Helper()
	fd, err := syscall.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), "")
}

// A manager that doesn't take everything has nothing in the end.
func TestTheStoreFails(t *testing.T) {
	t.Run("too small", func(t *testing.T) {
		m, _ := listening(t)
		m.keeps = 2
		e := &estate{bundle: connections(t, 4), doors: testDoors(t, config.Defaults())}
		defer e.close()
		if err := newStore(m, zerolog.Nop()).inherit(e); err == nil || !strings.Contains(err.Error(), "3 descriptors are too many") {
			t.Errorf("it returned %v", err)
		}
	})
	t.Run("broken", func(t *testing.T) {
		m, conn := listening(t)
		e := &estate{bundle: connections(t, 2), doors: testDoors(t, config.Defaults())}
		defer e.close()
		e.doors[1].file.Close() // can't be sent
		if err := newStore(m, zerolog.Nop()).inherit(e); err == nil {
			t.Errorf("it returned %v", err)
		}
		hear(t, conn, "FDSTOREREMOVE=1 FDNAME=zegorelay-listener")
		said, files := hear(t, conn, "FDSTOREREMOVE=1 FDNAME=zegorelay-listener")
		closeAll(files)
		same(t, said, append([]string{"FDSTORE=1 FDNAME=zegorelay-connections FDPOLL=0 (1)"}, forgotten()...)...)
		if len(e.bundle.Files) != 2 {
			t.Errorf("%d connections are left to go on with", len(e.bundle.Files))
		}
	})
	t.Run("dropped", func(t *testing.T) {
		t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", bus{stored: func() uint32 { return 2 }}.listen(t))
		m, conn := listening(t)
		e := &estate{bundle: connections(t, 2), doors: testDoors(t, config.Defaults())}
		defer e.close()
		failed := make(chan error)
		go func() { failed <- newStore(m, zerolog.Nop()).inherit(e) }()
		_, files := hear(t, conn, "BARRIER=1")
		closeAll(files)
		if err := <-failed; err == nil || !strings.Contains(err.Error(), "it has kept 2 descriptors of 3") {
			t.Errorf("it returned %v", err)
		}
		said, _ := hear(t, conn, "FDSTOREREMOVE=1 FDNAME=zegorelay-listener")
		same(t, said, forgotten()...)
	})
	t.Run("refused", func(t *testing.T) {
		s := newStore(&serviceManager{keeps: 1}, zerolog.Nop())
		s.refuse(errors.New("any"))
		if s.isWanted(t.Context()) {
			t.Errorf("it is tried again")
		}
	})
}

// What is no state with its connections is closed and forgotten, in so many words.
func TestWhatWasKeptIsOfNoUse(t *testing.T) {
	file := func(t *testing.T) *os.File {
		t.Helper()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		w.Close()
		t.Cleanup(func() { r.Close() })
		return r
	}
	for what, tc := range map[string]struct {
		states, sockets int
		says            string
	}{
		"no state":   {0, 1, `"states":0,"sockets":1,"listeners":1`},
		"no socket":  {1, 0, `"states":1,"sockets":0,"listeners":1`},
		"two states": {2, 2, `"states":2,"sockets":2,"listeners":1`},
		"bad state":  {1, 1, `can't be read`},
	} {
		t.Run(what, func(t *testing.T) {
			m, conn := listening(t)
			ours := map[string][]*os.File{storedListener: {file(t)}}
			for range tc.states {
				ours[storedState] = append(ours[storedState], file(t))
			}
			for range tc.sockets {
				ours[storedConnections] = append(ours[storedConnections], file(t))
			}
			var log bytes.Buffer
			none := make(chan bool)
			go func() { none <- newKept(config.Defaults(), m, zerolog.New(&log), ours) == nil }()
			said, files := hear(t, conn, "BARRIER=1")
			closeAll(files)
			same(t, said, append(forgotten(), "BARRIER=1 (1)")...)
			if !<-none || !strings.Contains(log.String(), tc.says) || !strings.Contains(log.String(), "were closed") {
				t.Errorf("the log says %s", &log)
			}
			for name, files := range ours {
				for _, f := range files {
					if err := f.Close(); !errors.Is(err, os.ErrClosed) {
						t.Errorf("%s stayed open", name)
					}
				}
			}
		})
	}
}

// Listeners for which the configuration has another address are closed, and the state of
// another program is none.
func TestALegacyIsOfNoUse(t *testing.T) {
	cfg := config.Defaults()
	e := &estate{bundle: connections(t, 1), doors: testDoors(t, cfg)}
	defer e.close()
	state, err := e.sealed(e.doors)
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	cfg.HTTPListen = "elsewhere"
	left, err := newLegacy(cfg, zerolog.Nop(), state, listeners(e.doors))
	if err != nil {
		t.Fatal(err)
	}
	if len(left.sockets[rtmpSocket]) != 1 || len(left.sockets[httpSocket]) != 0 || len(left.bundle.Files) != 0 {
		t.Errorf("left are %v, %v", left.sockets, left.bundle.Files)
	}
	left.close()
	other, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	file := slices.Collect(func(yield func(*os.File) bool) {
		for _, f := range e.bundle.Files {
			yield(f)
		}
	})
	if _, err := newLegacy(cfg, zerolog.Nop(), other, file); err == nil {
		t.Errorf("a file on a disk is a state")
	}
	if err := file[0].Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("its connections stayed open")
	}
}

// While it isn't certain that the process ends the manager hears nothing of an end.
func TestServiceManagerIsToldOfAHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, c := newTold(zerolog.Nop())
		p := &fakeRelay{alive: make(chan struct{})}
		close(p.alive)
		leaving, leave := context.WithCancel(t.Context())
		ending, end := context.WithCancel(t.Context())
		over, ended := make(chan struct{}), make(chan struct{})
		go func() { defer close(ended); supervise(leaving, ending, m, p, over, 10*time.Second) }()
		pass(500 * time.Millisecond)
		leave()
		pass(2200 * time.Millisecond)
		end()
		pass(time.Second)
		close(over)
		<-ended
		same(t, c.all("STATUS"),
			"0s READY=1 STATUS=0 live", "500ms WATCHDOG=1", "1.5s WATCHDOG=1", "2.5s WATCHDOG=1",
			"3.5s STOPPING=1 EXTEND_TIMEOUT_USEC=5000000 STATUS=stopping")
	})
}
