package rtmp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"
)

// stutter gives its bytes in pieces, and a timeout after each of them.
type stutter struct {
	src   *bytes.Reader
	piece func() int
	isDue bool
}

func (s *stutter) Read(p []byte) (int, error) {
	if s.isDue = !s.isDue; !s.isDue {
		return 0, os.ErrDeadlineExceeded
	}
	return s.src.Read(p[:min(len(p), s.piece())])
}

// A Reader that was stopped anywhere, and another that goes on from there with its
// state, read what one reads that was never stopped.
func TestReaderGoesOnWhereItStopped(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bin")
	if err != nil || len(files) == 0 {
		t.Fatal("no captures", err)
	}
	for _, file := range files {
		want := readCapture(t, filepath.Base(file))
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for name, piece := range map[string]func() int{
			"byte by byte": func() int { return 1 },
			"in pieces":    func() int { return 1 + rand.N(400) },
		} {
			t.Run(filepath.Base(file)+" "+name, func(t *testing.T) {
				input := bytes.NewReader(b[handshakeBytes:])
				src := &stutter{src: input, piece: piece}
				got := readAcross(t, src, name == "in pieces")
				if len(got) != len(want) {
					t.Fatalf("%d messages, want %d", len(got), len(want))
				}
				for i := range got {
					if got[i].Type != want[i].Type || got[i].Timestamp != want[i].Timestamp || got[i].StreamID != want[i].StreamID ||
						!bytes.Equal(got[i].Payload, want[i].Payload) {
						t.Fatalf("message %d: got %v, want %v", i, got[i], want[i])
					}
				}
			})
		}
	}
}

// readAcross reads all messages of src; every timeout is the end of a Reader, if so
// asked, from whose state another goes on.
func readAcross(t *testing.T, src io.Reader, isMoving bool) (all []Message) {
	t.Helper()
	c := &conn{in: NewReader(src, Limits{}), out: NewWriter(io.Discard)}
	for {
		m, err := c.in.ReadMessage()
		switch {
		case err == nil && (m.IsMedia() || m.Type == TypeCommand):
			all = append(all, m)
			continue
		case err == nil:
			continue
		case errors.Is(err, ErrPeerClosed):
			return all
		case !errors.Is(err, os.ErrDeadlineExceeded):
			t.Fatal(err)
		}
		if !isMoving {
			continue
		}
		state := c.state()
		c = &conn{in: NewReader(src, Limits{}), out: NewWriter(io.Discard)}
		if err := c.in.resume(&state); err != nil {
			t.Fatal(err)
		}
	}
}

// Both ends of a session go from process to process, as it were, at any moment, while
// one sends to the other as fast as it goes: not a byte is lost, twice, or out of order.
func TestSessionsGoOn(t *testing.T) {
	ln := listen(t)
	encoders := make(chan *Session, 1)
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		s, err := Accept(testContext(t), nc, Limits{}, Timeouts{Read: 5 * time.Second, Write: 5 * time.Second})
		if err == nil {
			err = s.Start()
		}
		if err != nil {
			t.Error(err)
		}
		encoders <- s
	}()
	up, err := Dialer{}.Publish(testContext(t), target(t, ln, "cam1"))
	if err != nil {
		t.Fatal(err)
	}
	session := <-encoders
	if !session.c.canPause() {
		t.Skip("only Linux can hand connections over")
	}
	const messages = 20_000
	sent := make(chan error, 1)
	go func() { sent <- sendAcross(up, messages) }()
	moved := 0
	stop := time.AfterFunc(time.Millisecond, func() { session.Pause(time.Now().Add(pauseFor())) })
	for i := range messages {
		m, err := session.Read()
		for errors.Is(err, ErrPaused) {
			stop.Stop()
			if session, err = moveSession(session); err != nil {
				t.Fatal(err)
			}
			moved++
			now := session
			stop = time.AfterFunc(rand.N(2*time.Millisecond), func() { now.Pause(time.Now().Add(pauseFor())) })
			m, err = session.Read()
		}
		if err != nil {
			t.Fatalf("message %d, after %d moves: %v", i, moved, err)
		}
		if want := numbered(i); m.Timestamp != want.Timestamp || !bytes.Equal(m.Payload, want.Payload) {
			t.Fatalf("message %d, after %d moves, is another", i, moved)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if moved < 20 {
		t.Errorf("it moved %d times: it was no test", moved)
	}
}

// pauseFor is at times too short for a message to end.
func pauseFor() time.Duration { return rand.N(2 * time.Millisecond) }

func numbered(i int) Message {
	p := payload(20+i*37%30_000, byte(i))
	binary.BigEndian.PutUint32(p[8:], uint32(i))
	return Message{Type: []Type{TypeVideo, TypeAudio}[i%2], Timestamp: uint32(i) << 12, Payload: p}
}

func moveSession(s *Session) (*Session, error) {
	nc, err := moved(s.File)
	if err != nil {
		return nil, err
	}
	state, err := s.State()
	if err != nil {
		return nil, err
	}
	_ = s.Close()
	return ResumeSession(nc, Limits{}, Timeouts{Read: 5 * time.Second, Write: 5 * time.Second}, &state)
}

func moved(file func() (*os.File, error)) (net.Conn, error) {
	f, err := file()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return net.FileConn(f)
}

// sendAcross sends numbered messages, and moves again and again.
func sendAcross(up *Upstream, messages int) error {
	serve := func(up *Upstream) chan error {
		done := make(chan error, 1)
		go func() { done <- up.Serve() }()
		return done
	}
	served := serve(up)
	for i := range messages {
		up.Queue(numbered(i))
		if i%500 == 499 {
			up.Pause(time.Now().Add(pauseFor()))
		}
		err := up.Flush()
		if err != nil && !errors.Is(err, ErrPaused) {
			return err
		}
		if i%500 != 499 {
			continue
		}
		if err := <-served; !errors.Is(err, ErrPaused) {
			return err
		}
		nc, err := moved(up.File)
		if err != nil {
			return err
		}
		state, err := up.State()
		if err != nil {
			return err
		}
		_ = up.Close()
		if up, err = (Dialer{}).Resume(nc, &state, time.Now()); err != nil {
			return err
		}
		served = serve(up)
		if err := up.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// What the state of a connection says it says of the one that goes on, too.
func TestConnStateRoundTrip(t *testing.T) {
	want := ConnState{
		Received: 5000, ChunkSize: 4096, Input: []byte("in"), Under: 6, Left: 7, Unrepeated: true, AckEvery: 100, Acked: 4000,
		OutChunkSize: 60000, Queued: 9000, Unsent: []byte("out"), Mute: true, PeerAcked: 8000, PeerAcks: 3, AckStep: 500, OddAcks: true,
		ChunkStreams: []ChunkStreamState{{
			ID: 6, Timestamp: 1, Delta: 2, Extended: true, Extension: 3, Length: 20, Type: TypeVideo, StreamID: 1, Begun: true, Body: []byte("body"),
		}},
	}
	for id := range chunkStreamCount {
		want.Sent = append(want.Sent, SentState{Used: true, Timestamp: uint32(id), StreamID: 1})
	}
	near, _ := pair(t)
	c, err := resumeConn(near, Limits{}, &want)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.state(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	// Nothing can be sent: an encoder doesn't mind, a player would see nothing.
	if _, err := (&Session{Action: Publish, c: c}).State(); err != nil {
		t.Errorf("an encoder that can't be told anything: %v", err)
	}
	if _, err := (&Session{Action: Play, c: c}).State(); err == nil {
		t.Error("a player that can't be sent anything goes on")
	}
	if _, err := (&Upstream{c: c}).State(); err == nil {
		t.Error("a node that can't be sent anything goes on")
	}
	for field, v := range reflect.ValueOf(want).Fields() {
		if v.IsZero() {
			t.Errorf("%s is zero: nothing is shown of it", field.Name)
		}
	}
}

// A state that no session can be in is refused.
func TestResumeRefusesOddStates(t *testing.T) {
	begun := ChunkStreamState{ID: 6, Length: 20, Type: TypeVideo, Begun: true, Body: []byte("body")}
	for name, spoil := range map[string]func(*ConnState){
		"chunk size 0":            func(s *ConnState) { s.ChunkSize = 0 },
		"huge chunks":             func(s *ConnState) { s.ChunkSize = 1<<24 + 1 },
		"many chunk streams":      func(s *ConnState) { s.ChunkStreams = make([]ChunkStreamState, 1025) },
		"one twice":               func(s *ConnState) { s.ChunkStreams = []ChunkStreamState{begun, begun} },
		"a body that is too long": func(s *ConnState) { s.ChunkStreams[0].Length = 3 },
		"a message over a limit":  func(s *ConnState) { s.ChunkStreams[0].Length = 1 << 24 },
		"much unfinished": func(s *ConnState) {
			for id := range uint32(600) {
				s.ChunkStreams = append(s.ChunkStreams, ChunkStreamState{ID: 100 + id, Length: 16 << 20, Type: TypeVideo, Begun: true})
			}
		},
		"much input":          func(s *ConnState) { s.Input = make([]byte, 32<<20+1) },
		"under nothing":       func(s *ConnState) { s.Under, s.Left = 7, 1 },
		"more than a message": func(s *ConnState) { s.Left = 17 },
		"under none begun":    func(s *ConnState) { s.ChunkStreams[0].Begun = false; s.ChunkStreams[0].Body = nil },
	} {
		near, _ := pair(t)
		state := ConnState{ChunkSize: 128, OutChunkSize: 128, Under: 6, Left: 7, ChunkStreams: []ChunkStreamState{begun}}
		if _, err := resumeConn(near, Limits{}, &state); err != nil {
			t.Fatal(err)
		}
		spoil(&state)
		if _, err := resumeConn(near, Limits{}, &state); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// A field that is added to what sessions remember needs a decision: does the next
// process need it?
func TestEveryFieldIsDecided(t *testing.T) {
	const (
		goes  = "goes"  // is in the state
		anew  = "anew"  // is made by who goes on
		empty = "empty" // is empty while a session is paused
	)
	decided := map[reflect.Type]map[string]string{
		reflect.TypeFor[conn](): {
			"nc": anew, "in": goes, "timeouts": anew, "ackEvery": goes, "acked": goes, "readBy": anew, "parts": empty,
			"pongs": anew, "pongsOf": anew, "peerAcked": goes, "peerAcks": goes, "ackStep": goes, "oddAcks": goes, "queued": goes,
			"beforeWait": anew, "stopBy": anew, "mu": anew, "out": goes, "writeBy": anew,
		},
		reflect.TypeFor[Reader](): {
			"src": anew, "lazy": anew, "limits": anew, "buf": goes, "start": goes, "end": goes, "beforeRead": anew, "onRead": anew,
			"pool": anew, "received": goes, "chunkSize": goes, "chunkStreams": goes, "last": anew, "unfinished": goes, "unrepeated": goes,
			"inHeader": empty, "mark": empty, "under": goes, "left": goes, "takeBuffer": anew, "giveBuffer": anew,
		},
		reflect.TypeFor[chunkStream](): {
			"id": goes, "timestamp": goes, "delta": goes, "extended": goes, "extension": goes, "length": goes, "typ": goes, "streamID": goes,
			"begun": goes, "body": goes, "room": anew,
		},
		reflect.TypeFor[Writer](): {
			"dst": anew, "writev": anew, "tryWritev": anew, "chunkSize": goes, "sent": goes, "scratch": goes, "loose": goes, "pieces": goes,
			"eaten": anew, "joined": anew, "onFailure": anew, "failed": goes, "queued": goes,
		},
		reflect.TypeFor[sentHeader](): {"used": goes, "timestamp": goes, "streamID": goes},
		reflect.TypeFor[Session](): {
			"Action": goes, "App": goes, "Name": goes, "TCURL": goes, "Client": goes, "User": goes, "c": goes, "streamID": goes,
		},
		reflect.TypeFor[Upstream](): {"c": goes, "begun": goes, "name": goes, "streamID": goes, "window": goes},
	}
	for typ, fields := range decided {
		var there []string
		for i := range typ.NumField() {
			name := typ.Field(i).Name
			there = append(there, name)
			if fields[name] == "" {
				t.Errorf("%s.%s: does the next process need it? resume.go has it, or not; say so here", typ.Name(), name)
			}
		}
		for name := range fields {
			if !slices.Contains(there, name) {
				t.Errorf("%s.%s is no more", typ.Name(), name)
			}
		}
	}
}
