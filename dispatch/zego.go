package dispatch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

const maxResponseHeader = 64 << 10

// Options tune a Zego. Signer and Endpoints are required; any other zero field
// means the default in brackets.
type Options struct {
	Signer      Signer
	Endpoints   []*url.URL        // of the API, in order of preference
	Action      Action            // [V2]
	Environment Environment       // [Unsaid]
	ClientIP    netip.Addr        // IPv4 by which ZEGO chooses nodes [that of the connection]
	Timeout     time.Duration     // of one request, whole [5s]
	Rate        float64           // requests a second [10]
	Transport   http.RoundTripper // [one that never repeats a request]
	Now         func() time.Time  // the clock that signs [time.Now]

	// Warn is told, in a sentence, what an operator should know although no call
	// failed by it. It must not block. [nobody]
	Warn func(sentence string)
}

// Zego asks ZEGO's API. It may be used by many goroutines at once.
type Zego struct {
	o         Options
	client    *http.Client
	budget    *budget
	endpoints *endpoints
	clock     *signingClock
	turns     turns
	signer    atomic.Pointer[Signer]

	mu              sync.Mutex
	sequence        int64 // the last one used
	clientIPRefused bool
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
	if o.Action == "" {
		o.Action = V2
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	z := &Zego{
		o:         o,
		budget:    newBudget(o.Rate),
		endpoints: newEndpoints(o.Endpoints),
		clock:     &signingClock{now: o.Now, warn: o.Warn},
		client: &http.Client{
			Transport: o.Transport,
			// A redirect would carry the signed query to somewhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	z.signer.Store(&z.o.Signer)
	return z
}

// SetSecret has calls signed with another server secret of the same AppID from now on. It
// may be called at any time; calls that are under way are not touched.
func (z *Zego) SetSecret(secret string) {
	signer := NewSigner(z.o.Signer.appID, secret)
	z.signer.Store(&signer)
}

// Skew is how far this machine's clock was ahead of ZEGO's at the last answer;
// false before the first.
func (z *Zego) Skew() (ahead time.Duration, measured bool) { return z.clock.lastSkew() }

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

// Dispatch asks for the nodes of a stream. It blocks for the budget, for another
// request of the same StreamId, then for at most the timeout per endpoint, and no
// longer than ctx. Its errors match
// *Error, and if ctx ended also the cause of that.
func (z *Zego) Dispatch(ctx context.Context, r Request) (Answer, error) {
	id, err := z.o.sentID(r.StreamID)
	if err != nil {
		return Answer{}, &Error{Verdict: ThisStream, Err: err}
	}
	last := &Error{Verdict: Operator, Err: errors.New("no endpoint of the API is configured")}
	for _, endpoint := range z.endpoints.inTurn() {
		answer, err := z.askAndMend(ctx, endpoint, id, r)
		if err == nil {
			z.endpoints.answered(endpoint)
			return answer, nil
		}
		if ctx.Err() != nil {
			return Answer{}, &Error{Err: fmt.Errorf("%w: %w", errCalledOff, context.Cause(ctx))}
		}
		last = err
		if !helpsElsewhere(err) {
			break
		}
		z.endpoints.failed(endpoint)
	}
	return Answer{}, last
}

// askAndMend is one request to one endpoint, and another one if what was wrong
// with the first can be mended here.
func (z *Zego) askAndMend(ctx context.Context, endpoint *url.URL, id string, r Request) (Answer, *Error) {
	for {
		if err := z.budget.wait(ctx, r.Urgency); err != nil {
			return Answer{}, &Error{Err: fmt.Errorf("%w before its turn: %w", errCalledOff, err)}
		}
		done, over := z.turns.take(ctx, id)
		if over != nil {
			return Answer{}, &Error{Err: fmt.Errorf("%w before its turn: %w", errCalledOff, over)}
		}
		signer := z.signer.Load()
		answer, err := z.ask(ctx, endpoint, id, r.Direction)
		done()
		switch {
		case err == nil:
			return answer, nil
		case err.Verdict == Throttled:
			z.budget.slowDown(err.retryAfter)
		case err.Code == codeExpired && z.clock.correct():
			continue
		case err.Verdict == Operator && z.signer.Load() != signer:
			continue // the secret has been changed meanwhile
		case err.Code == codeClientIP && z.dropClientIP():
			continue
		}
		return Answer{}, err
	}
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
func (z *Zego) ask(ctx context.Context, endpoint *url.URL, id string, d Direction) (Answer, *Error) {
	ctx, cancel := context.WithTimeoutCause(ctx, z.o.Timeout, errTimeout)
	defer cancel()

	signer := z.signer.Load()
	query := z.query(signer, id, d)
	private := signer.privacy(query)
	to := *endpoint
	to.RawQuery = query.Encode()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return Answer{}, &Error{Verdict: Operator, Err: errors.New("the API's URL is not one")}
	}
	begun, beganAt := time.Now(), z.o.Now()
	resp, err := z.client.Do(req)
	if err != nil {
		return Answer{}, &Error{Verdict: Again, Err: unreached(ctx, endpoint, private.cause(err))}
	}
	defer resp.Body.Close()
	z.clock.look(resp.Header, beganAt)
	answer, failure := z.readAnswer(resp, private, id)
	if failure != nil && failure.Code == 0 && ctx.Err() != nil {
		failure.Err = unreached(ctx, endpoint, failure.Err)
	}
	answer.Took = time.Since(begun)
	return answer, failure
}

// unreached says which host gave no answer, and why.
func unreached(ctx context.Context, endpoint *url.URL, err error) error {
	if errors.Is(context.Cause(ctx), errTimeout) {
		err = errTimeout
	}
	return fmt.Errorf("%s: %w", endpoint.Host, err)
}
