package zegosim

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"zegorelay/relay/rtmp"
)

// Vector V0 of ZEGO's documents: with these, the signature is the printed one.
const (
	docAppID     = 12345
	docNonce     = "4fd24687296dd9f3"
	docSecret    = "9193cc662a4c0ec135ec71fb57194b38"
	docTime      = 1615186943
	docSignature = "43e5cfcca828314675f91b001390566a"

	// patience is how long a test waits for what must come.
	patience = 10 * time.Second
)

// clock is a wall clock that tests turn.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) turn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// zego is a Sim with its clock and its events, and a client's memory of what it
// has used up.
type zego struct {
	*Sim
	t      *testing.T
	clock  *clock
	client *http.Client
	dial   rtmp.DialFunc // nil: TCP
	events chan Event
	calls  int
}

func start(t *testing.T, o Options) *zego {
	t.Helper()
	z := &zego{
		t: t, clock: &clock{at: time.Unix(docTime, 0)}, events: make(chan Event, 1000),
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
	o.AppID, o.Secret, o.Now = docAppID, docSecret, z.clock.now
	o.Observe = func(e Event) { z.events <- e }
	var err error
	if z.Sim, err = Start(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { z.Close() })
	return z
}

// wait returns the next event of a kind.
func (z *zego) wait(kind EventKind) Event {
	z.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e := <-z.events:
			if e.Kind == kind {
				return e
			}
		case <-timeout:
			z.t.Fatalf("in vain waited for an event of kind %d", kind)
		}
	}
}

// sign is the signature as ZEGO's documents tell it: the md5 of four texts.
func sign(appID, nonce, secret, timestamp string) string {
	sum := md5.Sum([]byte(appID + nonce + secret + timestamp))
	return fmt.Sprintf("%x", sum)
}

// signed is a good call at the time of the documents, with changes: "-" leaves a
// parameter out. It is signed after the changes unless they name a signature.
func signed(changes map[string]string) url.Values {
	q := url.Values{
		"Action": {"RTMPDispatchV2"}, "AppId": {strconv.Itoa(docAppID)}, "SignatureNonce": {docNonce},
		"Timestamp": {strconv.Itoa(docTime)}, "SignatureVersion": {"2.0"},
		"StreamId": {"cam1"}, "Sequence": {"1"}, "Type": {"push"},
	}
	change := func(name, value string) {
		if value == "-" {
			q.Del(name)
		} else {
			q.Set(name, value)
		}
	}
	for name, value := range changes {
		change(name, value)
	}
	q.Set("Signature", sign(q.Get("AppId"), q.Get("SignatureNonce"), docSecret, q.Get("Timestamp")))
	if value, ok := changes["Signature"]; ok {
		change("Signature", value)
	}
	return q
}

// fetch makes a call and returns status and body.
func (z *zego) fetch(path string) (status int, body []byte, err error) {
	resp, err := z.client.Get(z.URL() + path)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// get is a fetch that must succeed.
func (z *zego) get(path string) (status int, body []byte) {
	z.t.Helper()
	status, body, err := z.fetch(path)
	if err != nil {
		z.t.Fatal(err)
	}
	return status, body
}

// ask makes a dispatch.
func (z *zego) ask(q url.Values) (e envelope) {
	z.t.Helper()
	status, body := z.get("?" + q.Encode())
	if status != http.StatusOK {
		z.t.Fatalf("HTTP %d", status)
	}
	if err := json.Unmarshal(body, &e); err != nil {
		z.t.Fatalf("%v in %s", err, body)
	}
	return e
}

// dispatched asks for a node of cam1 as a good client does, every time anew, and
// returns its URL. Changes are as in signed.
func (z *zego) dispatched(changes map[string]string) string {
	z.t.Helper()
	z.calls++
	all := map[string]string{
		"Timestamp":      strconv.FormatInt(z.clock.now().Unix(), 10),
		"SignatureNonce": fmt.Sprintf("%016x", z.calls),
		"Sequence":       strconv.Itoa(z.calls),
	}
	for name, value := range changes {
		all[name] = value
	}
	e := z.ask(signed(all))
	if e.Code != codeOK {
		z.t.Fatalf("code %d", e.Code)
	}
	return first(z.t, e.Data)
}

// first is the first node of a Data.
func first(t *testing.T, data any) string {
	t.Helper()
	list, _ := data.([]any)
	if len(list) == 0 {
		t.Fatalf("Data is %v", data)
	}
	text, _ := list[0].(string)
	return text
}

// publish publishes at a URL, up to Publish.Start.
func (z *zego) publish(rawURL string) (*rtmp.Upstream, error) {
	z.t.Helper()
	target, err := rtmp.ParseTarget(rawURL)
	if err != nil {
		z.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(z.t.Context(), patience)
	defer cancel()
	up, err := rtmp.Dialer{Dial: z.dial}.Publish(ctx, target)
	if err == nil {
		z.t.Cleanup(func() { up.Close() })
	}
	return up, err
}

// mustPublish publishes at a URL where that must be possible.
func (z *zego) mustPublish(rawURL string) *rtmp.Upstream {
	z.t.Helper()
	up, err := z.publish(rawURL)
	if err != nil {
		z.t.Fatal(err)
	}
	return up
}

// leave says goodbye and waits for the end.
func (z *zego) leave(up *rtmp.Upstream) {
	z.t.Helper()
	if err := up.Unpublish(); err != nil {
		z.t.Fatal(err)
	}
	if err := up.Serve(); !errors.Is(err, rtmp.ErrPeerClosed) {
		z.t.Errorf("the answer to a goodbye is %v", err)
	}
}

// refused reports whether err is the refusal of a publish, and with these words.
func refused(err error, words string) bool {
	var status *rtmp.StatusError
	return errors.As(err, &status) && status.Code == rtmp.CodePublishBadName && strings.Contains(status.Description, words)
}

// checkViolations wants as many violations as there are words, each with its
// words, in order.
func (z *zego) checkViolations(words ...string) {
	z.t.Helper()
	got := z.Violations()
	if len(got) != len(words) {
		z.t.Errorf("got violations %q, want %q", got, words)
		return
	}
	for i, want := range words {
		if !strings.Contains(got[i], want) {
			z.t.Errorf("got violation %q, want %q", got[i], want)
		}
	}
}
