package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
)

const (
	doctorAppID  = 1234567890
	doctorSecret = "00112233445566778899aabbccddeeff"
)

// patient is a machine with a stand-in for ZEGO, to plant faults in.
type patient struct {
	t   *testing.T
	sim *zegosim.Sim
}

// newPatient is well.
func newPatient(t *testing.T, ahead time.Duration) *patient {
	t.Helper()
	sim, err := zegosim.Start(zegosim.Options{
		AppID: doctorAppID, Secret: doctorSecret, Nodes: 1,
		Now: func() time.Time { return time.Now().Add(-ahead) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "ZEGORELAY_") || name == "INVOCATION_ID" {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	p := &patient{t: t, sim: sim}
	p.set("APP_ID", fmt.Sprint(doctorAppID))
	p.set("SERVER_SECRET", doctorSecret)
	p.set("API_URL", sim.URL())
	p.set("NODE_ALLOW", "127.0.0.0/8")
	p.set("RTMP_LISTEN", freeAddr(t))
	p.set("HTTP_LISTEN", "off")
	p.set("DISPATCH_TIMEOUT", "500ms")
	p.set("CONNECT_TIMEOUT", "500ms")
	return p
}

func (p *patient) set(variable, value string) { p.t.Setenv("ZEGORELAY_"+variable, value) }

// lastPort is the last one that a test was given.
var lastPort = func() *atomic.Uint32 {
	p := new(atomic.Uint32)
	p.Store(10_000 + rand.Uint32N(10_000))
	return p
}()

// freeAddr is an address at which nobody listens. Its port is below those that systems
// give to connections: one of those could be somebody else's before it is listened at, as
// tests that run side by side have seen.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", lastPort.Add(1))
		if ln, err := net.Listen("tcp", addr); err == nil {
			ln.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// examine runs doctor and returns its exit code and report.
func (p *patient) examine(args ...string) (code int, findings []finding, text string) {
	p.t.Helper()
	var out, said strings.Builder
	code = execute(context.Background(), append([]string{"doctor", "--json"}, args...), terminal{out: &out, err: &said})
	if err := json.Unmarshal([]byte(out.String()), &findings); err != nil {
		p.t.Fatalf("%v in %s%s", err, &out, &said)
	}
	return code, findings, out.String() + said.String()
}

func TestDoctorOfAHealthyPatient(t *testing.T) {
	p := newPatient(t, 0)
	code, findings, text := p.examine("--publish", "1s")
	if code != exitOK {
		t.Errorf("exit code %d: %s", code, text)
	}
	seen := map[string]bool{}
	for _, f := range findings {
		seen[f.Check] = true
		if f.Grade == failure || f.Grade == warning && f.Check != "descriptors" {
			t.Errorf("%+v", f)
		}
	}
	for _, check := range []string{"configuration", "ports", "descriptors", "API", "dispatch", "clock", "node", "publish"} {
		if !seen[check] {
			t.Errorf("%s was not looked at", check)
		}
	}
	if v := p.sim.Violations(); len(v) > 0 {
		t.Error(v)
	}
	if s := p.sim.Sessions(); len(s) != 1 || !s[0].Clean || s[0].Messages < 20 {
		t.Errorf("sessions %+v", s)
	}
	var out strings.Builder
	execute(t.Context(), []string{"doctor"}, terminal{out: &out, err: &out})
	if n := len(p.sim.Sessions()); n != 1 {
		t.Error("it publishes although nobody asked for it")
	}
	if !strings.Contains(out.String(), "ok       dispatch") {
		t.Errorf("the report for people:\n%s", &out)
	}
}

// Twenty faults, each named by the right check, in the right words, with a next
// step.
func TestDoctorNamesPlantedFaults(t *testing.T) {
	api := func(f zegosim.APIFault) func(p *patient) { return func(p *patient) { p.sim.SetAPIFault(f) } }
	env := func(variable, value string) func(p *patient) { return func(p *patient) { p.set(variable, value) } }
	node := func(f zegosim.NodeFault) func(p *patient) {
		return func(p *patient) { p.sim.Nodes()[0].SetFault(f) }
	}
	for what, tc := range map[string]struct {
		plant func(p *patient)
		check string
		grade grade
		says  string // in finding or next step
	}{
		"no AppID":              {env("APP_ID", ""), "configuration", failure, "ZEGORELAY_APP_ID"},
		"a misspelt variable":   {env("BACKLOGS", "1s"), "configuration", failure, "ZEGORELAY_BACKLOGS"},
		"half a secret":         {env("SERVER_SECRET", "0011"), "configuration", failure, "SERVER_SECRET"},
		"another's secret":      {env("SERVER_SECRET", strings.Repeat("f", 32)), "dispatch", failure, "100000005"},
		"another's AppID":       {env("APP_ID", "42"), "dispatch", failure, "ZEGORELAY_APP_ID"},
		"not enabled":           {api(zegosim.AnswerCode(100000017)), "dispatch", failure, "ask ZEGO's support to enable"},
		"no push node":          {api(zegosim.AnswerCode(1002)), "dispatch", failure, "1002"},
		"too often":             {api(zegosim.AnswerCode(1010)), "dispatch", failure, "DISPATCH_RATE"},
		"no test environment":   {api(zegosim.AnswerCode(30004)), "dispatch", failure, "30004"},
		"a StreamId that isn't": {nil, "dispatch", failure, "30009"},
		"the API down":          {func(p *patient) { p.sim.KillAPI() }, "API", failure, "no TCP connection"},
		"the API hangs":         {api(zegosim.Hang{}), "dispatch", failure, "no answer in time"},
		"a proxy's page":        {api(zegosim.AnswerHTTP{Status: 200, Body: "<html>"}), "dispatch", failure, "no answer of ZEGO's"},
		"no such host":          {env("API_URL", "https://no.such.host.invalid/"), "DNS", failure, "no.such.host.invalid"},
		"TLS broken open":       {selfSigned, "TLS", failure, "certificate"},
		"the node dead":         {func(p *patient) { p.sim.SetAPIFault(zegosim.Reshape(deadNode)) }, "node", failure, "TCP port 1935"},
		"the node mute":         {node(zegosim.SilentHandshake), "node", failure, "no answer within"},
		"the node filtered":     {node(zegosim.Blackhole), "node", failure, "TCP port 1935"},
		"a private node":        {env("NODE_ALLOW", ""), "node", failure, "not public"},
		"the node refuses":      {node(zegosim.RefusePublish), "publish", failure, "BadName"},
		"the port taken":        {portTaken, "ports", failure, "another program"},
		"no certificate":        {noCertificate, "configuration", failure, "ZEGORELAY_TLS_CERT"},
		"too few descriptors":   {env("MAX_CONNECTIONS", "1000000"), "descriptors", warning, "LimitNOFILE"},
	} {
		t.Run(what, func(t *testing.T) {
			p := newPatient(t, 0)
			args := []string{"--publish", "300ms"}
			if tc.plant == nil {
				args = append(args, "no good")
			} else {
				tc.plant(p)
			}
			code, findings, text := p.examine(args...)
			if (code == exitOK) != (tc.grade == warning) {
				t.Errorf("exit code %d", code)
			}
			for _, f := range findings {
				if f.Check == tc.check && f.Grade == tc.grade && strings.Contains(f.Says+" "+f.Next, tc.says) && f.Next != "" {
					return
				}
			}
			t.Errorf("no %s of %s with %q and a next step in\n%s", tc.grade, tc.check, tc.says, text)
		})
	}
}

func TestDoctorSeesTheClock(t *testing.T) {
	for ahead, want := range map[time.Duration]grade{0: fine, 2 * time.Minute: warning, -11 * time.Minute: failure} {
		_, findings, text := newPatient(t, ahead).examine()
		found := false
		for _, f := range findings {
			found = found || f.Check == "clock" && f.Grade == want
		}
		if !found {
			t.Errorf("%v ahead: want %s of the clock in\n%s", ahead, want, text)
		}
	}
}

func deadNode(urls []string) any {
	return []string{"rtmp://127.0.0.1:1/1/x"}
}

func selfSigned(p *patient) {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	p.t.Cleanup(srv.Close)
	p.set("API_URL", srv.URL+"/")
}

func portTaken(p *patient) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { ln.Close() })
	p.set("RTMP_LISTEN", ln.Addr().String())
}

func noCertificate(p *patient) {
	p.set("RTMPS_LISTEN", freeAddr(p.t))
	p.set("TLS_CERT", filepath.Join(p.t.TempDir(), "cert.pem"))
	p.set("TLS_KEY", filepath.Join(p.t.TempDir(), "key.pem"))
}

func TestDispatchCommand(t *testing.T) {
	p := newPatient(t, 0)
	for what, tc := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"push":      {[]string{"dispatch", "cam1"}, exitOK, []string{"rtmp://127.0.0.1:", "/1234567890/cam1", "RequestId", "off ZEGO's"}},
		"JSON":      {[]string{"dispatch", "cam1", "--type", "pull", "--json"}, exitOK, []string{`"nodes": [`, `"request_id": "`, `"took_ms":`}},
		"a failure": {[]string{"dispatch", "no good"}, exitFailed, []string{"30009", "the StreamId is invalid", "letters, digits"}},
		"a failure in JSON": {[]string{"dispatch", "no good", "--json"}, exitFailed,
			[]string{`"code": 30009`, `"verdict": "this stream"`, `"advice": "use letters`}},
		"no StreamId":    {[]string{"dispatch"}, exitUsage, []string{"<stream-id>"}},
		"an unknown way": {[]string{"dispatch", "cam1", "--type", "pusch"}, exitUsage, []string{"push", "pull"}},
	} {
		var out strings.Builder
		code := execute(t.Context(), tc.args, terminal{out: &out, err: &out})
		if code != tc.code {
			t.Errorf("%s: exit code %d, want %d", what, code, tc.code)
		}
		for _, part := range tc.want {
			if !strings.Contains(out.String(), part) {
				t.Errorf("%s: no %q in\n%s", what, part, &out)
			}
		}
		if strings.Contains(out.String(), doctorSecret) {
			t.Errorf("%s shows the secret", what)
		}
	}
	_ = p
}
