package handover

import (
	"net"
	"os"
	"testing"
)

func TestSockets(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, b := pair(t)
	before := openFiles(t)
	want, err := SocketOf(ln.(*net.TCPListener))
	if err != nil || want == 0 {
		t.Fatal(want, err)
	}
	listener, _ := ln.(*net.TCPListener).File()
	once, _ := a.File()
	twice, _ := a.File()
	other, _ := b.File()
	r, w, _ := os.Pipe()
	defer w.Close()
	if got, err := SocketOf(listener); got != want || err != nil {
		t.Errorf("its file is %d, the listener %d: %v", got, want, err)
	}
	if _, err := SocketOf(r); err == nil {
		t.Error("a pipe is a socket")
	}

	files, closed := Gather([]*os.File{listener, once, r, twice, other})
	if closed != 2 || len(files) != 3 || files[want] != listener {
		t.Errorf("%d files, %d closed", len(files), closed)
	}
	bundle := Bundle{Files: files}
	if f, ok := bundle.Take(want); !ok || f != listener {
		t.Error("the listener is gone")
	}
	if f, ok := bundle.Take(want); ok || f != nil {
		t.Error("it is there twice")
	}
	listener.Close()
	bundle.Close()
	w.Close()
	if after := openFiles(t); after != before || len(files) > 0 {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if _, err := SocketOf(listener); err == nil {
		t.Error("it is closed")
	}
}

func TestNow(t *testing.T) {
	first := Now()
	if first <= 0 || first.Since() < 0 || Now() < first {
		t.Error("the clock goes back")
	}
}
