package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// loadStreams loads a configuration with a streams file.
func loadStreams(t *testing.T, text string) (c *Config, file string, err error) {
	t.Helper()
	file = secretIn(t, t.TempDir(), "streams.yaml", text, 0o600)
	environ(t, map[string]string{"ZEGORELAY_STREAMS_FILE": file})
	c, err = Load()
	return c, file, err
}

func TestStreamsFile(t *testing.T) {
	_, _, err := loadStreams(t, `# cameras
log_level: debug
streams:
  - name: front-door
    key: marker1-0123456789
    stream_id: cam1
    app: secure
    allow: [10.1.0.0/16, loopback]
    user: alice
    password: "marker1: #secret" # a comment
    conflict: takeover
    grace: 30s
    backlog: 20s
    backlog_bytes: 32MiB
  - {key: 012345678901, stream_id: cam2, grace: 0s, allow: private}
  - stream_id: cam3
    key: cam3
`)
	if err == nil || !strings.Contains(err.Error(), "password") {
		t.Fatalf("a password with spaces: %v", err)
	}
	c, file, err := loadStreams(t, `log_level: debug
streams:
  - name: front-door
    key: marker1-0123456789
    stream_id: cam1
    app: secure
    allow: [10.1.0.0/16, loopback]
    user: alice
    password: "marker1:#secret" # a comment
    conflict: takeover
    grace: 30s
    backlog: 20s
    backlog_bytes: 32MiB
  - {key: 012345678901, stream_id: cam2, grace: 0s, allow: private}
  - stream_id: cam3
    key: cam3
`)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Streams) != 3 || c.StreamsFile != file || c.LogLevel != zerolog.DebugLevel {
		t.Fatalf("got %+v", c)
	}
	one, two, three := c.Streams[0], c.Streams[1], c.Streams[2]
	for what, ok := range map[string]bool{
		"name":        one.Name == "front-door" && one.StreamID == "cam1" && two.Name == "cam2",
		"key":         one.Key.Reveal() == "marker1-0123456789",
		"digits":      two.Key.Reveal() == "012345678901",
		"key is id":   three.Key.Reveal() == "cam3",
		"app":         one.App == "secure" && two.App == "live",
		"allow":       len(one.Allow) == 3 && one.Allow[0] == netip.MustParsePrefix("10.1.0.0/16") && len(two.Allow) == 6 && three.Allow == nil,
		"login":       one.User == "alice" && one.Password.Reveal() == "marker1:#secret",
		"conflict":    one.Conflict == "takeover" && two.Conflict == "",
		"grace":       *one.Grace == 30*time.Second && *two.Grace == 0 && three.Grace == nil,
		"the backlog": one.Backlog == 20*time.Second && one.BacklogBytes == 32<<20,
	} {
		if !ok {
			t.Errorf("%s is not as it was written: %+v", what, c.Streams)
		}
	}
	if text := fmt.Sprintf("%+v %#v", c, c.Streams); strings.Contains(text, "marker1") {
		t.Errorf("a secret is in the open: %s", text)
	}
}

// Every mistake is told with its line, and no key or password with it.
func TestSinsOfTheStreamsFile(t *testing.T) {
	const good = "streams:\n  - {name: a, stream_id: id1, key: marker1key, app: x}\n"
	for text, want := range map[string][]string{
		"":                               {" lists no stream"},
		"streams:\n":                     {" lists no stream"},
		"streams: []\n":                  {" lists no stream"},
		"- marker1":                      {":1 has the file without fields"},
		"marker1":                        {":1 has the file without fields"},
		"streams: marker1\n":             {":1 has streams that are no list"},
		"streams:\n  - marker1\n":        {":2 has an entry without fields"},
		"streams:\n  - marker1: x: y\n":  {":2 is where the file stops to be YAML"},
		"streams:\n\t- a\n":              {":2 is where the file stops to be YAML"},
		good + "---\nstreams: []\n":      {" begins a second document"},
		good + "logs: x\n":               {`:3 has the field "logs" that is none of the file's: use streams, log_level`},
		good + "log_level: loud\n":       {`:3 log_level is "loud"`},
		good + "  - {stream_id: b}\n":    {":3 is an entry without key: make one with: zegorelay genkey"},
		good + "  - {key: marker1key2}":  {":3 is an entry without stream_id"},
		good + "  - {stream_id: b, key}": {":3 has key without a value"},
		good + "  - stream_id: b\n    key: marker1\n":       {":3 has a key of 7 characters, too few"},
		good + "  - {stream_id: b.c, key: marker1key2}":     {`:3 has a stream_id of 3 characters that can't be a ZEGO StreamId`},
		good + "  - {stream_id: b, key: 'marker1 key?'}":    {":3 has a key that not every encoder can send"},
		good + "  - {stream_id: b, key: marker1key}":        {":3 has the same key as the entry of line 2"},
		good + "  - {stream_id: id1, name: b, key: id1}":    {":3 has the same stream_id as the entry of line 2"},
		good + "  - {stream_id: b, name: a, key: marker1k}": {":3 has the same name as the entry of line 2"},
		good + "  - {stream_id: b, name: id1, key: mar1234567}": {
			":3 has a name that is the stream_id of line 2"},
		good + "  - {stream_id: b, key: marker1key2, nayme: c}": {`:3 has the field "nayme" that is none of an entry's`},
		good + "  - {stream_id: b, marker1key2: c}":             {`:3 has a field that is none`},
		good + "  - stream_id: b\n    stream_id: c\n    key: marker1key2": {
			":4 has the field stream_id once more"},
		good + "  - stream_id: b\n    key: marker1key2\n    grace: 2h\n    conflict: maybe\n    allow: [10.0.0.0/8, 10.x]": {
			":5 grace is 2h0m0s: use 0s to 1h0m0s", `:6 conflict is "maybe"`, `:7 allow has "10.x", not a network`},
		good + "  - stream_id: b\n    key: |\n      marker1key2\n":                     {":4 has a key that is no plain text"},
		good + "  - stream_id: b\n    key: marker1key2\n    allow: []":                 {":5 has an empty allow"},
		good + "  - {stream_id: b, key: marker1key2, user: x}":                         {":3 has one of user and password"},
		good + "  - {stream_id: b, key: marker1key2, user: x, password: marker1}":      {":3 has a password that is too short"},
		good + "  - {stream_id: b, key: marker1key2, user: 'x y', password: marker11}": {`:3 has a user of 3 characters`},
		good + "  - {stream_id: b, key: marker1key2, user: x, password: marker11, app: x}": {
			":3 shares the app x with the entry of line 2, and only one of them has a user"},
		good + "  - {stream_id: b, key: marker1key2, app: pull}": {":3 has the app pull, which is for playing"},
		"streams:\n  - {stream_id: a, key: marker1key1, user: x, password: marker11}\n" +
			"  - {stream_id: b, key: marker1key2, user: x, password: marker12}\n": {":3 gives the user x another password"},
	} {
		_, file, err := loadStreams(t, text)
		var problems Problems
		if !errors.As(err, &problems) || len(problems) != len(want) {
			t.Errorf("%s\ngot %v, want %d problems", text, err, len(want))
			continue
		}
		for _, w := range want {
			if !slices.ContainsFunc(problems, func(p Problem) bool { return strings.HasPrefix(strings.TrimPrefix(p.String(), file), w) }) &&
				!strings.Contains(err.Error(), w) {
				t.Errorf("%s\ngot %v, want %s", text, err, w)
			}
		}
		if strings.Contains(err.Error(), "marker1") {
			t.Errorf("a secret is in the open: %v", err)
		}
	}
}

func TestWhoMayTouchTheStreamsFile(t *testing.T) {
	const text = "streams: [{stream_id: cam1, key: marker1key}]"
	file := secretIn(t, t.TempDir(), "streams.yaml", text, 0o644)
	environ(t, map[string]string{"ZEGORELAY_STREAMS_FILE": file})
	if _, err := Load(); err == nil || !strings.Contains(err.Error(), file+" can be read or changed by others") {
		t.Errorf("got %v", err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(file))
	if _, err := Load(); err != nil && strings.Contains(err.Error(), "others") {
		t.Errorf("a credential's mode is systemd's, got %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(); err == nil || !strings.Contains(err.Error(), "can't be read (no such file") {
		t.Errorf("got %v", err)
	}
}

// Editors of Windows end lines in two characters, and begin files with a mark.
func TestStreamsFileFromWindows(t *testing.T) {
	c, _, err := loadStreams(t, "\ufeffstreams:\r\n  - name: a\r\n    stream_id: id1\r\n    key: marker1key\r\n    allow:\r\n      - private\r\n")
	if err != nil || len(c.Streams) != 1 || c.Streams[0].Key.Reveal() != "marker1key" || len(c.Streams[0].Allow) != 6 {
		t.Errorf("got %v", err)
	}
}

// Whatever the file holds, reading it returns.
func FuzzStreamsFile(f *testing.F) {
	f.Add("log_level: debug\nstreams:\n  - {name: a, stream_id: id1, key: marker1key, allow: [any], user: u, password: marker1pw}\n")
	f.Add("streams: &a\n  - <<: *a\n  - ? x\n  : |\n   y\n  - !!str 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		var p parser
		s := &streamsFile{file: "f", defaultApp: "live", p: &p}
		s.read(text)
		s.checkAll("pull")
	})
}
