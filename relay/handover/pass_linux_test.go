package handover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair is two ends of a unix stream socket.
func pair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		ends[i] = c.(*net.UnixConn)
		ends[i].SetDeadline(time.Now().Add(20 * time.Second))
	}
	return ends[0], ends[1]
}

// openFiles is how many descriptors this process has.
func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// numbered is n files in memory that say which they are.
func numbered(t *testing.T, n int) []*os.File {
	t.Helper()
	files := make([]*os.File, n)
	for i := range files {
		f, err := newMemory()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		fmt.Fprint(f, i)
		files[i] = f
	}
	return files
}

func TestPass(t *testing.T) {
	for _, n := range []int{0, 1, passBatch, passBatch + 1, 600} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			files := numbered(t, n)
			a, b := pair(t)
			sent := make(chan error, 1)
			before := openFiles(t)
			go func() { sent <- Send(a, files) }()
			got, err := Receive(b, n)
			if err := errors.Join(err, <-sent); err != nil || len(got) != n {
				t.Fatalf("%d files: %v", len(got), err)
			}
			for i, f := range got {
				said := make([]byte, 8)
				n, _ := f.ReadAt(said, 0)
				if string(said[:n]) != fmt.Sprint(i) {
					t.Fatalf("file %d is %q", i, said[:n])
				}
				flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0)
				if err != nil || flags&unix.FD_CLOEXEC == 0 {
					t.Fatalf("file %d is not closed on exec: %v", i, err)
				}
				f.Close()
			}
			if after := openFiles(t); after != before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
		})
	}
}

// What goes wrong leaves nothing open.
func TestPassFails(t *testing.T) {
	header := func(n uint32) []byte { return binary.BigEndian.AppendUint32([]byte(passMagic), n) }
	for name, tc := range map[string]struct {
		send func(c *net.UnixConn, files []*os.File)
		want string
	}{
		"nothing":       {func(*net.UnixConn, []*os.File) {}, "closed before"},
		"half a header": {func(c *net.UnixConn, _ []*os.File) { c.Write([]byte("zg")) }, "closed before"},
		"another":       {func(c *net.UnixConn, _ []*os.File) { c.Write([]byte("GET / HTTP/1.1")) }, "something else"},
		"too many":      {func(c *net.UnixConn, _ []*os.File) { c.Write(header(1 << 31)) }, "at most 300"},
		"all but one": {func(c *net.UnixConn, files []*os.File) {
			c.Write(header(300))
			batch(c, 250, files[:250])
			batch(c, 49, files[:49])
		}, "closed before"},
		"bytes alone":         {func(c *net.UnixConn, _ []*os.File) { c.Write(append(header(1), 1)) }, "0 came where 1"},
		"one less":            {func(c *net.UnixConn, files []*os.File) { c.Write(header(9)); batch(c, 3, files[:2]) }, "2 came where 3"},
		"one more":            {func(c *net.UnixConn, files []*os.File) { c.Write(header(9)); batch(c, 1, files[:2]) }, "2 came where 1"},
		"more than said":      {func(c *net.UnixConn, files []*os.File) { c.Write(header(1)); batch(c, 2, files[:2]) }, "more came"},
		"with the header":     {func(c *net.UnixConn, files []*os.File) { c.WriteMsgUnix(header(1), rights(files[:1]), nil) }, "closed before"},
		"an empty batch":      {func(c *net.UnixConn, _ []*os.File) { c.Write(append(header(1), 0)) }, "0 came where 0"},
		"too many open files": {func(c *net.UnixConn, files []*os.File) { c.Write(header(300)); batch(c, 250, files[:250]) }, "didn't pass all"},
	} {
		t.Run(name, func(t *testing.T) {
			files := numbered(t, 250)
			a, b := pair(t)
			tc.send(a, files)
			a.Close()
			before := openFiles(t)
			if name == "too many open files" {
				limitFiles(t, uint64(before+100))
			}
			got, err := Receive(b, 300)
			if err == nil || got != nil || !strings.Contains(err.Error(), tc.want) || errors.Is(err, io.EOF) {
				t.Errorf("got %d files and %v, want %q", len(got), err, tc.want)
			}
			if after := openFiles(t); after != before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
		})
	}
}

func rights(files []*os.File) []byte {
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	return unix.UnixRights(fds...)
}

func batch(c *net.UnixConn, n byte, files []*os.File) { c.WriteMsgUnix([]byte{n}, rights(files), nil) }

// limitFiles bounds how many may be open until the end of the test.
func limitFiles(t *testing.T, most uint64) {
	t.Helper()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &was) })
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
}

func TestReceiveDeadline(t *testing.T) {
	_, b := pair(t)
	b.SetDeadline(time.Now().Add(time.Millisecond))
	if _, err := Receive(b, 1); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestSendClosed(t *testing.T) {
	a, b := pair(t)
	files := numbered(t, 2)
	b.Close()
	if err := Send(a, files); err == nil {
		t.Error("nobody is there")
	}
	files[1].Close()
	c, _ := pair(t)
	if err := Send(c, files); err == nil {
		t.Error("one of them is closed")
	}
}
