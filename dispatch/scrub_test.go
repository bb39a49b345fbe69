package dispatch

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

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
		_, err := z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Push})
		fmt.Fprintf(&printed, "%v %+v %#v %q\n", err, err, err, errors.Unwrap(err))
		fmt.Fprintf(&printed, "%v %+v %#v\n", z.o, z.o.Signer, z.o)
	}
	for _, host := range []string{strings.TrimPrefix(closed.URL, "http://"), "no.such.host.invalid"} {
		z := zegoAt(t, Options{Timeout: 100 * time.Millisecond})
		z.endpoints = newEndpoints([]*url.URL{{Scheme: "http", Host: host, Path: "/"}})
		_, err := z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Push})
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
