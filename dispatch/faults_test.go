package dispatch

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"
)

// However large an answer makes itself, the process doesn't grow by more than
// 4 MiB.
func TestA3LargeAnswers(t *testing.T) {
	flood := func(w http.ResponseWriter, r *http.Request) {
		for piece := make([]byte, 64<<10); r.Context().Err() == nil; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}
	for what, handler := range map[string]http.HandlerFunc{
		"an endless body": flood,
		"a gzip bomb": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			bomb := gzip.NewWriter(w)
			for i := 0; i < 1000 && r.Context().Err() == nil; i++ {
				if _, err := bomb.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		},
		"a huge header": func(w http.ResponseWriter, _ *http.Request) {
			for range 20 {
				w.Header().Add("X", strings.Repeat("x", 10<<10))
			}
		},
		"100,000 nodes": answers(200, `{"Code":0,"Data":[`+strings.TrimSuffix(strings.Repeat(`"rtmp://1.2.3.4/1/a",`, 100_000), ",")+`]}`),
		"deep JSON":     answers(200, strings.Repeat(`{"Data":`, 8000)),
	} {
		z := zegoAt(t, Options{Timeout: time.Second}, handler)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		if _, err := z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Push}); err == nil {
			t.Errorf("%s: no error", what)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if after.HeapInuse > before.HeapInuse+4<<20 {
			t.Errorf("%s: the process grew by %d KiB", what, (after.HeapInuse-before.HeapInuse)>>10)
		}
	}
}

// A server that can't prove who it is, or doesn't get that far, hears nothing of
// the request; the next endpoint is asked.
func TestA15TLS(t *testing.T) {
	heard := make(chan string, 100)
	other := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard <- r.URL.RawQuery }))
	other.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	other.StartTLS()
	t.Cleanup(other.Close)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	plain := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard <- r.URL.RawQuery }))
	t.Cleanup(plain.Close)

	roots := x509.NewCertPool()
	roots.AddCert(other.Certificate())
	for what, tc := range map[string]struct {
		addr  string
		name  string // in the URL
		roots *x509.CertPool
		now   time.Time
	}{
		"unknown CA":          {other.Listener.Addr().String(), "", nil, time.Time{}},
		"another name":        {other.Listener.Addr().String(), "rtc-api.zego.im", roots, time.Time{}},
		"expired":             {other.Listener.Addr().String(), "example.com", roots, time.Now().AddDate(200, 0, 0)},
		"a stalled handshake": {silent.Addr().String(), "", nil, time.Time{}},
		"no TLS at all":       {plain.Listener.Addr().String(), "", nil, time.Time{}},
	} {
		z := zegoAt(t, Options{Timeout: 500 * time.Millisecond}, answers(200, good))
		host := tc.addr
		if tc.name != "" {
			host = tc.name
		}
		transport := newTransport()
		transport.TLSClientConfig = &tls.Config{RootCAs: tc.roots, Time: func() time.Time {
			if tc.now.IsZero() {
				return time.Now()
			}
			return tc.now
		}}
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if strings.HasPrefix(addr, host) || tc.name != "" && strings.HasPrefix(addr, tc.name) {
				addr = tc.addr
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
		z.client.Transport = transport
		z.endpoints = newEndpoints([]*url.URL{{Scheme: "https", Host: host, Path: "/"}, z.o.Endpoints[0]})
		begun := time.Now()
		_, first := z.ask(t.Context(), z.endpoints.all[0], "cam1", Push)
		if first == nil || time.Since(begun) > 2*time.Second {
			t.Errorf("%s: got %v after %v", what, first, time.Since(begun))
		}
		if _, err := z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Push}); err != nil {
			t.Errorf("%s: the next endpoint was not asked: %v", what, err)
		}
	}
	select {
	case query := <-heard:
		t.Errorf("a server that is not ZEGO heard %q", query)
	default:
	}
}
