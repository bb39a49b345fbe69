package relay_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"zegorelay/dispatch"
	"zegorelay/relay"
	"zegorelay/relay/handover"
	"zegorelay/relay/rtmp"
)

// FuzzGoOn has a server go on with states that are spoilt field by field, and yet pass
// for sound ones: nothing that it may do then is a crash, or a server that doesn't end.
// Three bytes of the input each spoil one field.
func FuzzGoOn(f *testing.F) {
	if testing.Short() {
		f.Skip("every input is a server")
	}
	state := sampleState(f)
	fields := len(leavesOf(state))
	f.Add([]byte{}) // as it is
	for i := range fields {
		f.Add([]byte{byte(i), byte(i >> 8), byte(i)})
	}
	f.Fuzz(func(t *testing.T, spoil []byte) {
		onlyLinux(t)
		goOnWith(t, state, spoil)
	})
}

// sampleState is one of two streams with all that belongs to one.
func sampleState(tb testing.TB) *os.File {
	tb.Helper()
	header := handover.Entry{Type: rtmp.TypeVideo, Payload: []byte("\x17\x00\x00\x00\x00\x01"), Age: time.Second}
	conn := rtmp.ConnState{
		Received: 4000, ChunkSize: 128, Input: []byte{0x46}, AckEvery: 1000, Acked: 3000, OutChunkSize: 128, Queued: 5000, PeerAcked: 10,
		ChunkStreams: []rtmp.ChunkStreamState{
			{ID: 4, Timestamp: 9, Delta: 1, Length: 10, Type: rtmp.TypeAudio, StreamID: 1},
			{ID: 6, Timestamp: 9, Delta: 1, Length: 400, Type: rtmp.TypeVideo, StreamID: 1, Begun: true, Body: make([]byte, 100)},
		},
		Under: 6, Left: 28, Sent: make([]rtmp.SentState, 7), Unsent: []byte("unsent"),
	}
	reader := handover.Reader{Next: 11, Begun: true, Given: []handover.Entry{header}, Ticks: true, Last: 20, Now: 20}
	player := handover.Player{Session: rtmp.SessionState{Conn: conn, Action: rtmp.Play, Name: "cam1", StreamID: 1}, Reader: reader, Begun: true}
	key := handover.Entry{Type: rtmp.TypeVideo, Timestamp: 20, Payload: []byte("\x17\x01\x00\x00\x00\x02"), Age: time.Second, Start: true}
	frame := key
	frame.Payload, frame.Start = []byte("\x27\x01\x00\x00\x00\x02"), false
	stream := handover.Stream{
		ID: "cam1", Direction: "push", Age: time.Minute, LastMedia: time.Minute,
		Clock: handover.Clock{Newest: 20, Age: time.Second, Runs: true},
		Backlog: handover.Backlog{
			First: 10, Entries: []handover.Entry{key, frame, frame}, Base: []handover.Entry{header}, HasVideo: true, Begun: true,
			Origin: 1, Received: 10, Lost: make([]uint64, 12), InDoubt: make([]uint64, 12),
		},
		Node: &handover.Node{
			Asked: "rtmp://127.0.0.1:1935/1/cam1", URL: "rtmp://127.0.0.1:1935/1/cam1",
			Upstream: rtmp.UpstreamState{Conn: conn, Name: "cam1", StreamID: 1, Window: 4096}, Reader: reader,
			Flights: []handover.Flight{{End: 4000, Next: 10}, {End: 5000, Next: 11}}, Seam: handover.Seam{Overlaps: true},
		},
		Answer: &handover.Answer{Nodes: []string{"rtmp://127.0.0.1:1935/1/cam1"}}, Written: 11,
		Publisher: &handover.Publisher{Session: rtmp.SessionState{Conn: conn, Action: rtmp.Publish, App: "live", Name: "cam1", StreamID: 1}, ID: 1},
		Players:   []handover.Player{player},
	}
	pull := stream
	pull.Direction, pull.Publisher, pull.Written = "pull", nil, 0
	node := *stream.Node
	pull.Node = &node
	s := handover.State{At: handover.Now(), Streams: []handover.Stream{stream, pull}}
	n := handover.Socket(1)
	for i := range s.Streams {
		st := &s.Streams[i]
		if st.Publisher != nil {
			st.Publisher.Socket = n
		}
		st.Node.Socket = n + 1
		st.Players = []handover.Player{player}
		st.Players[0].Socket = n + 2
		n += 3
	}
	file, err := s.Seal()
	if err != nil {
		tb.Skip(err)
	}
	tb.Cleanup(func() { file.Close() })
	return file
}

// copyOf is the state in a file.
func copyOf(file *os.File) *handover.State {
	state, problems, err := handover.Unseal(file, 1<<20)
	if err != nil || len(problems) > 0 {
		panic(problems)
	}
	return state
}

func leavesOf(file *os.File) []reflect.Value { return leaves(reflect.ValueOf(copyOf(file)).Elem()) }

// leaves are all numbers, texts and flags in a value, sockets apart.
func leaves(v reflect.Value) (all []reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return leaves(v.Elem())
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			all = append(all, leaves(field)...)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return []reflect.Value{v}
		}
		for i := range v.Len() {
			all = append(all, leaves(v.Index(i))...)
		}
	case reflect.Map:
	default:
		if v.Type() != reflect.TypeFor[handover.Socket]() {
			return []reflect.Value{v}
		}
	}
	return all
}

// spoil sets a leaf to something that it may not be.
func spoil(v reflect.Value, how byte) {
	odd := []uint64{0, 1, 2, 3, 5, 9, 11, 12, 13, 127, 128, 129, 400, 4096, 1 << 16, 1<<24 - 1, 1 << 31, 1<<32 - 1, 1 << 40, 1 << 61, 1<<63 - 1, 1<<64 - 1}
	n := odd[int(how)%len(odd)]
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(how%2 == 0)
	case reflect.String:
		v.SetString(strings.Repeat("x", int(how)))
	case reflect.Slice:
		v.SetBytes(bytes.Repeat([]byte{how}, int(how)))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(n))
	default:
		if v.CanUint() {
			v.SetUint(n)
		}
	}
}

// goOnWith has a server go on with a spoilt state for a moment, with peers that say
// something and close.
func goOnWith(t *testing.T, file *os.File, how []byte) {
	state, isSound := copyOf(file), len(how) < 3
	all := leaves(reflect.ValueOf(state).Elem())
	for ; len(how) >= 3; how = how[3:] {
		spoil(all[(int(how[0])|int(how[1])<<8)%len(all)], how[2])
	}
	bundle := connected(t, state)
	sealed, err := state.Seal()
	if err != nil {
		return
	}
	defer sealed.Close()
	if bundle.State, _, err = handover.Unseal(sealed, 1<<24); err != nil {
		bundle.Close()
		return
	}
	log := &logBuffer{changed: make(chan struct{})}
	srv := relay.New(relay.Options{
		Log: zerolog.New(log), DrainTimeout: 50 * time.Millisecond, RetryMin: time.Millisecond, RetryMax: time.Millisecond,
		Dispatch: func(context.Context, dispatch.Request) (dispatch.Answer, error) {
			return dispatch.Answer{}, &dispatch.Error{Verdict: dispatch.Again}
		},
	})
	srv.GoOn(bundle)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	<-time.After(5 * time.Millisecond)
	srv.Streams()
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the server doesn't end")
	}
	if isSound && !strings.Contains(log.String(), `"encoders":1,"nodes":2,"players":2`) {
		t.Errorf("the log says\n%s", log)
	}
	if strings.Contains(log.String(), "panic") {
		t.Errorf("the log says\n%s", log)
	}
}

// connected gives the sockets of a state connections, whose far sides say something.
func connected(t *testing.T, state *handover.State) *handover.Bundle {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	b := handover.NewBundle()
	connect := func(s *handover.Socket) {
		far, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		near, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		file, err := near.(*net.TCPConn).File()
		if err != nil {
			t.Fatal(err)
		}
		near.Close()
		if *s, err = b.Put(file); err != nil {
			t.Fatal(err)
		}
		_, _ = far.Write(bytes.Repeat([]byte("\x84\x00\x00\x05\x00\x00\x02\x08\xaf\x01"), 40))
		time.AfterFunc(8*time.Millisecond, func() { far.Close() })
	}
	for i := range state.Streams {
		st := &state.Streams[i]
		if st.Publisher != nil {
			connect(&st.Publisher.Socket)
		}
		connect(&st.Node.Socket)
		for n := range st.Players {
			connect(&st.Players[n].Socket)
		}
	}
	return b
}
