package admin

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

const (
	bearer = "Bearer " + testToken
	asJSON = "application/json"
)

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestWhoMayReadOnThisMachine(t *testing.T) {
	h := testServer(newFake()).handler(loopback())
	for what, tc := range map[string]struct {
		path string
		head []string
		want int
	}{
		"no browser":                        {"/api/v1/streams", nil, 200},
		"localhost":                         {"/api/v1/streams", []string{"Host", "LocalHost:8935"}, 200},
		"IPv6":                              {"/api/v1/streams", []string{"Host", "[::1]:8935"}, 200},
		"a name that was pointed here":      {"/api/v1/streams", []string{"Host", "evil.example:8935"}, 421},
		"the same for the health":           {"/healthz", []string{"Host", "evil.example"}, 421},
		"another port":                      {"/", []string{"Host", "127.0.0.1:8936"}, 421},
		"no port":                           {"/", []string{"Host", "127.0.0.1"}, 421},
		"no Host":                           {"/", []string{"Host", ""}, 421},
		"a name that begins like ours":      {"/", []string{"Host", "127.0.0.1.evil.example:8935"}, 421},
		"our page":                          {"/api/v1/streams", []string{"Origin", "http://127.0.0.1:8935", "Sec-Fetch-Site", "same-origin"}, 200},
		"the address bar":                   {"/", []string{"Sec-Fetch-Site", "none"}, 200},
		"another site's page":               {"/api/v1/streams", []string{"Origin", "https://evil.example"}, 403},
		"a sandboxed page":                  {"/api/v1/streams", []string{"Origin", "null"}, 403},
		"our page by another name":          {"/api/v1/streams", []string{"Origin", "http://localhost:8935"}, 403},
		"a second Origin":                   {"/", []string{"Origin", "http://127.0.0.1:8935", "Origin", "http://evil.example"}, 403},
		"another site's image":              {"/preview/cam1.flv", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		"another port's page":               {"/metrics", []string{"Sec-Fetch-Site", "same-site"}, 403},
		"another site's link to the page":   {"/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200},
		"another site's link to the API":    {"/api/v1/info", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 403},
		"another site's frame of the page":  {"/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 403},
		"nothing there":                     {"/elsewhere", nil, 404},
		"profiles, which nobody asked for":  {"/debug/pprof/", nil, 404},
		"a file beside the page":            {"/assets/..%2fadmin.go", nil, 404},
		"a file that the page doesn't have": {"/assets/none.js", nil, 404},
	} {
		w := ask(h, "GET", tc.path, tc.head...)
		if w.Code != tc.want {
			t.Errorf("%s: got %d, want %d: %s", what, w.Code, tc.want, w.Body)
		}
		checkHead(t, what, w.Header())
		if tc.want >= 400 {
			checkProblem(t, what, w.Body.String())
		}
	}
}

func checkHead(t *testing.T, what string, h http.Header) {
	t.Helper()
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s: %s must not be there", what, name)
		}
	}
	if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" ||
		h.Get("Cache-Control") == "" || !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Errorf("%s: the security headers are missing: %v", what, h)
	}
}

func checkProblem(t *testing.T, what, body string) {
	t.Helper()
	var v problemView
	if err := json.Unmarshal([]byte(body), &v); err != nil || v.Error.Code == "" || v.Error.Message == "" {
		t.Errorf("%s: got %q, want an error in JSON", what, body)
	}
}

func TestWhoMayReadFromElsewhere(t *testing.T) {
	h := testServer(newFake()).handler(outside())
	for what, tc := range map[string]struct {
		path string
		head []string
		want int
	}{
		"health needs nothing":       {"/healthz", []string{"Host", "10.1.2.3:8935"}, 200},
		"nor does readiness":         {"/readyz", nil, 200},
		"the page does":              {"/", nil, 401},
		"so do metrics":              {"/metrics", nil, 401},
		"and what isn't there":       {"/elsewhere", nil, 401},
		"by any name":                {"/api/v1/streams", []string{"Host", "relay.example", "Authorization", bearer}, 200},
		"bearer in small letters":    {"/api/v1/streams", []string{"Authorization", "bearer " + testToken}, 200},
		"as a password":              {"/api/v1/streams", []string{"Authorization", basic("", testToken)}, 200},
		"of any user":                {"/api/v1/streams", []string{"Authorization", basic("admin", testToken)}, 200},
		"as the user":                {"/api/v1/streams", []string{"Authorization", basic(testToken, "")}, 401},
		"a wrong one":                {"/api/v1/streams", []string{"Authorization", bearer + "x"}, 401},
		"its beginning":              {"/api/v1/streams", []string{"Authorization", bearer[:len(bearer)-1]}, 401},
		"no scheme":                  {"/api/v1/streams", []string{"Authorization", testToken}, 401},
		"with it, but for a page":    {"/api/v1/streams", []string{"Authorization", bearer, "Origin", "http://evil.example"}, 403},
		"our page, through a proxy":  {"/api/v1/streams", []string{"Authorization", bearer, "Host", "r.example", "Origin", "https://r.example"}, 200},
		"in the query, for all logs": {"/api/v1/streams?token=" + testToken, nil, 401},
	} {
		w := ask(h, "GET", tc.path, tc.head...)
		if w.Code != tc.want {
			t.Errorf("%s: got %d, want %d: %s", what, w.Code, tc.want, w.Body)
		}
		checkHead(t, what, w.Header())
		if tc.want == 401 && !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s: a browser would not ask for the token", what)
		}
	}
	tokenless := NewServer(Options{Relay: newFake()}).handler(outside())
	if w := ask(tokenless, "GET", "/", "Authorization", basic("", "")); w.Code != 403 {
		t.Errorf("without a token: got %d, want 403", w.Code)
	}
}

func TestWhoMayWrite(t *testing.T) {
	f := newFake()
	for what, tc := range map[string]struct {
		server *Server
		method string
		head   []string
		want   int
	}{
		"with token and type":          {testServer(f), "POST", []string{"Authorization", bearer, "Content-Type", asJSON}, 200},
		"with a character set":         {testServer(f), "POST", []string{"Authorization", bearer, "Content-Type", asJSON + "; charset=utf-8"}, 200},
		"by password":                  {testServer(f), "POST", []string{"Authorization", basic("x", testToken), "Content-Type", asJSON}, 200},
		"without the token":            {testServer(f), "POST", []string{"Content-Type", asJSON}, 401},
		"as a form can":                {testServer(f), "POST", []string{"Authorization", bearer, "Content-Type", "text/plain"}, 415},
		"without a type":               {testServer(f), "POST", []string{"Authorization", bearer}, 415},
		"by another site's page":       {testServer(f), "POST", []string{"Authorization", bearer, "Content-Type", asJSON, "Origin", "http://evil.example"}, 403},
		"another site's preflight":     {testServer(f), "OPTIONS", []string{"Origin", "http://evil.example", "Access-Control-Request-Method", "POST"}, 403},
		"by GET":                       {testServer(f), "GET", []string{"Authorization", bearer, "Content-Type", asJSON}, 405},
		"where there is no token":      {NewServer(Options{Relay: f}), "POST", []string{"Authorization", "Bearer ", "Content-Type", asJSON}, 403},
		"where there is no token, too": {NewServer(Options{Relay: f}), "POST", []string{"Content-Type", asJSON}, 403},
	} {
		f.calls = nil
		w := ask(tc.server.handler(loopback()), tc.method, "/api/v1/streams/cam1/kick", tc.head...)
		if w.Code != tc.want {
			t.Errorf("%s: got %d, want %d: %s", what, w.Code, tc.want, w.Body)
		}
		if done := len(f.calls) > 0; done != (tc.want == 200) {
			t.Errorf("%s: it was done: %t", what, done)
		}
		if tc.server.token == "" && !strings.Contains(w.Body.String(), "set ZEGORELAY_HTTP_TOKEN") {
			t.Errorf("%s: got %s, want to be told what to set", what, w.Body)
		}
	}
}

func TestGETChangesNothing(t *testing.T) {
	f := newFake()
	s := testServer(f)
	h := s.handler(loopback())
	for _, r := range s.routes(newAccess(loopback(), testToken)) {
		method, path, _ := strings.Cut(r.pattern, " ")
		if method != "GET" || strings.HasSuffix(path, "/events") {
			continue
		}
		ask(h, "GET", strings.NewReplacer("{name}", "cam1", "{file}", "cam1.flv", "{$}", "").Replace(path), "Authorization", bearer)
	}
	if len(f.calls) > 0 {
		t.Errorf("a GET did %q", f.calls)
	}
}
