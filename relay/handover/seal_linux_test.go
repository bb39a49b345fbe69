package handover

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"golang.org/x/sys/unix"

	"zegorelay/relay/rtmp"
)

const most = 1 << 20

// sealed is a sealed file in memory with b in it.
func sealed(t *testing.T, b []byte) *os.File {
	t.Helper()
	f, err := newMemory()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := sealMemory(f); err != nil {
		t.Fatal(err)
	}
	return f
}

// encoded is what Seal puts into the file.
func encoded(tb testing.TB, s *State) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := s.write(&b); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	want := filled(t, 3)
	want.Streams[1].Backlog.Entries[0].Opening = []Entry{} // begins an epoch, without headers
	want.Streams[2].Publisher.Session.Name = "\xff\xfe is no text"
	f, err := want.Seal()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at, _ := f.Seek(1, io.SeekStart)
	got, problems, err := Unseal(f, most)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if now, _ := f.Seek(0, io.SeekCurrent); now != at {
		t.Errorf("the offset moved from %d to %d", at, now)
	}
	if got, _, err := Unseal(f, most); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the second time: %v", err)
	}
	for name, change := range map[string]func() error{
		"write": func() error { _, err := f.WriteAt([]byte{0}, 0); return err },
		"cut":   func() error { return f.Truncate(1) },
		"grow":  func() error { return f.Truncate(most) },
	} {
		if change() == nil {
			t.Errorf("%s: a sealed state can be changed", name)
		}
	}
}

// What another program has sealed is read: fields that it doesn't have are zero, those
// that only it has are ignored.
func TestOtherPrograms(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(stream map[string]any)
		want   func(*Stream)
	}{
		"a field more": {
			func(stream map[string]any) {
				stream["New"] = map[string]any{"Deep": []any{1, "x", nil, 1.5}}
				stream["Clock"].(map[any]any)["New"] = true
				stream["id"] = "another" // a name counts as it is written
			},
			func(*Stream) {},
		},
		"a field less": {
			func(stream map[string]any) {
				delete(stream, "Moved")
				delete(stream, "Players")
				delete(stream["Clock"].(map[any]any), "Newest")
			},
			func(s *Stream) { s.Moved, s.Players, s.Clock.Newest = "", nil, 0 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := filled(t, 1)
			records := recordsOf(t, encoded(t, s))
			var stream map[string]any
			if err := cbor.Unmarshal(records[1].body, &stream); err != nil {
				t.Fatal(err)
			}
			tc.change(stream)
			body, err := cbor.Marshal(stream)
			if err != nil {
				t.Fatal(err)
			}
			records[1].body = body
			got, problems, err := Unseal(sealed(t, join(t, records)), most)
			if err != nil || len(problems) > 0 {
				t.Fatal(err, problems)
			}
			tc.want(&s.Streams[0])
			if !reflect.DeepEqual(got, s) {
				t.Errorf("got  %+v\nwant %+v", got, s)
			}
		})
	}
}

type record struct {
	kind byte
	body []byte
}

func recordsOf(tb testing.TB, b []byte) (all []record) {
	tb.Helper()
	r, err := open(b)
	if err != nil {
		tb.Fatal(err)
	}
	for len(r.left) > 0 {
		kind, body, err := r.next()
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, record{kind, body})
	}
	return all
}

// join makes a state of records, with lengths and checksums that are right.
func join(tb testing.TB, all []record) []byte {
	tb.Helper()
	b := binary.BigEndian.AppendUint16([]byte(magic), version)
	for _, r := range all {
		one := append(make([]byte, recordHeader), r.body...)
		if err := putHeader(one, r.kind); err != nil {
			tb.Fatal(err)
		}
		b = append(b, one...)
	}
	return b
}

func TestUnusable(t *testing.T) {
	good := encoded(t, filled(t, 1))
	with := func(at int, b byte) []byte {
		changed := slices.Clone(good)
		changed[at] = b
		return changed
	}
	records := recordsOf(t, good)
	for name, tc := range map[string]struct {
		file func() *os.File
		want string
	}{
		"not sealed": {func() *os.File { f, _ := newMemory(); f.Write(good); return f }, "no sealed file"},
		"sealed by half": {func() *os.File {
			f, _ := newMemory()
			f.Write(good)
			unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals&^unix.F_SEAL_SHRINK)
			return f
		}, "no sealed file"},
		"on a disk":           {func() *os.File { f, _ := os.Create(t.TempDir() + "/state"); f.Write(good); return f }, "no sealed file"},
		"a pipe":              {func() *os.File { r, w, _ := os.Pipe(); w.Close(); return r }, "no sealed file"},
		"closed":              {func() *os.File { f, _ := newMemory(); f.Close(); return f }, "closed"},
		"empty":               {func() *os.File { return sealed(t, nil) }, "something else"},
		"the magic only":      {func() *os.File { return sealed(t, []byte(magic)) }, "something else"},
		"another magic":       {func() *os.File { return sealed(t, with(0, 'Z')) }, "something else"},
		"a version to come":   {func() *os.File { return sealed(t, with(len(magic)+1, 2)) }, "version 2, this program knows version 1"},
		"too large":           {func() *os.File { return sealed(t, append(good, make([]byte, most)...)) }, "at most"},
		"a broken head":       {func() *os.File { return sealed(t, with(len(magic)+2+recordHeader, 0)) }, "the head: its checksum"},
		"no head":             {func() *os.File { return sealed(t, join(t, records[1:])) }, "the head: something else"},
		"a head that is none": {func() *os.File { return sealed(t, join(t, []record{{kindHead, []byte{0x80}}})) }, "the head: cbor"},
	} {
		t.Run(name, func(t *testing.T) {
			f := tc.file()
			defer f.Close()
			s, problems, err := Unseal(f, most)
			if s != nil || problems != nil || err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, %v, %v, want an error with %q", s, problems, err, tc.want)
			}
		})
	}
}

// Whatever is missing, it is told of, and what is there is used.
func TestTruncated(t *testing.T) {
	small := filled(t, 1)
	for _, id := range []string{"cam2", "cam3"} {
		small.Streams = append(small.Streams, Stream{ID: id, Direction: pull})
	}
	good := encoded(t, small)
	records := recordsOf(t, good)
	behind := make([]int, 0, len(records)) // where they end
	at := len(magic) + 2
	for _, r := range records {
		at += recordHeader + len(r.body)
		behind = append(behind, at)
	}
	for n := range good {
		s, problems, err := parse(good[:n])
		if n < behind[0] {
			if err == nil {
				t.Fatalf("%d bytes are enough", n)
			}
			continue
		}
		whole := 0
		for _, end := range behind[1:4] {
			if end <= n {
				whole++
			}
		}
		if err != nil || len(problems) == 0 || len(s.Streams) != whole {
			t.Fatalf("%d bytes of %d: %v, %v; want %d streams", n, len(good), err, problems, whole)
		}
	}
}

// A bit that falls over costs no stream but its own.
func TestFlippedBits(t *testing.T) {
	want := filled(t, 3)
	good := encoded(t, want)
	records := recordsOf(t, good)
	first := len(magic) + 2 + recordHeader + len(records[0].body)
	last := len(good) - recordHeader
	size := (last - first) / 3
	for i := range good {
		for bit := range 8 {
			inHeader := i < len(magic)+2+recordHeader || i >= first && (i-first)%size < recordHeader
			if !inHeader && i%64 != 8*bit {
				continue // some of a body's will do
			}
			b := slices.Clone(good)
			b[i] ^= 1 << bit
			s, problems, err := parse(b)
			if i < first {
				continue // the head's are anybody's guess
			}
			if err != nil {
				t.Fatalf("byte %d, bit %d: %v", i, bit, err)
			}
			hit := (i - first) / size // 3: the end
			for n := range want.Streams {
				found := slices.ContainsFunc(s.Streams, func(got Stream) bool { return reflect.DeepEqual(got, want.Streams[n]) })
				if !found && n != hit {
					t.Fatalf("byte %d, bit %d: stream %d is gone (%v)", i, bit, n, problems)
				}
			}
			if len(s.Streams) < 3 && len(problems) == 0 {
				t.Fatalf("byte %d, bit %d: nobody is told", i, bit)
			}
		}
	}
}

func TestProblems(t *testing.T) {
	stream := func(t *testing.T, change func(map[string]any)) []byte {
		var m map[string]any
		if err := cbor.Unmarshal(recordsOf(t, encoded(t, filled(t, 1)))[1].body, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		body, _ := cbor.Marshal(m)
		return body
	}
	deep := append(bytes.Repeat([]byte{0x81}, 1000), 0)
	for name, tc := range map[string]struct {
		body []byte
		want string
	}{
		"nothing":              {nil, "EOF"},
		"no map":               {[]byte{0x80}, "cannot unmarshal array"},
		"two values":           {[]byte{0xa0, 0xa0}, "extraneous"},
		"a key twice":          {append([]byte{0xa2}, bytes.Repeat([]byte{0x62, 'I', 'D', 0x61, 'x'}, 2)...), "duplicate"},
		"a long key twice":     {append([]byte{0xa2}, bytes.Repeat(append(append([]byte{0x79, 4, 0}, make([]byte, 1024)...), 0), 2)...), "duplicate"},
		"no end of nesting":    {deep, "nested"},
		"an array of claims":   {[]byte{0xa1, 0x67, 'P', 'l', 'a', 'y', 'e', 'r', 's', 0x9a, 0xff, 0xff, 0xff, 0xff}, "exceeded max number"},
		"a shorter one":        {[]byte{0xa1, 0x67, 'P', 'l', 'a', 'y', 'e', 'r', 's', 0x9a, 0, 0x0f, 0xff, 0xff}, "EOF"},
		"a map of claims":      {[]byte{0xba, 0xff, 0xff, 0xff, 0xff}, "exceeded max number"},
		"bytes of claims":      {[]byte{0xa1, 0x62, 'I', 'D', 0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "EOF"},
		"no end said":          {[]byte{0xbf, 0xff}, "indefinite"},
		"a tag":                {[]byte{0xc1, 0xa0}, "tag"},
		"a negative number":    {stream(t, func(m map[string]any) { m["Written"] = -1 }), "cannot unmarshal"},
		"a number too large":   {stream(t, func(m map[string]any) { m["Clock"] = map[string]any{"Newest": 1 << 40} }), "cannot unmarshal"},
		"one that is none":     {stream(t, func(m map[string]any) { m["Players"] = "x" }), "cannot unmarshal"},
		"one that makes none":  {stream(t, func(m map[string]any) { m["ID"] = "" }), "name"},
		"the same once more":   {stream(t, func(map[string]any) {}), "twice"},
		"another's connection": {stream(t, func(m map[string]any) { m["ID"] = "cam2" }), "somebody else's"},
	} {
		t.Run(name, func(t *testing.T) {
			records := recordsOf(t, encoded(t, filled(t, 2)))
			records[2].body = tc.body
			s, problems, err := parse(join(t, records))
			if err != nil || len(s.Streams) != 1 || len(problems) != 1 {
				t.Fatalf("got %v, %v, want one stream and one problem", err, problems)
			}
			if text := problems[0].Error(); !strings.Contains(text, tc.want) || len(text) > 2*mostReason {
				t.Errorf("got %q, want %q", text, tc.want)
			}
		})
	}
}

// What is not of one stream, or of one player, does not cost a stream.
func TestSmallProblems(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*State)
		want   string
		left   func(*State) bool
	}{
		"a time to come":        {func(s *State) { s.At = Now() + 1<<40 }, "time", func(s *State) bool { return s.At.Since() >= 0 }},
		"no time":               {func(s *State) { s.At = 0 }, "time", func(s *State) bool { return s.At > 0 }},
		"reasons without end":   {func(s *State) { s.Process.Rejects = many(mostKeys + 1) }, "rejects", func(s *State) bool { return s.Process.Connections == 0 }},
		"codes without end":     {func(s *State) { s.Process.Dispatches = make([]Dispatches, mostCodes+1) }, "dispatches", func(s *State) bool { return s.Process.Events == 0 }},
		"a long code":           {func(s *State) { s.Process.Dispatches[0].Code = long(mostKey) }, "dispatches", func(s *State) bool { return s.Process.Events == 0 }},
		"a listener of nothing": {func(s *State) { s.Listeners[0].Protocol = "gopher" }, "listener", func(s *State) bool { return s.Listeners == nil }},
		"a listener nowhere":    {func(s *State) { s.Listeners[0].Socket = 0 }, "socket", func(s *State) bool { return s.Listeners == nil }},
		"a long address":        {func(s *State) { s.Listeners[0].Asked = long(mostText) }, "address", func(s *State) bool { return s.Listeners == nil }},
		"a client nowhere":      {func(s *State) { s.Clients[0].Socket = 0 }, "socket", func(s *State) bool { return s.Clients == nil }},
		"a client's chunks":     {func(s *State) { s.Clients[0].Session.Conn.ChunkSize = 0 }, "chunk size", func(s *State) bool { return s.Clients == nil }},
		"a player nowhere":      {func(s *State) { s.Streams[0].Players[0].Socket = 0 }, "socket", noPlayer},
		"an encoder's socket":   {func(s *State) { s.Streams[0].Players[0].Socket = s.Streams[0].Publisher.Socket }, "somebody", noPlayer},
		"a player ahead":        {func(s *State) { s.Streams[0].Players[0].Reader.Next = 9 }, "next message", noPlayer},
		"a player that sends":   {func(s *State) { s.Streams[0].Players[0].Session.Action = rtmp.Publish }, "play", noPlayer},
		"a player from never":   {func(s *State) { s.Streams[0].Players[0].Age = -1 }, "age", noPlayer},
		"one stream too few":    {func(s *State) { s.Streams[1].ID = s.Streams[0].ID }, "twice", func(s *State) bool { return len(s.Streams) == 2 }},
	} {
		t.Run(name, func(t *testing.T) {
			s := filled(t, 3)
			tc.change(s)
			got, problems, err := parse(encoded(t, s))
			if err != nil || len(problems) != 1 || !strings.Contains(problems[0].Error(), tc.want) || !tc.left(got) || len(got.Streams) < 2 {
				t.Errorf("got %v, %v; want one problem with %q", err, problems, tc.want)
			}
		})
	}
}

func noPlayer(s *State) bool {
	return len(s.Streams) == 3 && len(s.Streams[0].Players) == 0 && len(s.Streams[1].Players) == 1
}

func FuzzUnseal(f *testing.F) {
	f.Add(encoded(f, filled(f, 2)))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, problems, err := Unseal(sealed(t, b), 64<<20)
		if (s == nil) != (err != nil) || err != nil && problems != nil {
			t.Fatal(s, problems, err)
		}
		if err != nil {
			return
		}
		again, problems, err := parse(encoded(t, s))
		if err != nil || len(problems) > 0 || len(again.Streams) != len(s.Streams) {
			t.Fatal(err, problems)
		}
	})
}

// The checksums keep a fuzzer out of what is behind them.
func FuzzStream(f *testing.F) {
	f.Add(recordsOf(f, encoded(f, filled(f, 1)))[1].body)
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := cbor.Marshal(head{At: 1, Streams: 1})
		if err != nil {
			t.Fatal(err)
		}
		s, problems, err := parse(join(t, []record{{kindHead, h}, {kindStream, body}, {kindEnd, nil}}))
		if err != nil || len(s.Streams) == 0 && len(problems) == 0 {
			t.Fatal(err, problems)
		}
		if again, problems, err := parse(encoded(t, s)); err != nil || len(problems) > 0 || len(again.Streams) != len(s.Streams) {
			t.Fatal(err, problems)
		}
	})
}

func BenchmarkSealUnseal(b *testing.B) {
	const streams, perStream, size = 20, 1000, 5000 // 100 MB
	s := &State{At: 1}
	for i := range streams {
		stream := Stream{ID: string(rune('a' + i)), Direction: push, Backlog: Backlog{Begun: true}}
		for range perStream {
			stream.Backlog.Entries = append(stream.Backlog.Entries, Entry{Type: rtmp.TypeVideo, Payload: make([]byte, size)})
		}
		s.Streams = append(s.Streams, stream)
	}
	b.SetBytes(streams * perStream * size)
	b.ReportAllocs()
	for b.Loop() {
		f, err := s.Seal()
		if err != nil {
			b.Fatal(err)
		}
		got, problems, err := Unseal(f, 1<<30)
		if err != nil || len(problems) > 0 || len(got.Streams) != streams {
			b.Fatal(err, problems)
		}
		f.Close()
	}
}

// A client that doesn't decode costs nobody else anything.
func TestOneClientIsNone(t *testing.T) {
	records := recordsOf(t, encoded(t, filled(t, 1)))
	var head map[string]any
	if err := cbor.Unmarshal(records[0].body, &head); err != nil {
		t.Fatal(err)
	}
	head["Clients"] = append([]any{map[string]any{"Socket": "none"}}, head["Clients"].([]any)...)
	records[0].body, _ = cbor.Marshal(head)
	s, problems, err := parse(join(t, records))
	if err != nil || len(problems) != 1 || len(s.Clients) != 1 || len(s.Streams) != 1 || len(s.Listeners) != 1 {
		t.Errorf("got %v, %v, %v", s, problems, err)
	}
}
