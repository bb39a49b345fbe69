package dispatch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Direction is what nodes are asked for.
type Direction string

// Push asks for nodes to publish to, Pull for nodes to play from.
const (
	Push Direction = "push"
	Pull Direction = "pull"
)

const (
	action = "RTMPDispatchV2"

	maxResponseHeader = 64 << 10
)

// Options tune a Zego. Signer and Endpoints are required; any other zero field
// means the default in brackets.
type Options struct {
	Signer    Signer
	Endpoints []*url.URL        // of the API, in order of preference
	Timeout   time.Duration     // of one request, whole [5s]
	Rate      float64           // requests a second [10]
	Transport http.RoundTripper // [one that never repeats a request]
	Now       func() time.Time  // the clock that signs [time.Now]
}

// Zego asks ZEGO's API. It may be used by many goroutines at once.
type Zego struct {
	o      Options
	client *http.Client
	budget *rate.Limiter

	mu       sync.Mutex
	sequence int64 // the last one used
}

// NewZego returns a Zego. It does no I/O.
func NewZego(o Options) *Zego {
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Rate == 0 {
		o.Rate = 10
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	return &Zego{
		o:      o,
		budget: rate.NewLimiter(rate.Limit(o.Rate), max(1, int(o.Rate))),
		client: &http.Client{
			Transport: o.Transport,
			// A redirect would carry the signed query to somewhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// newTransport makes every request on a connection of its own. On one that was
// used before, net/http repeats a GET by itself when the server has closed it,
// and with it the nonce and the sequence number.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{}).DialContext,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxResponseHeader,
		ForceAttemptHTTP2:      false,
	}
}

// Dispatch asks for the nodes of a stream. It blocks for the budget, then for
// at most the timeout per endpoint, and no longer than ctx. Its errors match
// *Error, and if ctx ended also the cause of that.
func (z *Zego) Dispatch(ctx context.Context, streamID string, d Direction) (Answer, error) {
	last := &Error{Verdict: Operator, Err: errors.New("no endpoint of the API is configured")}
	for _, endpoint := range z.o.Endpoints {
		if err := z.budget.Wait(ctx); err != nil {
			return Answer{}, &Error{Err: fmt.Errorf("%w before its turn: %w", errCalledOff, err)}
		}
		begun := time.Now()
		answer, err := z.ask(ctx, endpoint, streamID, d)
		if err == nil {
			answer.Took = time.Since(begun)
			return answer, nil
		}
		if ctx.Err() != nil {
			return Answer{}, &Error{Err: fmt.Errorf("%w: %w", errCalledOff, context.Cause(ctx))}
		}
		last = err
		if !helpsElsewhere(err) {
			break
		}
	}
	return Answer{}, last
}

// helpsElsewhere reports whether another endpoint may do better: after trouble
// with the network, the server or the gateway, never after a code of the
// service.
func helpsElsewhere(e *Error) bool {
	return e.Code == 0 && e.Verdict != Throttled || isGatewayTrouble(e.Code)
}

var (
	errTimeout   = errors.New("no answer in time")
	errCalledOff = errors.New("called off") // ctx ended: nobody's fault
)

// ask is one request to one endpoint.
func (z *Zego) ask(ctx context.Context, endpoint *url.URL, streamID string, d Direction) (Answer, *Error) {
	ctx, cancel := context.WithTimeoutCause(ctx, z.o.Timeout, errTimeout)
	defer cancel()

	query := z.o.Signer.query(action, z.o.Now().Unix())
	query.Set("StreamId", streamID)
	query.Set("Type", string(d))
	query.Set("Sequence", strconv.FormatInt(z.nextSequence(), 10))
	private := z.o.Signer.privacy(query)
	to := *endpoint
	to.RawQuery = query.Encode()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return Answer{}, &Error{Verdict: Operator, Err: errors.New("the API's URL is not one")}
	}
	resp, err := z.client.Do(req)
	if err != nil {
		return Answer{}, &Error{Verdict: Again, Err: unreached(ctx, endpoint, private.cause(err))}
	}
	defer resp.Body.Close()
	answer, failure := readAnswer(resp, private)
	if failure != nil && failure.Code == 0 && ctx.Err() != nil {
		failure.Err = unreached(ctx, endpoint, failure.Err)
	}
	return answer, failure
}

// unreached says which host gave no answer, and why.
func unreached(ctx context.Context, endpoint *url.URL, err error) error {
	if errors.Is(context.Cause(ctx), errTimeout) {
		err = errTimeout
	}
	return fmt.Errorf("%s: %w", endpoint.Host, err)
}

// nextSequence is the time in milliseconds, and always more than the last one:
// ZEGO reconciles by it.
func (z *Zego) nextSequence() int64 {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.sequence = max(z.sequence+1, z.o.Now().UnixMilli())
	return z.sequence
}
