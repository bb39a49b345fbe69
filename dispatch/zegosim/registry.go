package zegosim

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	// callsASecond is ZEGO's limit for one AppID.
	callsASecond = 40

	// nonceLife is how long a nonce must not come again: as long as a signature
	// is good.
	nonceLife = maxSkew * time.Second

	// What is kept is bounded, so that a demo may run for days.
	maxRequests   = 10_000
	maxViolations = 100
)

// Request is one call of the API.
type Request struct {
	At       time.Time  // by Options.Now
	Query    url.Values // as sent, but for the Signature
	StreamID string
	Type     string
	Nonce    string
	Sequence int64 // 0 if there is none
	Code     int   // answered; -1 if the answer, or its lack, had none
}

func requestOf(q url.Values, at time.Time) *Request {
	sequence, _ := strconv.ParseInt(q.Get("Sequence"), 10, 64)
	query := make(url.Values, len(q))
	for name, values := range q {
		if name != "Signature" {
			query[name] = values
		}
	}
	return &Request{
		At: at, Query: query, StreamID: q.Get("StreamId"), Type: q.Get("Type"),
		Nonce: q.Get("SignatureNonce"), Sequence: sequence, Code: noCode,
	}
}

// registry is what API and nodes know together. Its zero maps are made by
// newRegistry; mu guards all that follows it.
type registry struct {
	now    func() time.Time
	linger time.Duration

	mu           sync.Mutex
	requests     []*Request
	nonces       map[string]time.Time // when each was last used
	sequences    map[string]int64     // StreamId → the last one
	calls        []time.Time          // of the last second
	refusals     int                  // by the limit
	fault        APIFault
	apiDown      bool
	troubleEnded time.Time // when fault or apiDown last ended
	violations   []string
	more         int // violations that are not kept

	lastNode  map[string]*Node // StreamId → the node that was named last
	grants    map[place]*grant
	plays     []Play
	taken     map[string]bool // StreamIds being published
	heldUntil map[string]time.Time
	count     map[string]int // sessions of a StreamId so far
	sessions  []Session
}

func newRegistry(o Options) *registry {
	return &registry{
		now:       o.Now,
		linger:    o.Linger,
		nonces:    make(map[string]time.Time),
		sequences: make(map[string]int64),
		lastNode:  make(map[string]*Node),
		grants:    make(map[place]*grant),
		taken:     make(map[string]bool),
		heldUntil: make(map[string]time.Time),
		count:     make(map[string]int),
	}
}

func (r *registry) violate(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.violateLocked(format, args...)
}

func (r *registry) violateLocked(format string, args ...any) {
	if len(r.violations) == maxViolations {
		r.more++
		return
	}
	r.violations = append(r.violations, fmt.Sprintf(format, args...))
}

// note keeps a call. The registry owns q from here on.
func (r *registry) note(q *Request) *Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.requests) >= 2*maxRequests {
		r.requests = slices.Clone(r.requests[maxRequests:])
	}
	r.requests = append(r.requests, q)
	return q
}

// answered notes the Code of the answer to q.
func (r *registry) answered(q *Request, code int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q.Code = code
}

// overLimit counts a call and reports whether it is one too many in the second
// that ends with it. ZEGO names two codes for that; they take turns.
func (r *registry) overLimit() (code int, over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.now()
	r.calls = slices.DeleteFunc(r.calls, func(t time.Time) bool {
		return at.Sub(t) >= time.Second || t.After(at) // a clock may be turned back
	})
	r.calls = append(r.calls, at)
	if len(r.calls) <= callsASecond {
		return codeOK, false
	}
	r.refusals++
	if r.refusals%2 == 0 {
		return codeTooOftenToo, true
	}
	return codeTooOften, true
}

// noteNonce objects to a nonce that comes again while its first use could still
// be replayed.
func (r *registry) noteNonce(nonce string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.now()
	if last, ok := r.nonces[nonce]; ok && at.Sub(last) < nonceLife {
		r.violateLocked("nonce %s was used twice", nonce)
	}
	if len(r.nonces) >= maxRequests {
		for old, used := range r.nonces {
			if at.Sub(used) >= nonceLife {
				delete(r.nonces, old)
			}
		}
	}
	r.nonces[nonce] = at
}

// noteSequence objects to a number that is not above the stream's last one.
func (r *registry) noteSequence(streamID string, sequence int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, ok := r.sequences[streamID]; ok && sequence <= last {
		r.violateLocked("sequence %d of %s doesn't rise", sequence, streamID)
	}
	r.sequences[streamID] = sequence
}

func (r *registry) setFault(f APIFault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault != nil && f == nil {
		r.troubleEnded = r.now()
	}
	r.fault = f
}

func (r *registry) currentFault() APIFault {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fault
}

func (r *registry) setAPIDown(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.apiDown && !down {
		r.troubleEnded = r.now()
	}
	r.apiDown = down
}

func (r *registry) allRequests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Request, len(r.requests))
	for i, q := range r.requests {
		all[i] = *q
	}
	return all
}

func (r *registry) allViolations() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return withMore(r.violations, r.more)
}

// withMore is a copy of a list that was cut, with a last line that says so.
func withMore(list []string, more int) []string {
	list = slices.Clone(list)
	if more > 0 {
		list = append(list, fmt.Sprintf("… and %d more", more))
	}
	return list
}
