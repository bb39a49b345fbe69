package admin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"zegorelay/relay"
)

// running is a Server on a real port.
type running struct {
	addr string
	stop func() error // waits for its end
}

func run(t *testing.T, s *Server) running {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, ln) }()
	r := running{addr: ln.Addr().String(), stop: func() error { cancel(); return <-ended }}
	t.Cleanup(cancel)
	return r
}

func (r running) dial(t *testing.T, say string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", r.addr)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(c, say)
	must(t, err)
	return c
}

func (r running) get(path string) string {
	return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, r.addr)
}

func TestAThousandThatSayNothingShutNobodyOut(t *testing.T) {
	r := run(t, testServer(newFake()))
	for what, say := range map[string]string{
		"nothing": "", "half a head": "GET / HTTP/1.1\r\nHost: ", "idle between requests": r.get("/healthz"),
	} {
		var last net.Conn
		for range 1000 {
			last = r.dial(t, say)
		}
		begun := time.Now()
		resp, err := http.ReadResponse(bufio.NewReader(r.dial(t, r.get("/healthz"))), nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: got %v, %v", what, resp, err)
		}
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("%s: it took %v", what, took)
		}
		last.Close()
	}
	must(t, r.stop())
}

func TestWhatIsBeingAnsweredIsNotEvicted(t *testing.T) {
	f := newFake()
	f.flv = func(ctx context.Context, w io.Writer) error {
		_, _ = io.WriteString(w, "FLV")
		<-ctx.Done()
		return ctx.Err()
	}
	r := run(t, testServer(f))
	watching := bufio.NewReader(r.dial(t, r.get("/preview/cam1.flv")))
	resp, err := http.ReadResponse(watching, nil)
	must(t, err)
	if got := resp.Header.Get("Content-Type"); got != "video/x-flv" {
		t.Errorf("got a preview of type %s", got)
	}
	for range 200 {
		r.dial(t, "")
	}
	feed, err := http.ReadResponse(bufio.NewReader(r.dial(t, r.get("/api/v1/events"))), nil)
	must(t, err)
	lines := bufio.NewReader(feed.Body)
	if line, err := lines.ReadString('\n'); err != nil || line != "event: streams\n" {
		t.Errorf("the feed begins with %q, %v", line, err)
	}
	f.happen(richEvent(9, relay.EventStarted))
	for line := ""; line != "event: event\n"; {
		line, err = lines.ReadString('\n')
		must(t, err)
	}
	begun := time.Now()
	must(t, r.stop())
	if took := time.Since(begun); took > 2*grace {
		t.Errorf("it ended after %v", took)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != "FLV" {
		t.Errorf("the preview was %q", body)
	}
}

func TestPreviewsAreFew(t *testing.T) {
	f := newFake()
	f.flv = func(ctx context.Context, w io.Writer) error {
		_, _ = io.WriteString(w, "FLV")
		<-ctx.Done()
		return ctx.Err()
	}
	r := run(t, testServer(f))
	for i := range maxPreviews + 1 {
		resp, err := http.ReadResponse(bufio.NewReader(r.dial(t, r.get("/preview/both.flv?direction=pull"))), nil)
		must(t, err)
		if want := map[bool]int{true: 503, false: 200}[i == maxPreviews]; resp.StatusCode != want {
			t.Errorf("number %d: got %d, want %d", i, resp.StatusCode, want)
		}
	}
	must(t, r.stop())
}

func TestASlowHeadIsClosed(t *testing.T) {
	t.Parallel()
	r := run(t, testServer(newFake()))
	c := r.dial(t, "GET / HTTP/1.1\r\nHost: ")
	begun := time.Now()
	_, _ = io.ReadAll(c)
	if took := time.Since(begun); took > readHeaderTimeout+time.Second {
		t.Errorf("it was closed after %v", took)
	}
	must(t, r.stop())
}

func TestLargeHeadsAndBodiesAreRefused(t *testing.T) {
	r := run(t, testServer(newFake()))
	for want, say := range map[int]string{
		431: "GET / HTTP/1.1\r\nHost: " + r.addr + "\r\nX-Large: " + strings.Repeat("x", 2*maxHeader) + "\r\n\r\n",
		413: fmt.Sprintf("POST /api/v1/streams/cam1/kick HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", r.addr, bearer, maxBody+1, strings.Repeat(" ", maxBody+1)),
		400: fmt.Sprintf("POST /api/v1/streams/cam1/kick HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\n"+
			"Content-Type: application/json\r\nContent-Length: 4\r\n\r\n[1]\n", r.addr, bearer),
	} {
		resp, err := http.ReadResponse(bufio.NewReader(r.dial(t, say)), nil)
		if err != nil || resp.StatusCode != want {
			t.Errorf("got %v, %v, want %d", resp, err, want)
		}
	}
	must(t, r.stop())
}

func TestItEndsThoughTheListenerFails(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ln.Close()
	s := NewServer(Options{Relay: newFake(), WebhookURL: fixed(hookURL)})
	if err := s.Run(t.Context(), ln); err == nil {
		t.Error("got no error of a listener that is closed")
	}
}

func TestItRunsWithoutAListener(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, NewServer(Options{Relay: newFake(), WebhookURL: fixed(hookURL)}).Run(ctx, nil))
	must(t, NewServer(Options{Relay: newFake()}).Run(ctx, nil))
}

var _ Relay = (*relay.Server)(nil)
