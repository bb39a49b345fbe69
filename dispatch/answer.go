package dispatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

const (
	// maxBody is far more than a good answer takes.
	maxBody = 64 << 10

	// maxNodes is how many nodes of an answer are tried.
	maxNodes = 16
)

// Answer is what ZEGO says to a dispatch.
type Answer struct {
	Nodes     []Node // in ZEGO's order, at least one
	RequestID string
	Took      time.Duration // of the call, without the wait for the budget
}

// envelope is the frame of every answer. A Code that is missing or a string is
// no Code, least of all 0: ZEGO sends a number, and what doesn't isn't ZEGO.
type envelope struct {
	Code      *int            `json:"Code"`
	Message   json.RawMessage `json:"Message"`
	RequestID json.RawMessage `json:"RequestId"`
	Data      json.RawMessage `json:"Data"`
}

// readAnswer decodes a response whatever its status: ZEGO doesn't say which
// status comes with a failure.
func (z *Zego) readAnswer(resp *http.Response, private privacy, sentID string) (Answer, *Error) {
	// Not resp.Status: its words are the server's own.
	status := strings.TrimSpace(fmt.Sprintf("HTTP %d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return Answer{}, failed(resp, fmt.Errorf("read the answer: %w", private.cause(err)))
	case len(body) > maxBody:
		return Answer{}, failed(resp, fmt.Errorf("the answer is longer than %d bytes", maxBody))
	}
	var e envelope
	err = json.Unmarshal(body, &e)
	message, id := private.message(text(e.Message)), private.message(text(e.RequestID))
	switch {
	case err != nil && resp.StatusCode/100 == 3:
		return Answer{}, failed(resp, fmt.Errorf("%s: a redirect, which is not followed", status))
	case err != nil:
		return Answer{}, failed(resp, fmt.Errorf("%s with a body that is no answer of ZEGO's", status))
	case e.Code == nil:
		return Answer{}, failed(resp, fmt.Errorf("%s with an answer without a Code", status))
	case *e.Code != 0:
		return Answer{}, refused(resp, *e.Code, message, id)
	case resp.StatusCode != http.StatusOK:
		return Answer{}, failed(resp, fmt.Errorf("%s although the Code is 0", status))
	}
	nodes, err := parseNodes(e.Data, z.place(sentID))
	if err != nil {
		none := refused(resp, noNode, message, id)
		none.Err = err
		return Answer{}, none
	}
	return Answer{Nodes: nodes, RequestID: id}, nil
}

// text is a string's content, a number's digits as they stand (a RequestId is
// too long for a float), and of anything else nothing.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}

// place makes a URL of what an answer names. The old action names an address
// only: application and stream name are the same as in the new one's URLs.
func (z *Zego) place(sentID string) func(named string) string {
	return func(named string) string {
		if _, err := netip.ParseAddrPort(named); err == nil {
			return fmt.Sprintf("rtmp://%s/%d/%s", named, z.o.Signer.appID, sentID)
		}
		return named
	}
}

// parseNodes takes what is usable of Data, at least one node and not too many:
// ZEGO documents an object and shows a list of URLs.
func parseNodes(data json.RawMessage, place func(named string) string) ([]Node, error) {
	var list []any
	if len(data) > 0 && json.Unmarshal(data, &list) != nil {
		var one string
		if json.Unmarshal(data, &one) != nil {
			return nil, errors.New("the answer's Data is neither a list nor a string")
		}
		list = []any{one}
	}
	why := errors.New("the answer's Data is empty")
	var nodes []Node
	for i, item := range list {
		link, ok := item.(string)
		node, err := ParseNode(place(link))
		if !ok {
			err = errors.New("not a string")
		}
		if err != nil {
			why = fmt.Errorf("entry %d of the answer's Data: %w", i+1, err)
			continue
		}
		if nodes = append(nodes, node); len(nodes) == maxNodes {
			break
		}
	}
	if len(nodes) == 0 {
		return nil, why
	}
	return nodes, nil
}

// refused is a failure that ZEGO has a code for.
func refused(resp *http.Response, code int, message, requestID string) *Error {
	verdict := Again
	if c, ok := Lookup(code); ok {
		verdict = c.Verdict
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		verdict = Throttled
	}
	return &Error{
		Verdict: verdict, Code: code, HTTPStatus: resp.StatusCode, Message: message, RequestID: requestID,
		retryAfter: retryAfter(resp.Header),
	}
}

// failed is a failure that only HTTP knows of.
func failed(resp *http.Response, err error) *Error {
	verdict := Again
	switch status := resp.StatusCode; {
	case status == http.StatusTooManyRequests:
		verdict = Throttled
	case status >= 300 && status < 500:
		verdict = Operator // a redirect or a proxy's refusal: the address is wrong
	}
	return &Error{Verdict: verdict, HTTPStatus: resp.StatusCode, Err: err, retryAfter: retryAfter(resp.Header)}
}

// retryAfter is the wait that a server asks for (RFC 9110, §10.2.3), 0 if it
// doesn't. A date is not looked at: clocks differ.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.ParseUint(h.Get("Retry-After"), 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
