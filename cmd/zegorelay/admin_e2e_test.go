//go:build e2e

package main

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

const e2eToken = "marker-token-0123456789"

// ask makes one request of the operator's side.
func (p *process) ask(method, path, token string) (status int, body string) {
	p.t.Helper()
	r, err := http.NewRequest(method, "http://"+p.http+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestE2EOperatorsSide(t *testing.T) {
	t.Parallel()
	p := start(t, startSim(t, &recorder{}, t.TempDir()), "ZEGORELAY_HTTP_TOKEN="+e2eToken)
	for _, tc := range []struct {
		method, path, token string
		status              int
		says                string
	}{
		{"GET", "/", "", 200, "<!doctype html>"},
		{"GET", "/metrics", "", 200, "\nzegorelay_build_info{"},
		{"GET", "/api/v1/info", "", 200, `"publishUrl":"rtmp://` + p.addr + `/live"`},
		{"GET", "/api/v1/streams", "", 200, `"itemCount":0,"items":[]`},
		{"POST", "/api/v1/streams/none/kick", "", 401, "ZEGORELAY_HTTP_TOKEN"},
		{"POST", "/api/v1/streams/none/kick", e2eToken, 404, "no_stream"},
	} {
		status, body := p.ask(tc.method, tc.path, tc.token)
		if status != tc.status || !strings.Contains(body, tc.says) {
			t.Errorf("%s %s: got %d %s, want %d and %s", tc.method, tc.path, status, body, tc.status, tc.says)
		}
		if strings.Contains(body, e2eToken) || strings.Contains(body, e2eSecret) {
			t.Errorf("%s %s: a secret is in %s", tc.method, tc.path, body)
		}
	}
	feed, err := http.Get("http://" + p.http + "/api/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Body.Close()
	if line, _ := bufio.NewReader(feed.Body).ReadString('\n'); line != "event: streams\n" {
		t.Errorf("the feed begins with %q", line)
	}
	if took := p.terminate(); took > 2*time.Second { // with a subscriber still there
		t.Errorf("it ended after %v", took)
	}
	if log := p.log.String(); !strings.Contains(log, "http://"+p.http+"/") || strings.Contains(log, e2eToken) {
		t.Errorf("the log must name the page, and not the token:\n%s", log)
	}
}

func TestE2EElsewhereNeedsAToken(t *testing.T) {
	t.Parallel()
	env := []string{"ZEGORELAY_APP_ID=1", "ZEGORELAY_SERVER_SECRET=" + e2eSecret, "ZEGORELAY_HTTP_LISTEN=0.0.0.0:0"}
	cmd := command(t, env, "run")
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != exitConfig || !strings.Contains(string(out), "set ZEGORELAY_HTTP_TOKEN") {
		t.Errorf("got %d, %s", code, out)
	}
}
