package dispatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxBody is far more than a good answer takes.
const maxBody = 64 << 10

// Answer is what ZEGO says to a dispatch.
type Answer struct {
	Nodes     []Node // in ZEGO's order, at least one
	RequestID string
	Took      time.Duration // of the call, without the wait for the budget
}

// envelope is the frame of every answer. RequestId and Data come in several
// types, and a Code that is missing is not 0.
type envelope struct {
	Code      *int            `json:"Code"`
	Message   string          `json:"Message"`
	RequestID json.RawMessage `json:"RequestId"`
	Data      json.RawMessage `json:"Data"`
}

// readAnswer decodes a response whatever its status: ZEGO doesn't say which
// status comes with a failure.
func readAnswer(resp *http.Response, secrets ...string) (Answer, *Error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return Answer{}, failed(resp, fmt.Errorf("read the answer: %w", withoutURL(err)))
	case len(body) > maxBody:
		return Answer{}, failed(resp, fmt.Errorf("the answer is longer than %d bytes", maxBody))
	}
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return Answer{}, failed(resp, fmt.Errorf("HTTP %s with a body that is no answer of ZEGO's", resp.Status))
	}
	id := scrub(string(bytes.Trim(e.RequestID, `"`)), secrets...)
	switch {
	case e.Code == nil:
		return Answer{}, failed(resp, fmt.Errorf("HTTP %s with an answer without a Code", resp.Status))
	case *e.Code != 0:
		return Answer{}, refused(resp, *e.Code, scrub(e.Message, secrets...), id)
	case resp.StatusCode != http.StatusOK:
		return Answer{}, failed(resp, fmt.Errorf("HTTP %s although the Code is 0", resp.Status))
	}
	nodes, err := parseNodes(e.Data)
	if len(nodes) == 0 {
		none := refused(resp, noNode, scrub(e.Message, secrets...), id)
		none.Err = err
		return Answer{}, none
	}
	return Answer{Nodes: nodes, RequestID: id}, nil
}

// parseNodes takes what is usable of Data: ZEGO documents an object and shows
// a list of URLs.
func parseNodes(data json.RawMessage) ([]Node, error) {
	var list []any
	if err := json.Unmarshal(data, &list); err != nil {
		var one string
		if json.Unmarshal(data, &one) != nil {
			return nil, errors.New("the answer's Data is neither a list nor a string")
		}
		list = []any{one}
	}
	var nodes []Node
	var errs []error
	for _, item := range list {
		text, ok := item.(string)
		if !ok {
			errs = append(errs, errors.New("node URL: not a string"))
			continue
		}
		node, err := ParseNode(text)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		nodes = append(nodes, node)
	}
	// A long list of rubbish needs no long error.
	return nodes, errors.Join(errs[:min(len(errs), 3)]...)
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
	return &Error{Verdict: verdict, Code: code, HTTPStatus: resp.StatusCode, Message: message, RequestID: requestID}
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
	return &Error{Verdict: verdict, HTTPStatus: resp.StatusCode, Err: err}
}
