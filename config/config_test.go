package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

const testSecret = "marker1-00112233445566778899aabb" // 32 characters

// environ sets the environment to a valid one with changes; "-" unsets.
func environ(t *testing.T, changes map[string]string) {
	t.Helper()
	for _, setting := range os.Environ() {
		if name, _, _ := strings.Cut(setting, "="); strings.HasPrefix(name, prefix) {
			t.Setenv(name, "") // registers the restoring
			os.Unsetenv(name)
		}
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	all := map[string]string{"ZEGORELAY_APP_ID": "1234567890", "ZEGORELAY_SERVER_SECRET": testSecret}
	for name, value := range changes {
		all[name] = value
	}
	for name, value := range all {
		if value != "-" {
			t.Setenv(name, value)
		}
	}
}

func TestDefaults(t *testing.T) {
	environ(t, map[string]string{"ZEGORELAY_BACKLOG": ""})
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for what, ok := range map[string]bool{
		"AppID":           c.AppID == 1234567890,
		"ServerSecret":    c.ServerSecret.Reveal() == testSecret,
		"APIURL":          len(c.APIURL) == 1 && c.APIURL[0].String() == "https://rtc-api.zego.im/",
		"DispatchRate":    c.DispatchRate == 10,
		"DispatchTimeout": c.DispatchTimeout == 5*time.Second,
		"NodeAllow":       len(c.NodeAllow) == 0,
		"RTMPListen":      c.RTMPListen == ":1935",
		"HTTPListen":      c.HTTPListen == "127.0.0.1:8935",
		"App":             c.App == "live",
		"StreamID":        c.StreamID == "{key}",
		"Backlog":         c.Backlog == 10*time.Second,
		"BacklogBytes":    c.BacklogBytes == 64<<20,
		"RetryMin":        c.RetryMin == 200*time.Millisecond,
		"RetryMax":        c.RetryMax == 15*time.Second,
		"MaxStreams":      c.MaxStreams == 1000,
		"LogLevel":        c.LogLevel == zerolog.InfoLevel,
	} {
		if !ok {
			t.Errorf("%s is not the default: %+v", what, c)
		}
	}
}

func TestProblems(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	empty := filepath.Join(dir, "empty")
	for file, mode := range map[string]os.FileMode{open: 0o644, empty: 0o600} {
		if err := os.WriteFile(file, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(open, []byte(testSecret), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, set := range map[string][2]string{
		"ZEGORELAY_APP_ID is not set: copy":                                                                            {"APP_ID", ""},
		`ZEGORELAY_APP_ID is "12x", not an AppID`:                                                                      {"APP_ID", "12x"},
		`ZEGORELAY_APP_ID is "4294967296", not an AppID`:                                                               {"APP_ID", "4294967296"},
		`ZEGORELAY_APP_ID is "0"`:                                                                                      {"APP_ID", "0"},
		"ZEGORELAY_SERVER_SECRET is not set: copy":                                                                     {"SERVER_SECRET", ""},
		"ZEGORELAY_SERVER_SECRET is 30 characters, ZEGO's are 32: copy it again":                                       {"SERVER_SECRET", testSecret[2:]},
		open + " can be read or changed by others (-rw-r--r--): run: chmod 600":                                        {"SERVER_SECRET_FILE", open},
		empty + " holds no ServerSecret":                                                                               {"SERVER_SECRET_FILE", empty},
		dir + "/none can't be read (no such file or directory)":                                                        {"SERVER_SECRET_FILE", dir + "/none"},
		"ZEGORELAY_API_URL has an entry, number 1, that is http, which anybody on the way can read: use https":         {"API_URL", "http://rtc-api.zego.im/"},
		"ZEGORELAY_API_URL has an entry, number 2, that is no https URL":                                               {"API_URL", "https://a.example/,rtc-api.zego.im"},
		"ZEGORELAY_API_URL has an entry, number 1, that has more than a host and a path":                               {"API_URL", "https://u:p@a.example/"},
		"ZEGORELAY_API_URL names no endpoint":                                                                          {"API_URL", " , "},
		`ZEGORELAY_DISPATCH_RATE is "41": use a number above 0, up to 40`:                                              {"DISPATCH_RATE", "41"},
		"ZEGORELAY_APP_ID is 32 characters, not an AppID: copy":                                                        {"APP_ID", testSecret},
		"ZEGORELAY_SERVER_SECRET_FILE is not a path: write it in full":                                                 {"SERVER_SECRET_FILE", testSecret},
		"ZEGORELAY_API_URL has an entry, number 1, that has a port":                                                    {"API_URL", "https://a.example:99999/"},
		"ZEGORELAY_API_URL has an entry, number 1, that is no https URL: write":                                        {"API_URL", "https://:443/"},
		"ZEGORELAY_API_URL has an entry, number 2, that has more than":                                                 {"API_URL", "https://a.example/,https://b.example/?"},
		`ZEGORELAY_DISPATCH_RATE is "0": use a number above 0`:                                                         {"DISPATCH_RATE", "0"},
		`ZEGORELAY_RETRY_MAX is "x", not a duration`:                                                                   {"RETRY_MAX", "x"},
		`ZEGORELAY_RTMP_LISTEN is "my host:1935", not an address`:                                                      {"RTMP_LISTEN", "my host:1935"},
		`ZEGORELAY_STREAM_ID is "{kye}{key}": use letters`:                                                             {"STREAM_ID", "{kye}{key}"},
		`ZEGORELAY_DISPATCH_RATE is "NaN"`:                                                                             {"DISPATCH_RATE", "NaN"},
		`ZEGORELAY_DISPATCH_TIMEOUT is "5", not a duration: write it like`:                                             {"DISPATCH_TIMEOUT", "5"},
		"ZEGORELAY_DISPATCH_TIMEOUT is 1h0m0s: use 100ms to 1m0s":                                                      {"DISPATCH_TIMEOUT", "1h"},
		`ZEGORELAY_PLAY_ALLOW has "everybody", not a network`:                                                          {"PLAY_ALLOW", "loopback,everybody"},
		`ZEGORELAY_PULL_APP is live, as is APP`:                                                                        {"PULL_APP", "live"},
		`ZEGORELAY_NODE_ALLOW has "10.0.0.0/33", not a network`:                                                        {"NODE_ALLOW", "127.0.0.1, 10.0.0.0/33"},
		`ZEGORELAY_RTMP_LISTEN is "1935", not an address`:                                                              {"RTMP_LISTEN", "1935"},
		`ZEGORELAY_RTMP_LISTEN is ":99999", not an address`:                                                            {"RTMP_LISTEN", ":99999"},
		`ZEGORELAY_HTTP_LISTEN is ":8935", which others can reach, and there is no token: set ZEGORELAY_HTTP_TOKEN or`: {"HTTP_LISTEN", ":8935"},
		`ZEGORELAY_APP is "/live"`:                                                                                     {"APP", "/live"},
		`ZEGORELAY_STREAM_ID is "cam1", one StreamId for all keys: put {key} into it`:                                  {"STREAM_ID", "cam1"},
		`ZEGORELAY_STREAM_ID is "a.{key}"`:                                                                             {"STREAM_ID", "a.{key}"},
		`ZEGORELAY_BACKLOG_BYTES is "lots", not a size`:                                                                {"BACKLOG_BYTES", "lots"},
		"ZEGORELAY_BACKLOG_BYTES is \"1KiB\": use 1MiB to 16384MiB":                                                    {"BACKLOG_BYTES", "1KiB"},
		"ZEGORELAY_BACKLOG_BYTES is \"9223372036854775807GiB\": use":                                                   {"BACKLOG_BYTES", "9223372036854775807GiB"},
		"ZEGORELAY_RETRY_MIN is 20s, longer than RETRY_MAX, 15s":                                                       {"RETRY_MIN", "20s"},
		`ZEGORELAY_MAX_STREAMS is "0": use a whole number from 1`:                                                      {"MAX_STREAMS", "0"},
		`ZEGORELAY_LOG_LEVEL is "loud": use one of trace`:                                                              {"LOG_LEVEL", "loud"},
		`ZEGORELAY_LOG_FORMAT is "xml": use one of auto, console, json`:                                                {"LOG_FORMAT", "xml"},
		"ZEGORELAY_RTMP_LISTN is not a variable of this version: did you mean ZEGORELAY_RTMP_LISTEN?":                  {"RTMP_LISTN", ":1"},
	} {
		t.Run(want, func(t *testing.T) {
			environ(t, map[string]string{prefix + set[0]: set[1]})
			_, err := Load()
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v, want Problems", err)
			}
			if len(problems) != 1 || !strings.HasPrefix(problems[0].String(), want) {
				t.Errorf("got %q", problems)
			}
		})
	}
}

func TestEveryProblemAtOnce(t *testing.T) {
	environ(t, map[string]string{
		"ZEGORELAY_APP_ID": "x", "ZEGORELAY_SERVER_SECRET": "marker1", "ZEGORELAY_BACKLOG": "x", "ZEGORELAY_GRAZE": "1",
	})
	_, err := Load()
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 4 {
		t.Errorf("got %v, want 4 problems", err)
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "marker1") {
		t.Errorf("the secret is in the error: %v", err)
	}
}

func TestNoProblemQuotesASecretInTheWrongPlace(t *testing.T) {
	for _, name := range []string{"APP_ID", "SERVER_SECRET_FILE", "API_URL", "SERVER_SECRT"} {
		environ(t, map[string]string{prefix + name: "https://u:" + testSecret + "@a.example:x/", prefix + "SERVER_SECRET": "-"})
		if name != "API_URL" {
			t.Setenv(prefix+name, testSecret)
		}
		_, err := Load()
		if err == nil || strings.Contains(err.Error(), "marker1") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	environ(t, map[string]string{
		"ZEGORELAY_RTMPS_LISTEN": ":1936", "ZEGORELAY_TLS_CERT": "/none", "ZEGORELAY_TLS_KEY": testSecret,
	})
	if _, err := Load(); err == nil || strings.Contains(err.Error(), "marker1") {
		t.Errorf("TLS_KEY: got %v", err)
	}
	environ(t, map[string]string{
		"ZEGORELAY_RTMPS_LISTEN": ":1936", "ZEGORELAY_TLS_KEY": "/none", "ZEGORELAY_TLS_CERT": testSecret,
	})
	if _, err := Load(); err == nil || strings.Contains(err.Error(), "marker1") {
		t.Errorf("TLS_CERT: got %v", err)
	}
}

func TestNetworks(t *testing.T) {
	p := &parser{}
	got := fmt.Sprint(p.prefixes("X", "10.1.2.3, fd00::1,10.9.9.9/8,::ffff:127.0.0.1"))
	if want := "[10.1.2.3/32 fd00::1/128 10.0.0.0/8 127.0.0.1/32]"; got != want || len(p.problems) > 0 {
		t.Errorf("got %s %v, want %s", got, p.problems, want)
	}
}

func TestHTTPOffAndOnLoopback(t *testing.T) {
	for text, want := range map[string]string{
		"off": "", "[::1]:80": "[::1]:80", "localhost:0": "localhost:0", "127.9.9.9:1": "127.9.9.9:1",
	} {
		p := &parser{}
		if got := p.http("X", text, false); got != want || len(p.problems) > 0 {
			t.Errorf("%s: got %q, %v", text, got, p.problems)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"1048576": 1 << 20, "1048576B": 1 << 20, "64MiB": 64 << 20, "2 GiB": 2 << 30, "5MB": 5e6, "4096KiB": 4 << 20,
	} {
		p := &parser{}
		if got := p.size("X", text, 1, 1<<40); got != want || len(p.problems) > 0 {
			t.Errorf("%s: got %d, %v", text, got, p.problems)
		}
	}
}

func TestPrintMasksTheSecretAndNamesEveryVariable(t *testing.T) {
	environ(t, map[string]string{"ZEGORELAY_RTMP_LISTEN": "127.0.0.1:1"})
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, v := range Variables() {
		if !strings.Contains(out.String(), v.Name+"=") {
			t.Errorf("%s is not printed", v.Name)
		}
		if v.Meaning == "" {
			t.Errorf("%s has no meaning", v.Name)
		}
	}
	for _, want := range []string{"ZEGORELAY_SERVER_SECRET=****aabb\n", "ZEGORELAY_RTMP_LISTEN=127.0.0.1:1\n",
		"ZEGORELAY_BACKLOG=10s # default\n", "ZEGORELAY_NODE_ALLOW= # default\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	for _, printed := range []string{out.String(), fmt.Sprintf("%+v %#v", c, *c)} {
		if strings.Contains(printed, "marker1") {
			t.Errorf("the secret is in the clear:\n%s", printed)
		}
	}
}
