package dispatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const (
	testAppID  = 1234567890
	testSecret = "marker1-00112233445566778899aabb"
)

// zegoAt returns a Zego that asks servers with this handler, and one after the
// other if there are more.
func zegoAt(t *testing.T, o Options, handlers ...http.HandlerFunc) *Zego {
	t.Helper()
	for _, h := range handlers {
		srv := httptest.NewServer(h)
		t.Cleanup(srv.Close)
		u, err := url.Parse(srv.URL + "/")
		if err != nil {
			t.Fatal(err)
		}
		o.Endpoints = append(o.Endpoints, u)
	}
	o.Signer = NewSigner(testAppID, testSecret)
	if o.Rate == 0 {
		o.Rate = 10_000
	}
	return NewZego(o)
}

func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const good = `{"Code":0,"Message":"ok","RequestId":"5094436160208407316","Data":["rtmp://81.69.49.115:1935/1540531164/caodantest"]}`

func TestSignature(t *testing.T) {
	for _, v := range []struct {
		appID         uint32
		nonce, secret string
		at            int64
		want          string
	}{
		// V0 is printed in ZEGO's documents, the others were made with Python.
		{12345, "4fd24687296dd9f3", "9193cc662a4c0ec135ec71fb57194b38", 1615186943, "43e5cfcca828314675f91b001390566a"},
		{1234567890, "9f8e7d6c5b4a3928", "00112233445566778899aabbccddeeff", 1700000000, "2d7849483424db63e6cb4e497401f4ea"},
		{4294967295, "fedcba9876543210", "5ca1ab1e0ddba11c0ffee0defaceb00c", 1767225600, "768127b6eff7697db210f6c0afe5adfe"},
		{1, "00000000000000a0", "a5a5f00dbadc0de5a5a5f00dbadc0de5", 1617249600, "4f4e2ee5989f36d694419f5caadfa985"},
		// The border of the skew that ZEGO allows: V1 at +600 s and +601 s.
		{1234567890, "9f8e7d6c5b4a3928", "00112233445566778899aabbccddeeff", 1700000600, "f13c55353eb165c92ed1ae74e48d1e0b"},
		{1234567890, "9f8e7d6c5b4a3928", "00112233445566778899aabbccddeeff", 1700000601, "5916de4e0ef67a462bc4bc93c9555c3d"},
	} {
		got := NewSigner(v.appID, v.secret).Sign(v.nonce, v.at)
		if got != v.want {
			t.Errorf("AppID %d: got %s, want %s", v.appID, got, v.want)
		}
		for what, wrong := range map[string]string{
			"time before nonce":      "fbbfb20787c5f8d64640d5df93b1cd38",
			"secret before nonce":    "4c076cb70dedfaf7f246e0c9aca2ddd2",
			"nonce in upper case":    "76c9f0d9b0aba61765e6a72e22221eea",
			"time in milliseconds":   "c0a0eb9673d7fe9b9f07b51f62839b0b",
			"AppID as a signed -1":   "32a51008243b9501e1e39f900342244d",
			"upper case hexadecimal": strings.ToUpper(v.want),
		} {
			if got == wrong {
				t.Errorf("AppID %d: signed with the %s", v.appID, what)
			}
		}
	}
}

func TestRequest(t *testing.T) {
	var mu sync.Mutex
	var queries []url.Values
	now := time.Unix(1700000000, 123e6)
	z := zegoAt(t, Options{Now: func() time.Time { return now }}, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method != http.MethodGet || r.URL.Path != "/" {
			t.Errorf("got %s %s", r.Method, r.URL.Path)
		}
		queries = append(queries, r.URL.Query())
		_, _ = io.WriteString(w, good)
	})
	var calls sync.WaitGroup
	for range 50 {
		calls.Go(func() {
			if _, err := z.Dispatch(t.Context(), "cam-1_A", Push); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	nonces, sequences := map[string]bool{}, map[string]bool{}
	for _, q := range queries {
		nonces[q.Get("SignatureNonce")] = true
		sequences[q.Get("Sequence")] = true
		want := url.Values{
			"Action": {"RTMPDispatchV2"}, "AppId": {"1234567890"}, "SignatureVersion": {"2.0"},
			"Timestamp": {"1700000000"}, "StreamId": {"cam-1_A"}, "Type": {"push"},
			"SignatureNonce": q["SignatureNonce"], "Sequence": q["Sequence"],
			"Signature": {z.o.Signer.Sign(q.Get("SignatureNonce"), 1700000000)},
		}
		if q.Encode() != want.Encode() {
			t.Errorf("got  %s\nwant %s", q.Encode(), want.Encode())
		}
		if len(q.Get("SignatureNonce")) != 16 {
			t.Errorf("nonce %q", q.Get("SignatureNonce"))
		}
	}
	if len(nonces) != 50 || len(sequences) != 50 {
		t.Errorf("%d nonces and %d sequences in 50 calls", len(nonces), len(sequences))
	}
	for i := range int64(50) {
		if s := fmt.Sprint(1700000000123 + i); !sequences[s] {
			t.Errorf("sequence %s was left out", s)
		}
	}
}

func TestAnswers(t *testing.T) {
	data := func(d string) string { return `{"Code":0,"Message":"ok","RequestId":"77","Data":` + d + `}` }
	const u1, u2 = "rtmp://1.2.3.4:1935/1/s", "rtmps://node.example/1/s?t=1"
	for what, tc := range map[string]struct {
		status int
		body   string
		nodes  string // hosts, or
		err    string // a part of the error
		want   Verdict
	}{
		"as documented":            {200, good, "81.69.49.115:1935", "", Again},
		"several, in order":        {200, data(`["` + u1 + `","` + u2 + `"]`), "1.2.3.4:1935 node.example:443", "", Again},
		"a string":                 {200, data(`"` + u1 + `"`), "1.2.3.4:1935", "", Again},
		"the usable of a mixture":  {200, data(`[1,null,"","http://1.2.3.4/a/b","` + u1 + `"]`), "1.2.3.4:1935", "", Again},
		"null":                     {200, data(`null`), "", "ZEGO answers 1002, there is no push node", Again},
		"an empty list":            {200, data(`[]`), "", "1002", Again},
		"an object":                {200, data(`{}`), "", "1002", Again},
		"numbers":                  {200, data(`[1,2]`), "", "1002", Again},
		"Data missing":             {200, `{"Code":0,"RequestId":"77"}`, "", "1002", Again},
		"Code missing":             {200, `{"Data":["` + u1 + `"]}`, "", "without a Code", Again},
		"Code a string":            {200, `{"Code":"0","Data":["` + u1 + `"]}`, "", "no answer of ZEGO's", Again},
		"RequestId a number":       {200, `{"Code":1001,"RequestId":5094436160208407316}`, "", "(RequestId 5094436160208407316)", Again},
		"the V1 form":              {200, data(`["81.69.49.115:1935"]`), "", "1002", Again},
		"not JSON":                 {200, `<html>`, "", "no answer of ZEGO's", Again},
		"truncated":                {200, good[:40], "", "no answer of ZEGO's", Again},
		"something behind it":      {200, good + "x", "", "no answer of ZEGO's", Again},
		"nothing":                  {200, ``, "", "no answer of ZEGO's", Again},
		"JSON null":                {200, `null`, "", "without a Code", Again},
		"64 KiB and more":          {200, good + strings.Repeat(" ", 64<<10), "", "longer than 65536 bytes", Again},
		"nested a million deep":    {200, strings.Repeat("[", 60_000), "", "no answer of ZEGO's", Again},
		"HTTP 500":                 {500, `oops`, "", "HTTP 500", Again},
		"HTTP 500 with a good one": {500, good, "", "HTTP 500 Internal Server Error although", Again},
		"HTTP 403":                 {403, `oops`, "", "HTTP 403", Operator},
		"HTTP 429":                 {429, `oops`, "", "HTTP 429", Throttled},
		"a code beside HTTP 400":   {400, `{"Code":30009}`, "", "30009", ThisStream},
		"a code and usable nodes":  {200, `{"Code":1001,"Data":["` + u1 + `"]}`, "", "1001", Again},
		"an unknown code":          {200, `{"Code":4711,"Message":"odd","RequestId":"77"}`, "", "4711, an unknown code: odd (RequestId 77)", Again},
	} {
		t.Run(what, func(t *testing.T) {
			z := zegoAt(t, Options{}, answers(tc.status, tc.body))
			answer, err := z.Dispatch(t.Context(), "cam1", Push)
			if tc.err == "" {
				hosts := strings.Trim(fmt.Sprint(answer.Nodes), "[]")
				if err != nil || hosts != tc.nodes {
					t.Errorf("got %s, %v; want %s", hosts, err, tc.nodes)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tc.err) {
				t.Fatalf("got %v, want %q", err, tc.err)
			}
			if e.Verdict != tc.want || VerdictOf(err) != tc.want {
				t.Errorf("verdict %v, want %v", e.Verdict, tc.want)
			}
			if e.Advice() == "" {
				t.Error("no advice")
			}
		})
	}
}

func TestEveryCodeHasItsVerdict(t *testing.T) {
	want := map[Verdict][]int{
		Again:     {1001, 1002, 1003, 30003, 100000012, 100000015},
		Throttled: {1010, 30002},
		Operator: {1005, 30004, 30005, 30011, 100000000, 100000001, 100000002, 100000003, 100000004, 100000005,
			100000006, 100000007, 100000008, 100000009, 100000010, 100000011, 100000013, 100000014, 100000016, 100000017},
		ThisStream: {1006, 30009, 30010},
	}
	n := 0
	for verdict, codes := range want {
		for _, code := range codes {
			n++
			z := zegoAt(t, Options{}, answers(200, fmt.Sprintf(`{"Code":%d,"Message":"m","RequestId":"77","Data":null}`, code)))
			_, err := z.Dispatch(t.Context(), "cam1", Push)
			if VerdictOf(err) != verdict {
				t.Errorf("%d: got %v, want %v", code, VerdictOf(err), verdict)
			}
			if !strings.Contains(err.Error(), fmt.Sprint(code)) || !strings.Contains(err.Error(), "RequestId 77") {
				t.Errorf("%d: the error says %q", code, err)
			}
		}
	}
	if n != len(Codes()) {
		t.Errorf("%d codes are tested of %d", n, len(Codes()))
	}
}

func TestOtherFailures(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	trickle := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, " ")
			w.(http.Flusher).Flush()
			<-time.After(10 * time.Millisecond)
		}
	}
	endless := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	}
	redirected := false
	for what, tc := range map[string]struct {
		handler http.HandlerFunc
		err     string
		want    Verdict
	}{
		"no answer":          {hang, "no answer in time", Again},
		"a trickling answer": {trickle, "no answer in time", Again},
		"an endless answer":  {endless, "longer than 65536 bytes", Again},
		"a closed connection": {func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}, "EOF", Again},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			redirected = redirected || r.URL.Path != "/"
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, "HTTP 302", Operator},
		"a huge header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 100<<10))
			_, _ = io.WriteString(w, good)
		}, "server response headers exceeded", Again},
	} {
		t.Run(what, func(t *testing.T) {
			z := zegoAt(t, Options{Timeout: 200 * time.Millisecond}, tc.handler)
			begun := time.Now()
			_, err := z.Dispatch(t.Context(), "cam1", Push)
			if took := time.Since(begun); took > 2*time.Second {
				t.Errorf("gave up after %v", took)
			}
			if err == nil || !strings.Contains(err.Error(), tc.err) || VerdictOf(err) != tc.want {
				t.Errorf("got %v, verdict %v; want %q, %v", err, VerdictOf(err), tc.err, tc.want)
			}
		})
	}
	if redirected {
		t.Error("a redirect was followed")
	}
}

func TestNextEndpoint(t *testing.T) {
	code := func(n int) http.HandlerFunc { return answers(200, fmt.Sprintf(`{"Code":%d}`, n)) }
	for what, tc := range map[string]struct {
		first http.HandlerFunc
		next  bool
	}{
		"HTTP 500":           {answers(500, ""), true},
		"not JSON":           {answers(200, "<html>"), true},
		"100000015":          {code(100000015), true},
		"100000000":          {code(100000000), true},
		"a code of service":  {code(1001), false},
		"a wrong signature":  {code(100000005), false},
		"too often, by HTTP": {answers(429, ""), false},
	} {
		asked := false
		z := zegoAt(t, Options{}, tc.first, func(w http.ResponseWriter, _ *http.Request) {
			asked = true
			_, _ = io.WriteString(w, good)
		})
		_, err := z.Dispatch(t.Context(), "cam1", Push)
		if asked != tc.next || (err == nil) != tc.next {
			t.Errorf("%s: the next endpoint was asked: %v, error %v", what, asked, err)
		}
	}
}

// The HTTP transport must not repeat a request by itself when a connection that
// was used before is closed: the nonce would be used twice.
func TestNoRequestIsRepeatedByTheTransport(t *testing.T) {
	var mu sync.Mutex
	nonces := map[string]int{}
	z := zegoAt(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		nonces[r.URL.Query().Get("SignatureNonce")]++
		second := len(nonces) == 2
		mu.Unlock()
		if second {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, good)
	})
	for range 4 {
		_, _ = z.Dispatch(t.Context(), "cam1", Push)
	}
	if len(nonces) != 4 {
		t.Errorf("%d requests with a nonce of their own, want 4", len(nonces))
	}
	for nonce, n := range nonces {
		if n != 1 {
			t.Errorf("nonce %s was sent %d times", nonce, n)
		}
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := zegoAt(t, Options{Rate: 5, Transport: transportFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(good))}, nil
		})})
		z.o.Endpoints = []*url.URL{{Scheme: "https", Host: "api.example", Path: "/"}}
		begun := time.Now()
		for range 25 {
			if _, err := z.Dispatch(t.Context(), "cam1", Push); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun); took != 4*time.Second {
			t.Errorf("25 calls took %v, want 4s: 5 at once, then 5 a second", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := z.Dispatch(ctx, "cam1", Push); err == nil {
			t.Error("a call whose context ends before its turn must fail")
		}
	})
}

// Nothing that goes wrong may show the secret, a signature or a signed URL.
func TestNoErrorShowsASecret(t *testing.T) {
	var mu sync.Mutex
	var private []string
	spy := func(w http.ResponseWriter, r *http.Request, answer func(string)) {
		mu.Lock()
		defer mu.Unlock()
		q := r.URL.Query()
		private = append(private, q.Get("Signature"), q.Get("SignatureNonce"))
		answer(q.Get("Signature") + testSecret + "\n\x1b[31m" + r.URL.String())
		_ = w
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	var printed strings.Builder
	for _, handler := range []http.HandlerFunc{
		func(w http.ResponseWriter, r *http.Request) {
			spy(w, r, func(s string) { fmt.Fprintf(w, `{"Code":4711,"Message":%q,"RequestId":%q}`, s, s) })
		},
		func(w http.ResponseWriter, r *http.Request) {
			spy(w, r, func(s string) { fmt.Fprintf(w, `{"Code":0,"Message":%q,"Data":[%q]}`, s, "rtmp://u:"+s+"@h/a/b") })
		},
		func(w http.ResponseWriter, r *http.Request) {
			spy(w, r, func(s string) { http.Error(w, s, http.StatusInternalServerError) })
		},
		func(w http.ResponseWriter, r *http.Request) {
			spy(w, r, func(string) { http.Redirect(w, r, "http://elsewhere.example/?"+r.URL.RawQuery, http.StatusFound) })
		},
		func(w http.ResponseWriter, r *http.Request) { spy(w, r, func(string) {}); panic(http.ErrAbortHandler) },
		func(w http.ResponseWriter, r *http.Request) { spy(w, r, func(string) {}); <-r.Context().Done() },
	} {
		z := zegoAt(t, Options{Timeout: 100 * time.Millisecond}, handler)
		_, err := z.Dispatch(t.Context(), "cam1", Push)
		fmt.Fprintf(&printed, "%v %+v %#v %q\n", err, err, err, errors.Unwrap(err))
		fmt.Fprintf(&printed, "%v %+v %#v\n", z.o, z.o.Signer, z.o)
	}
	for _, host := range []string{strings.TrimPrefix(closed.URL, "http://"), "no.such.host.invalid"} {
		z := zegoAt(t, Options{Timeout: 100 * time.Millisecond})
		z.o.Endpoints = []*url.URL{{Scheme: "http", Host: host, Path: "/"}}
		_, err := z.Dispatch(t.Context(), "cam1", Push)
		fmt.Fprintf(&printed, "%v\n", err)
		if !strings.Contains(err.Error(), host) {
			t.Errorf("the error doesn't name the host: %v", err)
		}
	}
	for _, marker := range append(private, testSecret, "marker1", "Signature=", "SignatureNonce", "\x1b") {
		if strings.Contains(printed.String(), marker) {
			t.Errorf("%q is in:\n%s", marker, printed.String())
		}
	}
}

func TestParseNode(t *testing.T) {
	for in, want := range map[string]string{
		"rtmp://81.69.49.115:1935/1540531164/caodantest": "81.69.49.115:1935",
		"rtmp://node.example/1/s":                        "node.example:1935",
		"rtmps://node.example/1/s?token=x":               "node.example:443",
		"rtmp://[2001:db8::1]/1/s":                       "[2001:db8::1]:1935",
		"rtmp://h:1/a/b/c":                               "h:1",
	} {
		n, err := ParseNode(in)
		if err != nil || n.Host() != want || n.URL() != in {
			t.Errorf("%s: got %v, %v", in, n, err)
		}
		if printed := fmt.Sprintf("%v %+v %s %#v", n, n, n, n); strings.Contains(printed, "token") || strings.Contains(printed, "caodan") {
			t.Errorf("a node prints its URL: %s", printed)
		}
	}
	for _, in := range []string{
		"", "x", "http://h/a/b", "rtmp://", "rtmp:///a/b", "rtmp://h", "rtmp://h/a", "rtmp://h/a/", "rtmp://h//b",
		"rtmp://marker1:marker1@h/a/b", "rtmp://h:0/a/b", "rtmp://h:99999/a/b", "rtmp://h:marker1/a/b",
		"rtmp://h/a/b\nmarker1", "rtmp://h/a/b marker1", "rtmp://h/a/\x00marker1", "rtmp://h/marker1/%zz",
		"rtmp://h/a/" + strings.Repeat("marker1", 10_000),
	} {
		n, err := ParseNode(in)
		if err == nil {
			t.Errorf("%.60q: got %v, want an error", in, n)
		} else if strings.Contains(err.Error(), "marker1") {
			t.Errorf("the error quotes the URL: %v", err)
		}
	}
}

func TestNodePolicy(t *testing.T) {
	for _, addr := range []string{
		"127.0.0.1:1935", "127.9.9.9:1", "10.0.0.1:1", "172.16.0.1:1", "192.168.1.1:1", "169.254.169.254:80", "0.0.0.0:1",
		"0.1.2.3:1", "100.64.0.1:1", "192.0.2.1:1", "198.18.0.1:1", "224.0.0.1:1", "240.0.0.1:1", "255.255.255.255:1",
		"[::1]:1", "[::]:1", "[fe80::1%eth0]:1", "[fc00::1]:1", "[ff02::1]:1", "[::ffff:127.0.0.1]:1", "[::ffff:10.0.0.1]:1",
		"[64:ff9b::7f00:1]:1", "[2002:7f00:1::]:1", "[2001:db8::1]:1", "not an address",
	} {
		if err := (NodePolicy{}).Control("tcp", addr, nil); err == nil {
			t.Errorf("%s may be dialled", addr)
		}
	}
	for _, addr := range []string{"81.69.49.115:1935", "8.8.8.8:443", "[2a00:1450::1]:1935"} {
		if err := (NodePolicy{}).Control("tcp", addr, nil); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// The policy sees the address that a name resolves to.
func TestNodePolicyAtTheDialer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	d := net.Dialer{Control: NodePolicy{}.Control}
	_, err = d.Dial("tcp", net.JoinHostPort("localhost", port))
	if err == nil || !strings.Contains(err.Error(), "ZEGORELAY_NODE_ALLOW") {
		t.Errorf("got %v", err)
	}
}
