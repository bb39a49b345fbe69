package zegosim

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"zegorelay/relay/rtmp"
)

func TestAPIFaults(t *testing.T) {
	z := start(t, Options{})
	node := func(i int) string { return `"rtmp://` + z.Nodes()[i].Addr() + `/12345/cam1"` }
	for _, tc := range []struct {
		what   string
		fault  APIFault
		status int
		body   string // part of it
		code   int    // noted
	}{
		{"a code", AnswerCode(1005), 200, `{"Code":1005,"Message":"error 1005","RequestId":"`, 1005},
		{"a status", AnswerHTTP{Status: 502}, 502, "", -1},
		{"HTML", AnswerHTTP{Status: 200, Body: "<html>"}, 200, "<html>", -1},
		{"JSON that breaks off", AnswerHTTP{Status: 200, Body: `{"Code":0,"Da`}, 200, `{"Code":0,"Da`, -1},
		{"null", AnswerData{}, 200, `"Data":null`, 0},
		{"an empty list", AnswerData{Data: []string{}}, 200, `"Data":[]`, 0},
		{"an object", AnswerData{Data: map[string]int{}}, 200, `"Data":{}`, 0},
		{"a string", Reshape(func(urls []string) any { return urls[0] }), 200, `"Data":` + node(0), 0},
		{"two nodes", DeadNodeFirst{Addr: "127.0.0.1:9"}, 200, `"Data":["rtmp://127.0.0.1:9/12345/cam1",` + node(1) + `]`, 0},
		{"none", nil, 200, `"Data":[` + node(0) + `]`, 0},
	} {
		z.SetAPIFault(tc.fault)
		status, body := z.get("?" + signed(nil).Encode())
		if status != tc.status || !strings.Contains(string(body), tc.body) {
			t.Errorf("%s: HTTP %d, %s", tc.what, status, body)
		}
		all := z.Requests()
		if got := all[len(all)-1].Code; got != tc.code {
			t.Errorf("%s: code %d is noted, want %d", tc.what, got, tc.code)
		}
	}
	// A fault doesn't make a bad call good, nor the witness blind.
	z.SetAPIFault(Reshape(func(urls []string) any { return urls }))
	if e := z.ask(signed(map[string]string{"Type": "x"})); e.Code != 30010 {
		t.Errorf("a bad call: got %d", e.Code)
	}
	if v := z.Violations(); !strings.Contains(v[len(v)-1], "30010, invalid dispatch action") {
		t.Errorf("got %q", v)
	}
}

func TestAPIFaultsWithoutAnAnswer(t *testing.T) {
	z := start(t, Options{})
	try := func() error {
		_, _, err := z.fetch("?" + signed(nil).Encode())
		return err
	}
	z.SetAPIFault(Drop{})
	if err := try(); !errors.Is(err, io.EOF) {
		t.Errorf("a drop: got %v", err)
	}
	z.SetAPIFault(Reset{})
	if err := try(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a reset: got %v", err)
	}
	z.SetAPIFault(nil)
	before := z.URL()
	z.KillAPI()
	z.KillAPI()
	if err := try(); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("down: got %v", err)
	}
	if err := errors.Join(z.ReviveAPI(), z.ReviveAPI(), try()); err != nil {
		t.Error(err)
	}
	if z.URL() != before {
		t.Errorf("the API came back at %s, before at %s", z.URL(), before)
	}
	if n := len(z.Requests()); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

// The faults of a node that answers; the silent ones are in quiet_test.go.
func TestNodeFaults(t *testing.T) {
	for what, tc := range map[string]struct {
		fault NodeFault
		check func(t *testing.T, z *zego, up *rtmp.Upstream, err error)
	}{
		"refuse": {RefusePublish, func(t *testing.T, _ *zego, _ *rtmp.Upstream, err error) {
			if !refused(err, "already being published") {
				t.Errorf("got %v", err)
			}
		}},
		"reset on start": {ResetOnStart, func(t *testing.T, z *zego, up *rtmp.Upstream, err error) {
			if err == nil {
				err = up.Serve()
			}
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %v", err)
			}
			if e := z.wait(SessionEnded); e.Clean || e.Err != "reset on start" {
				t.Errorf("got %+v", e)
			}
		}},
		"stop reading": {StopReading, func(t *testing.T, z *zego, up *rtmp.Upstream, err error) {
			if err != nil {
				t.Fatal(err)
			}
			up.Queue(video(0, avcKey))
			if err := up.Flush(); err != nil {
				t.Fatal(err)
			}
			z.Nodes()[0].Kill()
			if e := z.wait(SessionEnded); e.Clean || e.Err != "stopped reading" || z.Sessions()[0].Messages != 0 {
				t.Errorf("got %+v", e)
			}
		}},
	} {
		t.Run(what, func(t *testing.T) {
			z := start(t, Options{Nodes: 1})
			rawURL := z.dispatched(nil)
			z.Nodes()[0].SetFault(tc.fault)
			up, err := z.publish(rawURL)
			tc.check(t, z, up, err)
			z.checkViolations()
		})
	}
}
