package dispatch

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

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
			_, err := z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Push})
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
		_, err := z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Push})
		if asked != tc.next || (err == nil) != tc.next {
			t.Errorf("%s: the next endpoint was asked: %v, error %v", what, asked, err)
		}
	}
}
