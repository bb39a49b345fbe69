package admin

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"zegorelay/relay"
)

const (
	hookSecret = "marker3-webhook-0123456789"
	hookURL    = "https://user:marker4-password@hook.example/marker5-path?token=marker6-query"
)

// receiver stands for the network: what it answers and what it got.
type receiver struct {
	mu     sync.Mutex
	answer func(try int) (status int, err error)
	got    []*http.Request
	bodies []string
	at     []time.Time
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	body, _ := io.ReadAll(req.Body)
	r.got, r.bodies, r.at = append(r.got, req), append(r.bodies, string(body)), append(r.at, time.Now())
	status, err := r.answer(len(r.got))
	if err != nil {
		return nil, err
	}
	head := http.Header{"Location": {"http://127.0.0.1:1/"}}
	return &http.Response{StatusCode: status, Header: head, Body: io.NopCloser(strings.NewReader("")), Request: req}, nil
}

func hookTo(r *receiver, log io.Writer) *webhook {
	w := newWebhook(hookURL, hookSecret, zerolog.New(log))
	w.client.Transport = r
	return w
}

func always(status int) func(int) (int, error) { return func(int) (int, error) { return status, nil } }

func TestTheWebhookSignsWhatItSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: always(204)}
		w := hookTo(r, io.Discard)
		ctx, cancel := context.WithCancel(t.Context())
		events := make(chan relay.Event, 20)
		wanted := []relay.EventKind{relay.EventStarted, relay.EventStopped, relay.EventUpstreamLost,
			relay.EventUpstreamRestored, relay.EventRefused, relay.EventAdvice}
		unwanted := []relay.EventKind{relay.EventResolved, relay.EventDropped, relay.EventCommand,
			relay.EventPublisherBack, relay.EventPublisherLost}
		for i, kind := range append(unwanted, wanted...) {
			events <- richEvent(uint64(i), kind)
		}
		go w.run(ctx, events)
		synctest.Wait()
		cancel()
		synctest.Wait()
		if len(r.got) != len(wanted) || w.delivered.Load() != uint64(len(wanted)) {
			t.Fatalf("got %d events, want %d", len(r.got), len(wanted))
		}
		d := describe(t)
		for i, req := range r.got {
			var e eventView
			must(t, json.Unmarshal([]byte(r.bodies[i]), &e))
			if e.Kind != string(wanted[i]) {
				t.Errorf("got %s, want %s", e.Kind, wanted[i])
			}
			d.checkJSON(d.at("webhooks", "event", "post", "requestBody", "content", "application/json", "schema"), r.bodies[i])
			stamp, sum, _ := strings.Cut(req.Header.Get(signatureHeader), ",v1=")
			mac := hmac.New(sha256.New, []byte(hookSecret))
			mac.Write([]byte(strings.TrimPrefix(stamp, "t=") + "." + r.bodies[i]))
			if sum != hex.EncodeToString(mac.Sum(nil)) {
				t.Errorf("the signature is %q", req.Header.Get(signatureHeader))
			}
		}
	})
}

func TestTheWebhookTriesAgain(t *testing.T) {
	for what, tc := range map[string]struct {
		answer    func(try int) (int, error)
		tries     int
		took      time.Duration
		delivered uint64
	}{
		"at once":                {always(200), 1, 0, 1},
		"after a bad gateway":    {func(try int) (int, error) { return map[bool]int{true: 502, false: 200}[try == 1], nil }, 2, time.Second, 1},
		"network trouble":        {func(int) (int, error) { return 0, errors.New("no route") }, 5, 81 * time.Second, 0},
		"too many":               {always(429), 5, 81 * time.Second, 0},
		"not for a redirect":     {always(302), 1, 0, 0},
		"not for a refusal":      {always(401), 1, 0, 0},
		"not when it isn't ours": {always(404), 1, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			r := &receiver{answer: tc.answer}
			w := hookTo(r, &log)
			ctx, cancel := context.WithCancel(t.Context())
			events := make(chan relay.Event, 1)
			go w.run(ctx, events)
			begun := time.Now()
			events <- richEvent(1, relay.EventStarted)
			<-time.After(10 * time.Minute)
			synctest.Wait()
			if len(r.got) != tc.tries || r.at[len(r.at)-1].Sub(begun) != tc.took || w.delivered.Load() != tc.delivered {
				t.Errorf("%s: %d tries, the last after %v, want %d after %v", what, len(r.got), r.at[len(r.at)-1].Sub(begun), tc.tries, tc.took)
			}
			if failed := w.failed.Load(); failed+tc.delivered != 1 || (failed > 0) != strings.Contains(log.String(), "not delivered") {
				t.Errorf("%s: %d failed, the log says %s", what, failed, &log)
			}
			if strings.Contains(log.String(), "marker") {
				t.Errorf("%s: a secret is in the log: %s", what, &log)
			}
			cancel()
		})
	}
}

func TestTheWebhookHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := &receiver{answer: always(503)}
		w := hookTo(r, &log)
		ctx, cancel := context.WithCancel(t.Context())
		events := make(chan relay.Event) // without room: every send waits for the webhook
		ended := make(chan struct{})
		go func() { w.run(ctx, events); close(ended) }()
		begun := time.Now()
		events <- richEvent(0, relay.EventStarted)
		synctest.Wait() // it is tried
		for i := range uint64(999) {
			events <- richEvent(1+i, relay.EventStarted)
		}
		synctest.Wait()
		if took := time.Since(begun); took > 0 {
			t.Errorf("events were held up for %v", took)
		}
		if dropped := w.dropped.Load(); dropped != 1000-webhookRoom-1 {
			t.Errorf("%d dropped, want all but %d that wait and one that is tried", dropped, webhookRoom)
		}
		if lines := strings.Count(log.String(), "dropped: it takes"); lines > 10 {
			t.Errorf("%d lines say it", lines)
		}
		cancel()
		begun = time.Now()
		<-ended
		if took := time.Since(begun); took > grace {
			t.Errorf("it ended %v late", took)
		}
	})
}

func TestTheWebhookDeliversTheLastEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: always(200)}
		w := hookTo(r, io.Discard)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		events := make(chan relay.Event, 10)
		events <- richEvent(1, relay.EventStopped)
		events <- richEvent(2, relay.EventStopped)
		w.run(ctx, events)
		if len(r.got) != 2 {
			t.Errorf("got %d events, want 2", len(r.got))
		}
	})
}
