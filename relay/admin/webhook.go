package admin

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"zegorelay/relay"
)

const (
	signatureHeader = "X-Zegorelay-Signature"

	webhookRoom    = 256 // events that wait
	webhookTries   = 5
	webhookWait    = time.Second // before the second try
	webhookMaxWait = time.Minute // before any
	webhookGrowth  = 4           // from one wait to the next
	webhookTimeout = 5 * time.Second
	webhookAnswer  = 4 << 10 // bytes of an answer that are read, so that its connection can be used again
)

// webhook posts events to a URL of the operator's, one after the other. What waits is
// bounded, and nothing waits for it.
type webhook struct {
	url    string // may hold a password: never logged
	host   string // what is
	secret []byte
	log    zerolog.Logger
	client *http.Client
	queue  chan relay.Event

	delivered, failed, dropped atomic.Uint64
}

// newWebhook returns nil if there is no URL.
func newWebhook(to, secret string, log zerolog.Logger) *webhook {
	u, err := url.Parse(to)
	if to == "" || err != nil { // config has checked it
		return nil
	}
	return &webhook{
		url: to, host: u.Host, secret: []byte(secret), log: log,
		queue: make(chan relay.Event, webhookRoom),
		client: &http.Client{
			Timeout: webhookTimeout,
			// Elsewhere might be a service that trusts this machine.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// run delivers until ctx ends, and what waits then for the grace time.
func (w *webhook) run(ctx context.Context, events <-chan relay.Event) {
	life, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, kill) })()
	defer w.client.CloseIdleConnections()
	var delivery sync.WaitGroup
	delivery.Go(func() { w.deliver(life) })
	w.take(ctx, events)
	close(w.queue)
	delivery.Wait()
}

// take queues events until ctx ends, and then those that are there already.
func (w *webhook) take(ctx context.Context, events <-chan relay.Event) {
	for {
		select {
		case <-ctx.Done():
			for {
				select {
				case e, ok := <-events:
					if !ok {
						return
					}
					w.enqueue(e)
				default:
					return
				}
			}
		case e, ok := <-events:
			if !ok {
				return
			}
			w.enqueue(e)
		}
	}
}

func (w *webhook) enqueue(e relay.Event) {
	switch e.Kind {
	case relay.EventStarted, relay.EventStopped, relay.EventUpstreamLost, relay.EventUpstreamRestored,
		relay.EventRefused, relay.EventAdvice:
	default:
		return
	}
	room := w.queue
	if e.Kind == relay.EventRefused && len(w.queue) >= webhookRoom/2 {
		room = nil // anybody can be refused: the other half is for what matters more
	}
	select {
	case room <- e:
	default:
		if n := w.dropped.Add(1); isWorthTelling(n) {
			w.log.Warn().Str("host", w.host).Uint64("dropped", n).Msg("events for the webhook dropped: it takes too few")
		}
	}
}

// isWorthTelling is so for the first of many and at every doubling.
func isWorthTelling(n uint64) bool { return n&(n-1) == 0 }

// deliver posts what is queued, in order.
func (w *webhook) deliver(ctx context.Context) {
	row := uint64(0) // failures in a row
	for e := range w.queue {
		err := w.post(ctx, e)
		if err == nil {
			w.delivered.Add(1)
			if row > 0 {
				w.log.Info().Str("host", w.host).Uint64("failed", row).Msg("the webhook takes events again")
			}
			row = 0
			continue
		}
		w.failed.Add(1)
		if row++; isWorthTelling(row) {
			w.log.Warn().Err(err).Str("host", w.host).Uint64("failed", row).Msg("event not delivered to the webhook")
		}
	}
}

// post tries to deliver one event several times.
func (w *webhook) post(ctx context.Context, e relay.Event) error {
	body, err := json.Marshal(viewOfEvent(e))
	if err != nil {
		return err
	}
	wait := webhookWait
	for try := 1; ; try++ {
		again, err := w.try(ctx, body)
		if err == nil || !again || try == webhookTries || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
		wait = min(webhookGrowth*wait, webhookMaxWait)
	}
}

// try posts once. again says whether another try may end otherwise.
func (w *webhook) try(ctx context.Context, body []byte) (again bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return false, errors.New("the URL is of no use") // err quotes it
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "zegorelay")
	if len(w.secret) > 0 {
		r.Header.Set(signatureHeader, w.sign(time.Now(), body))
	}
	resp, err := w.client.Do(r)
	if err != nil {
		return true, withoutURL(err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, webhookAnswer)
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		return false, nil
	case resp.StatusCode >= 500, resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusRequestTimeout:
		again = true
	}
	return again, fmt.Errorf("it answered %d", resp.StatusCode)
}

// sign is the header by which the receiver knows that it was us, and when.
func (w *webhook) sign(now time.Time, body []byte) string {
	t := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, w.secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// withoutURL is why an HTTP client failed, without the URL, which may hold a password.
func withoutURL(err error) error {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		return outer.Err
	}
	return err
}
