package dispatch

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Verdict says what an error asks for.
type Verdict int

// Verdicts, from the one that heals by itself to the one that never does.
const (
	Again      Verdict = iota // back off, dispatch again
	Throttled                 // slow down, then dispatch again
	Operator                  // a person must mend the account or the configuration
	ThisStream                // ZEGO refuses this StreamId
)

// String is the verdict in words.
func (v Verdict) String() string {
	switch v {
	case Throttled:
		return "throttled"
	case Operator:
		return "operator"
	case ThisStream:
		return "this stream"
	default:
		return "again"
	}
}

// Error is a dispatch that brought no node. It can be printed anywhere.
type Error struct {
	Verdict    Verdict
	Code       int    // ZEGO's return code, 0 if the answer had none
	HTTPStatus int    // 0 if there was no answer
	Message    string // ZEGO's own words, cut behind 200 bytes, escaped, scrubbed of secrets
	RequestID  string // ZEGO's name for the call: what its support asks for
	Err        error  // what went wrong when it was not ZEGO that said so, else nil

	retryAfter time.Duration // that the server asks for
}

// Error names the code, its meaning and the RequestId.
func (e *Error) Error() string {
	var b strings.Builder
	switch code, known := Lookup(e.Code); {
	case e.Code == 0:
		b.WriteString("the dispatch failed")
	case known:
		fmt.Fprintf(&b, "ZEGO answers %d, %s", e.Code, code.Meaning)
	default:
		fmt.Fprintf(&b, "ZEGO answers %d, an unknown code", e.Code)
		if e.Message != "" {
			fmt.Fprintf(&b, ": %s", e.Message)
		}
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (RequestId %s)", e.RequestID)
	}
	return b.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Advice is one sentence that tells the operator what to do.
func (e *Error) Advice() string {
	if code, ok := Lookup(e.Code); ok && e.Code != 0 {
		return code.Advice
	}
	switch {
	case e.Code != 0:
		return adviceSupport
	case errors.Is(e.Err, errCalledOff):
		return adviceWaits
	case e.Verdict == Operator:
		return adviceEndpoint
	case e.Verdict == Throttled:
		return "lower ZEGORELAY_DISPATCH_RATE"
	default:
		return "check that ZEGORELAY_API_URL can be reached from this machine"
	}
}

// VerdictOf is the verdict in err; errors that carry none heal by themselves.
func VerdictOf(err error) Verdict {
	var e *Error
	if errors.As(err, &e) {
		return e.Verdict
	}
	return Again
}
