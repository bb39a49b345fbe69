package handover

import (
	"reflect"
	"testing"

	"zegorelay/relay/rtmp"
)

// filler sets every field to something else than zero.
type filler struct {
	t       *testing.T
	sockets uint64
}

func (f *filler) fill(v reflect.Value) {
	switch v.Interface().(type) {
	case Socket:
		f.sockets++
		v.SetUint(f.sockets)
		return
	case rtmp.Type:
		v.SetUint(uint64(rtmp.TypeVideo))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.String:
		v.SetString("x")
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		f.fill(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(key)
		f.fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			if _, isEntry := v.Interface().(Entry); isEntry && v.Type().Field(i).Name == "Opening" {
				continue // an entry in an entry without end
			}
			f.fill(v.Field(i)) // panics for a field that is not exported: the format would drop it
		}
	default:
		f.t.Fatalf("the filler doesn't know %s", v.Type())
	}
}

// makeSense corrects what the filler can't know.
func makeSense(s *Stream) {
	s.ID, s.Direction = "cam1", push
	s.Backlog.Entries[0].Opening = []Entry{s.Backlog.Base[0]}
	s.Publisher.Session.Action = rtmp.Publish
	s.Players[0].Session.Action = rtmp.Play
	for _, c := range []*rtmp.ConnState{&s.Publisher.Session.Conn, &s.Players[0].Session.Conn, &s.Node.Upstream.Conn} {
		makeConnSense(c)
	}
}

func makeConnSense(c *rtmp.ConnState) {
	c.ChunkStreams[0].ID, c.Under = 3, 3
	c.ChunkStreams[0].Length = 2
}

// filledStream is a push in which no field is zero, and that checks.
func filledStream(t *testing.T) *Stream { return &filled(t, 1).Streams[0] }

// filled is a state of n such streams.
func filled(tb testing.TB, n int) *State {
	t, _ := tb.(*testing.T)
	f := &filler{t: t}
	s := &State{}
	f.fill(reflect.ValueOf(s).Elem())
	s.Listeners[0].Protocol = "rtmp"
	makeConnSense(&s.Clients[0].Session.Conn)
	s.Streams = make([]Stream, n)
	for i := range s.Streams {
		f.fill(reflect.ValueOf(&s.Streams[i]).Elem())
		makeSense(&s.Streams[i])
		s.Streams[i].ID += string(rune('a' + i))
	}
	return s
}
