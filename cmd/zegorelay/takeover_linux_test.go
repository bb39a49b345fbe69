package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// unixPair is a unix connection's two ends: the old process's and the new one's.
func unixPair(t *testing.T) (was, is *net.UnixConn) {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if is, err = net.DialUnix("unix", nil, ln.Addr().(*net.UnixAddr)); err != nil {
		t.Fatal(err)
	}
	if was, err = ln.AcceptUnix(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { was.Close(); is.Close() })
	return was, is
}

// Whatever happens and however late, exactly one of two processes goes on.
func TestOneOfTwoGoesOn(t *testing.T) {
	late := func(c *net.UnixConn) { c.SetDeadline(time.Now().Add(-time.Second)) } // the old one's patience is over
	for what, tc := range map[string]struct {
		before  func(was, is *net.UnixConn) // before the old one decides
		first   bool                        // the new one speaks first
		newOnes bool                        // it goes on
	}{
		"it says so":                {first: true, newOnes: true},
		"it says so, heard late":    {first: true, newOnes: true, before: func(was, _ *net.UnixConn) { late(was) }},
		"it says so too late":       {before: func(was, _ *net.UnixConn) { late(was) }},
		"it says half, then hangs":  {before: func(was, is *net.UnixConn) { io.WriteString(is, "mi"); late(was) }},
		"it dies":                   {before: func(_, is *net.UnixConn) { is.Close() }},
		"it says something else":    {before: func(_, is *net.UnixConn) { io.WriteString(is, "no: other\n") }},
		"it says far too much":      {before: func(_, is *net.UnixConn) { io.WriteString(is, strings.Repeat("m", 2*mostLine)) }},
		"it says so, and then dies": {first: true, newOnes: true, before: func(_, is *net.UnixConn) { is.CloseWrite() }},
	} {
		t.Run(what, func(t *testing.T) {
			was, is := unixPair(t)
			c := &claim{conn: is, log: zerolog.Nop()}
			var claimed error
			if tc.first {
				claimed = c.isMine(t.Context())
			}
			if tc.before != nil {
				tc.before(was, is)
			}
			s := &successor{conn: was}
			settled := s.settle()
			if settled != nil {
				s.refuse(settled)
			}
			if !tc.first {
				claimed = c.isMine(t.Context())
			}
			if oldOnes := settled != nil; oldOnes == tc.newOnes {
				t.Errorf("the old one goes on: %v (%v)", oldOnes, settled)
			}
			if newOnes := claimed == nil; newOnes != tc.newOnes {
				t.Errorf("the new one goes on: %v (%v)", newOnes, claimed)
			}
		})
	}
}

// Who has been asked to end before it goes on doesn't.
func TestWhoIsAskedToEndDoesNotTakeOver(t *testing.T) {
	was, is := unixPair(t)
	ctx, end := context.WithCancel(t.Context())
	end()
	c := &claim{conn: is, log: zerolog.Nop()}
	if err := c.isMine(ctx); err == nil {
		t.Error("it goes on")
	}
	c.close()
	if err := (&successor{conn: was}).settle(); err == nil {
		t.Error("the old one doesn't go on")
	}
}

// A caller that says nothing doesn't hold up an end, and refusals don't fill a log.
func TestCallersThatAreRefused(t *testing.T) {
	was, _ := unixPair(t)
	ctx, end := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, end)
	begun := time.Now()
	if _, err := (&daemon{log: zerolog.Nop()}).receiveHeir(ctx, was); err == nil || time.Since(begun) > requestTimeout/2 {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var r refusals
		for range 150 {
			r.log(zerolog.New(&log), errors.New("any"))
			pass(time.Second)
		}
		for _, times := range []int{1, 60} {
			if want := fmt.Sprintf(`"times":%d,`, times); !strings.Contains(log.String(), want) {
				t.Errorf("no line with %s", want)
			}
		}
		if n := strings.Count(log.String(), "\n"); n != 3 {
			t.Errorf("%d lines:\n%s", n, &log)
		}
	})
}

// One that has died can't go on.
func TestTheOldOneDies(t *testing.T) {
	for what, unread := range map[string]bool{"with nothing to read": false, "without having read all": true} {
		was, is := unixPair(t)
		if unread {
			io.WriteString(is, "something\n")
		}
		was.Close()
		if err := (&claim{conn: is, log: zerolog.Nop()}).isMine(t.Context()); err != nil {
			t.Errorf("%s: nobody goes on: %v", what, err)
		}
	}
}

// Lines of strangers.
func TestReadLine(t *testing.T) {
	was, is := unixPair(t)
	go func() {
		fmt.Fprint(is, "one\n\n"+strings.Repeat("x", mostLine))
		is.Close()
	}()
	for _, want := range []string{"one", ""} {
		if line, err := readLine(was, nil); line != want || err != nil {
			t.Errorf("read %q, %v, want %q", line, err, want)
		}
	}
	if line, err := readLine(was, nil); err == nil {
		t.Errorf("read %q, which is too long", line)
	}
	if _, err := readLine(was, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("at the end: %v", err)
	}
}
