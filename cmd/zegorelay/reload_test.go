package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"zegorelay/config"
)

const (
	reloadSecret = "marker4-00112233445566778899aabb"
	oneStream    = "streams:\n  - {name: door, stream_id: cam1, key: marker4-key-1}\n"
)

// reloading is a daemon that doesn't run, with files that can be written anew.
type reloading struct {
	*daemon

	t                *testing.T
	streams, secrets string // files
	log              bytes.Buffer
	level            zerolog.Level
}

func newReloading(t *testing.T) *reloading {
	t.Helper()
	for _, setting := range os.Environ() {
		if name, _, _ := strings.Cut(setting, "="); strings.HasPrefix(name, "ZEGORELAY_") {
			t.Setenv(name, "")
		}
	}
	dir := t.TempDir()
	r := &reloading{t: t, streams: filepath.Join(dir, "streams.yaml"), secrets: filepath.Join(dir, "secret")}
	r.write(r.streams, oneStream)
	r.write(r.secrets, reloadSecret)
	for name, value := range map[string]string{
		"APP_ID": "1234567890", "SERVER_SECRET_FILE": r.secrets, "STREAMS_FILE": r.streams,
		"RTMP_LISTEN": "127.0.0.1:0", "HTTP_LISTEN": "off",
	} {
		t.Setenv("ZEGORELAY_"+name, value)
	}
	cfg, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	if r.daemon, err = newDaemon(cfg, zerolog.New(&r.log), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.close() })
	r.level = cfg.LogLevel
	r.setLevel = func(l zerolog.Level) { r.level = l }
	return r
}

func (r *reloading) write(file, text string) {
	r.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func TestReload(t *testing.T) {
	r := newReloading(t)
	if err := r.reload(); err != nil || !strings.Contains(r.log.String(), `"changed":[]`) {
		t.Errorf("nothing new: %v\n%s", err, &r.log)
	}
	r.write(r.streams, "log_level: debug\n"+oneStream+"  - {name: yard, stream_id: cam2, key: marker4-key-2}\n")
	r.write(r.secrets, strings.ToUpper(reloadSecret))
	if err := r.reload(); err != nil {
		t.Fatal(err)
	}
	if want := `"changed":["log level","server secret","streams (1 added, 0 removed, 0 changed)"]`; !strings.Contains(r.log.String(), want) {
		t.Errorf("no %s in\n%s", want, &r.log)
	}
	ok, first := r.lastReload()
	if !ok || r.level != zerolog.DebugLevel || !slices.Equal(r.names(), []string{"door", "yard"}) {
		t.Errorf("%v, level %v, names %v", ok, r.level, r.names())
	}
	// A problem anywhere leaves all as it was.
	r.write(r.secrets, reloadSecret[1:])
	r.write(r.streams, "log_level: error\nstreams: [{name: x, stream_id: y}]\n")
	err := r.reload()
	if lines := problemsOf(err); len(lines) != 2 || !strings.HasSuffix(lines[1], "is an entry without key: make one with: zegorelay genkey") {
		t.Errorf("got %q", lines)
	}
	ok, last := r.lastReload()
	if ok || last != first || r.level != zerolog.DebugLevel || len(r.names()) != 2 {
		t.Errorf("%v, level %v, names %v", ok, r.level, r.names())
	}
	r.write(r.secrets, reloadSecret)
	r.write(r.streams, "streams:\n  - {name: door, stream_id: cam1, key: marker4-key-3}\n")
	if err := r.reload(); err != nil || !strings.Contains(r.log.String(), "streams (0 added, 1 removed, 1 changed)") {
		t.Errorf("%v\n%s", err, &r.log)
	}
	t.Setenv("ZEGORELAY_STREAMS_FILE", "")
	if err := r.reload(); err == nil || !strings.Contains(err.Error(), "restart") {
		t.Errorf("without the file: %v", err)
	}
	if strings.Contains(strings.ToLower(r.log.String()), "marker4") {
		t.Errorf("a secret is in the log:\n%s", &r.log)
	}
}

func TestTheLevelOfTheLogChanges(t *testing.T) {
	var out bytes.Buffer
	log, queue := newLogger(&out, &config.Config{LogFormat: "json", LogLevel: zerolog.InfoLevel})
	child := log.With().Str("of", "child").Logger()
	child.Debug().Msg("one")
	queue.SetLevel(zerolog.DebugLevel)
	child.Debug().Msg("two")
	queue.SetLevel(zerolog.ErrorLevel)
	child.Warn().Msg("three")
	child.Error().Msg("four")
	_ = queue.Close()
	if got := out.String(); strings.Contains(got, "one") || !strings.Contains(got, "two") || strings.Contains(got, "three") || !strings.Contains(got, "four") {
		t.Errorf("the log has\n%s", got)
	}
}

func TestGenkey(t *testing.T) {
	var out, errs bytes.Buffer
	seen := make(map[string]bool)
	good := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{23}\n$`)
	for range 200 {
		out.Reset()
		if code := execute(t.Context(), []string{"genkey"}, terminal{&out, &errs}); code != exitOK || !good.MatchString(out.String()) || seen[out.String()] {
			t.Fatalf("exit %d, %q %s", code, &out, &errs)
		}
		seen[out.String()] = true
	}
	out.Reset()
	execute(t.Context(), []string{"genkey", "--name", "front.door", "--stream-id", "cam1"}, terminal{&out, &errs})
	r := newReloading(t)
	r.write(r.streams, "streams:\n"+out.String())
	if err := r.reload(); err != nil || !slices.Equal(r.names(), []string{"front.door"}) {
		t.Errorf("what it prints is no entry: %v\n%s", err, &out)
	}
	if code := execute(t.Context(), []string{"genkey", "--name", "front.door"}, terminal{&out, &errs}); code != exitFailed {
		t.Errorf("a name that is no StreamId: exit %d", code)
	}
}
