package rtmp

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// listen returns a loopback listener that ends with the test.
func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// target is a stream called name at the listener.
func target(t *testing.T, ln net.Listener, name string) Target {
	t.Helper()
	to, err := ParseTarget("rtmp://" + ln.Addr().String() + "/1540531164/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// accept serves one connection with serve and returns what serve returned.
func accept(t *testing.T, ln net.Listener, serve func(*Session) error) <-chan error {
	t.Helper()
	ctx := testContext(t)
	done := make(chan error, 1)
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			done <- err
			return
		}
		defer nc.Close()
		s, err := Accept(ctx, nc, Limits{}, Timeouts{Read: 5 * time.Second, Write: 5 * time.Second})
		if err != nil {
			done <- err
			return
		}
		done <- serve(s)
	}()
	return done
}

// testMedia is a second of a stream, with one message longer than any chunk.
func testMedia() []Message {
	key := append([]byte("\x17\x01\x00\x00\x00"), payload(200_000, 1)...)
	media := []Message{
		{Type: TypeData, Payload: SetDataFrame([]byte("\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09"))},
		{Type: TypeVideo, Payload: []byte("\x17\x00\x00\x00\x00\x01\x42")},
		{Type: TypeAudio, Payload: []byte("\xaf\x00\x12\x10")},
		{Type: TypeVideo, Payload: key},
	}
	for i := range uint32(40) {
		media = append(media,
			Message{Type: TypeAudio, Timestamp: 23 * i, Payload: append([]byte("\xaf\x01"), payload(300, byte(i))...)},
			Message{Type: TypeVideo, Timestamp: 23 * i, Payload: append([]byte("\x27\x01\x00\x00\x00"), payload(4000, byte(i))...)})
	}
	return append(media, Message{Type: TypeAudio, Timestamp: 1000})
}

func TestUpstreamPublishesToSession(t *testing.T) {
	ln := listen(t)
	want := testMedia()
	served := accept(t, ln, func(s *Session) error {
		if s.Action != Publish || s.App != "1540531164" || s.Name != "cam1?token=x" {
			t.Errorf("got action %v, app %q, name %q", s.Action, s.App, s.Name)
		}
		if err := s.Start(); err != nil {
			return err
		}
		for i, m := range want {
			got, err := s.Read()
			if err != nil {
				t.Errorf("message %d: %v", i, err)
				return err
			}
			got.StreamID = 0
			checkSame(t, got, m)
		}
		_, err := s.Read()
		return err
	})
	u, err := Dialer{}.Publish(testContext(t), target(t, ln, "cam1?token=x"))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	over := make(chan error, 1)
	go func() { over <- u.Serve() }()
	var end uint64
	for _, m := range want {
		end = u.Queue(m)
	}
	if err := u.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := u.Unpublish(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; !errors.Is(err, ErrUnpublished) {
		t.Errorf("the session ended with %v, want %v", err, ErrUnpublished)
	}
	if err := <-over; !errors.Is(err, ErrPeerClosed) {
		t.Errorf("the upstream ended with %v, want %v", err, ErrPeerClosed)
	}
	// The far side acknowledges by the window that we asked for.
	if got := u.Progress().Delivered(); got == 0 || end-got > 2*windowForNodes+handshakeBytes {
		t.Errorf("delivered %d of %d bytes", got, end)
	}
}

func TestRefusal(t *testing.T) {
	ln := listen(t)
	served := accept(t, ln, func(s *Session) error {
		s.Refuse(CodePublishBadName, "cam1 is taken\nby \x1b[31mothers")
		return nil
	})
	_, err := Dialer{}.Publish(testContext(t), target(t, ln, "cam1"))
	var status *StatusError
	if !errors.As(err, &status) {
		t.Fatalf("got %v, want a StatusError", err)
	}
	if status.Command != "publish" || status.Code != CodePublishBadName || status.Description != `cam1 is taken\nby \x1b[31mothers` {
		t.Errorf("got %+v", status)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestUpstreamSeesTheEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		serve func(*Session) error
		want  string
	}{
		"an error status": {func(s *Session) error {
			return s.c.send(commandMessage(1, "onStatus", 0, nil, statusInfo{Level: "error", Code: "NetStream.Failed", Description: "out of disk"}))
		}, "NetStream.Failed (out of disk)"},
		"an error status in the first argument": {func(s *Session) error {
			return s.c.send(commandMessage(1, "onStatus", 0, statusInfo{Level: "error", Code: "NetStream.Failed"}))
		}, "NetStream.Failed"},
		"unpublished": {func(s *Session) error {
			return s.c.send(commandMessage(1, "onStatus", 0, nil, statusInfo{Level: "status", Code: "NetStream.Unpublish.Success"}))
		}, "NetStream.Unpublish.Success"},
		"StreamEOF": {func(s *Session) error {
			return s.c.send(Message{Type: TypeUserControl, Payload: []byte{0, 1, 0, 0, 0, 1}})
		}, "StreamEOF (the peer ended the stream)"},
		"close": {func(*Session) error { return nil }, ErrPeerClosed.Error()},
		"reset": {func(s *Session) error {
			return s.c.nc.(*net.TCPConn).SetLinger(0)
		}, "connection reset by peer"},
		"bytes that are no RTMP": {func(s *Session) error {
			return s.c.send(Message{Type: TypeCommand, Payload: []byte{0xFF}})
		}, "not valid RTMP"},
	} {
		t.Run(name, func(t *testing.T) {
			ln := listen(t)
			served := accept(t, ln, func(s *Session) error {
				if err := s.Start(); err != nil {
					return err
				}
				return tc.serve(s)
			})
			u, err := Dialer{}.Publish(testContext(t), target(t, ln, "cam1"))
			if err != nil {
				t.Fatal(err)
			}
			defer u.Close()
			if err := u.Serve(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestUpstreamAnswersPings(t *testing.T) {
	ln := listen(t)
	served := accept(t, ln, func(s *Session) error {
		ping := Message{Type: TypeUserControl, Payload: []byte{0, 6, 1, 2, 3, 4}}
		unknown := Message{Type: TypeUserControl, Payload: []byte{0, 31, 1, 2, 3, 4}}
		if err := errors.Join(s.Start(), s.c.send(unknown, ping)); err != nil {
			return err
		}
		for {
			m, err := s.c.in.ReadMessage()
			if err != nil {
				return err
			}
			if m.Type == TypeUserControl {
				if want := []byte{0, 7, 1, 2, 3, 4}; !bytes.Equal(m.Payload, want) {
					t.Errorf("got pong %x, want %x", m.Payload, want)
				}
				return nil
			}
		}
	})
	u, err := Dialer{}.Publish(testContext(t), target(t, ln, "cam1"))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	go func() { _ = u.Serve() }()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// A node that is silent at any point up to Publish.Start is given up when the
// context says so.
func TestDialGivesUp(t *testing.T) {
	cause := errors.New("too slow")
	for name, serve := range map[string]func(net.Conn){
		"before the handshake": func(net.Conn) {},
		"after the handshake":  func(nc net.Conn) { _ = acceptHandshake(NewReader(nc, Limits{}), nc) },
		"before Publish.Start": func(nc net.Conn) {
			_, _ = Accept(context.Background(), nc, Limits{}, Timeouts{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			ln := listen(t)
			served := make(chan net.Conn, 1)
			go func() {
				if nc, err := ln.Accept(); err == nil {
					serve(nc)
					served <- nc
				}
			}()
			ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, cause)
			defer cancel()
			if _, err := (Dialer{}).Publish(ctx, target(t, ln, "cam1")); !errors.Is(err, cause) {
				t.Errorf("got %v, want %v", err, cause)
			}
			(<-served).Close()
		})
	}
}

func TestAcceptRefusesOtherProtocols(t *testing.T) {
	for _, hello := range []string{"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00", "\x06"} {
		ln := listen(t)
		served := accept(t, ln, func(*Session) error { return nil })
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Write([]byte(hello)); err != nil {
			t.Fatal(err)
		}
		if err := <-served; !errors.Is(err, ErrProtocol) {
			t.Errorf("%q: got %v, want %v", hello, err, ErrProtocol)
		}
		nc.Close()
	}
}

func TestSilentEncoderTimesOut(t *testing.T) {
	ln := listen(t)
	served := accept(t, ln, func(s *Session) error {
		s.c.setTimeouts(Timeouts{Read: 50 * time.Millisecond})
		if err := s.Start(); err != nil {
			return err
		}
		_, err := s.Read()
		return err
	})
	u, err := Dialer{}.Publish(testContext(t), target(t, ln, "cam1"))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if err := <-served; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want %v", err, os.ErrDeadlineExceeded)
	}
}

func TestGoodbyes(t *testing.T) {
	s := &Session{Name: "cam1?token=x", streamID: 1}
	for name, tc := range map[string]struct {
		m    Message
		want bool
	}{
		"FCUnpublish of this stream":          {commandMessage(0, "FCUnpublish", 6, nil, "cam1?token=x"), true},
		"FCUnpublish of another's":            {commandMessage(0, "FCUnpublish", 6, nil, "cam2"), false},
		"deleteStream of this stream":         {commandMessage(0, "deleteStream", 7, nil, 1), true},
		"deleteStream of another's":           {commandMessage(0, "deleteStream", 7, nil, 2), false},
		"deleteStream by name, as GStreamer":  {commandMessage(0, "deleteStream", 0, nil, "cam1?token=x"), true},
		"closeStream on the message stream":   {commandMessage(1, "closeStream", 0, nil), true},
		"closeStream on the connection":       {commandMessage(0, "closeStream", 0, nil), false},
		"a command that nobody knows of ever": {commandMessage(1, "xyzzy", 0, nil), false},
	} {
		cmd, err := parseCommand(tc.m, Limits{}.withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		if got := s.isGoodbye(tc.m.StreamID, cmd); got != tc.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// A node that repeats the stream's name in what it says doesn't bring the query
// behind it into our log.
func TestNodesWordsAreHushed(t *testing.T) {
	u := &Upstream{name: "cam1?sign=s3cr3t&time=1"}
	status := u.hushed(&StatusError{Code: "NetStream.Publish.BadName", Description: "live/cam1?sign=s3cr3t&time=1 is taken"})
	if got := status.Error(); strings.Contains(got, "s3cr3t") || !strings.Contains(got, "live/cam1?… is taken") {
		t.Errorf("got %s", got)
	}
	if got := (&Upstream{name: "cam1"}).hushed(&StatusError{Code: "x", Description: "cam1 is taken"}); got.Description != "cam1 is taken" {
		t.Errorf("without a query: got %s", got.Description)
	}
}
