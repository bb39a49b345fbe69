package handover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// All descriptors are in one, until one of those that have it takes them out.
func TestPack(t *testing.T) {
	for _, n := range []int{0, 1, passBatch + 1, 2000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			before := openFiles(t)
			files := make([]*os.File, n)
			for i := range files {
				r, w, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprint(w, i)
				w.Close()
				files[i] = r
			}
			socket, err := Pack(files, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer socket.Close()
			for _, f := range files {
				f.Close()
			}
			// One that only has it, as a service manager does.
			fd, err := unix.FcntlInt(socket.Fd(), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			other := os.NewFile(uintptr(fd), "")
			defer other.Close()
			if now := openFiles(t); now > before+2 {
				t.Errorf("%d descriptors are open, %d were before", now, before)
			}
			got, err := Unpack(socket, n, time.Second)
			if err != nil || len(got) != n {
				t.Fatalf("%d files: %v", len(got), err)
			}
			for i, f := range got {
				said := make([]byte, 8)
				n, _ := f.Read(said)
				if f.Close(); string(said[:n]) != fmt.Sprint(i) {
					t.Errorf("file %d says %q", i, said[:n])
				}
			}
			if again, err := Unpack(other, n, time.Second); err == nil {
				t.Errorf("%d files came a second time", len(again))
			}
		})
	}
}

// What is no such socket is no danger, and who waits doesn't do so for ever.
func TestUnpackSomethingElse(t *testing.T) {
	a, b := pair(t)
	silent, err := a.File()
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	begun := time.Now()
	if _, err := Unpack(silent, 1, 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nobody says anything: %v", err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("that took %v", took)
	}
	b.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	tcp, err := conn.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	for what, f := range map[string]*os.File{"TCP": tcp, "a file in memory": numbered(t, 1)[0]} {
		if _, err := Unpack(f, 1, time.Second); err == nil {
			t.Errorf("%s could be unpacked", what)
		}
	}
}

// A socket that can't take all of them is none.
func TestPackFails(t *testing.T) {
	files := numbered(t, 1)
	files[0].Close()
	before := openFiles(t)
	if _, err := Pack(files, time.Second); err == nil {
		t.Errorf("a descriptor that is closed could be packed")
	}
	many := make([]*os.File, 120_000) // its buffer is full before
	open := numbered(t, 1)[0]
	for i := range many {
		many[i] = open
	}
	if _, err := Pack(many, 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, unix.ETOOMANYREFS) {
		t.Errorf("it returned %v", err)
	}
	if now := openFiles(t); now != before+1 {
		t.Errorf("%d descriptors are open, %d were before", now, before)
	}
}

// Size is no less than what is written, and not much more.
func TestSize(t *testing.T) {
	s := &State{}
	for i := range 20 {
		s.Streams = append(s.Streams, Stream{ID: fmt.Sprint(i), Backlog: Backlog{Entries: []Entry{
			{Payload: make([]byte, 100_000)}, {Payload: make([]byte, 200)},
		}}})
	}
	if written, size := len(encoded(t, s)), s.Size(); size < written || size > written*5/4 {
		t.Errorf("the size is %d, %d bytes are written", size, written)
	}
}
