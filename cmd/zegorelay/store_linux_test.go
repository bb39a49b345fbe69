package main

import (
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

// Everything goes to the manager, the state last, but for the listeners that it has.
// The next process finds all of it.
func TestTheStoreGetsEverything(t *testing.T) {
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
	same(t, said,
		"FDSTORE=1 FDNAME=zegorelay-connection FDPOLL=0 (250)",
		"FDSTORE=1 FDNAME=zegorelay-connection FDPOLL=0 (250)",
		"FDSTORE=1 FDNAME=zegorelay-connection FDPOLL=0 (100)",
		"FDSTORE=1 FDNAME=zegorelay-listener FDPOLL=0 (1)",
		"FDSTORE=1 FDNAME=zegorelay-state FDPOLL=0 (1)",
		"BARRIER=1 (1)")

	files = files[:len(files)-1]
	state := files[len(files)-1]
	defer state.Close()
	left, err := newLegacy(cfg, zerolog.Nop(), state, files[:len(files)-1])
	if err != nil {
		t.Fatal(err)
	}
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
}

// A manager that doesn't take everything has nothing in the end.
func TestTheStoreFails(t *testing.T) {
	t.Run("too small", func(t *testing.T) {
		m, _ := listening(t)
		m.keeps = 5
		e := &estate{bundle: connections(t, 4), doors: testDoors(t, config.Defaults())}
		defer e.close()
		if err := newStore(m, zerolog.Nop()).inherit(e); err == nil || !strings.Contains(err.Error(), "6 descriptors are too many") {
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
		said, files := hear(t, conn, "FDSTOREREMOVE=1 FDNAME=zegorelay-listener")
		closeAll(files)
		same(t, said,
			"FDSTORE=1 FDNAME=zegorelay-connection FDPOLL=0 (2)",
			"FDSTOREREMOVE=1 FDNAME=zegorelay-state",
			"FDSTOREREMOVE=1 FDNAME=zegorelay-connection",
			"FDSTOREREMOVE=1 FDNAME=zegorelay-listener")
		if len(e.bundle.Files) != 2 {
			t.Errorf("%d connections are left to go on with", len(e.bundle.Files))
		}
	})
	t.Run("refused", func(t *testing.T) {
		s := newStore(&serviceManager{keeps: 1}, zerolog.Nop())
		s.jobType = func(context.Context) (string, error) { return "restart", nil }
		s.refuse(errors.New("any"))
		if s.isWanted(t.Context()) {
			t.Errorf("it is tried again")
		}
	})
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
