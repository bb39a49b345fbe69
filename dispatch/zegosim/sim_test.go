package zegosim

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
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

func start(t *testing.T, o Options) (*Sim, *clock) {
	t.Helper()
	c := &clock{at: time.Unix(docTime, 0)}
	o.AppID, o.Secret, o.Now = docAppID, docSecret, c.now
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, c
}

// signed is a good call, signed as ZEGO's documents say, with changes: "-"
// leaves a parameter out. Only the time in it is signed anew.
func signed(changes map[string]string) url.Values {
	q := url.Values{
		"Action": {"RTMPDispatchV2"}, "AppId": {strconv.Itoa(docAppID)}, "SignatureNonce": {docNonce},
		"Timestamp": {strconv.Itoa(docTime)}, "SignatureVersion": {"2.0"}, "Signature": {docSignature},
		"StreamId": {"cam1"}, "Sequence": {"1"}, "Type": {"push"},
	}
	if at, ok := changes["Timestamp"]; ok {
		q.Set("Signature", fmt.Sprintf("%x", md5.Sum([]byte(q.Get("AppId")+docNonce+docSecret+at))))
	}
	for name, value := range changes {
		if value == "-" {
			q.Del(name)
		} else {
			q.Set(name, value)
		}
	}
	return q
}

func call(t *testing.T, s *Sim, q url.Values) (e envelope) {
	t.Helper()
	resp, err := http.Get(s.URL() + "?" + q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("HTTP %s", resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestGateway(t *testing.T) {
	at := func(d int) string { return strconv.Itoa(docTime + d) }
	for what, tc := range map[string]struct {
		change map[string]string
		want   int
	}{
		"as documented":              {nil, 0},
		"no action":                  {map[string]string{"Action": "-"}, 100000006},
		"another action":             {map[string]string{"Action": "rtmpdispatchv2"}, 100000007},
		"AppId no number":            {map[string]string{"AppId": "x"}, 100000001},
		"AppId of 33 bits":           {map[string]string{"AppId": "4294967296"}, 100000001},
		"another AppId":              {map[string]string{"AppId": "1"}, 100000010},
		"no time":                    {map[string]string{"Timestamp": "-"}, 100000002},
		"a time in words":            {map[string]string{"Timestamp": "now"}, 100000003},
		"a time in milliseconds":     {map[string]string{"Timestamp": at(0) + "000"}, 100000004},
		"600 s behind":               {map[string]string{"Timestamp": at(-600)}, 0},
		"601 s behind":               {map[string]string{"Timestamp": at(-601)}, 100000004},
		"600 s ahead":                {map[string]string{"Timestamp": at(600)}, 0},
		"601 s ahead":                {map[string]string{"Timestamp": at(601)}, 100000004},
		"no nonce":                   {map[string]string{"SignatureNonce": "-"}, 100000008},
		"another nonce":              {map[string]string{"SignatureNonce": "4fd24687296dd9f4"}, 100000005},
		"no signature":               {map[string]string{"Signature": "-"}, 100000009},
		"a signature in upper case":  {map[string]string{"Signature": strings.ToUpper(docSignature)}, 100000005},
		"no signature version":       {map[string]string{"SignatureVersion": "-"}, 100000013},
		"another signature version":  {map[string]string{"SignatureVersion": "2"}, 100000014},
		"IsTest in words":            {map[string]string{"IsTest": "yes"}, 30004},
		"IsTest without the prefix":  {map[string]string{"IsTest": "true"}, 30009},
		"IsTest with the prefix":     {map[string]string{"IsTest": "TRUE", "StreamId": "zegotest-12345-cam1"}, 0},
		"no StreamId":                {map[string]string{"StreamId": "-"}, 30009},
		"a StreamId with a dot":      {map[string]string{"StreamId": "cam.1"}, 30009},
		"a StreamId of 257":          {map[string]string{"StreamId": strings.Repeat("x", 257)}, 30009},
		"Type in upper case":         {map[string]string{"Type": "PUSH"}, 30010},
		"Type pull":                  {map[string]string{"Type": "pull"}, 0},
		"ClientIP of IPv6":           {map[string]string{"ClientIP": "::1"}, 30011},
		"ClientIP with a port":       {map[string]string{"ClientIP": "1.2.3.4:1"}, 30011},
		"ClientIP as documented":     {map[string]string{"ClientIP": "119.23.242.129"}, 0},
		"no Sequence":                {map[string]string{"Sequence": "-"}, 1006},
		"the gateway comes first":    {map[string]string{"Signature": "x", "StreamId": "-"}, 100000005},
		"and in it the action first": {map[string]string{"Action": "-", "AppId": "-"}, 100000006},
	} {
		t.Run(what, func(t *testing.T) {
			s, _ := start(t, Options{})
			e := call(t, s, signed(tc.change))
			if e.Code != tc.want {
				t.Errorf("got %d, want %d", e.Code, tc.want)
			}
			if id, err := strconv.ParseUint(e.RequestID, 10, 64); err != nil || id <= 1<<53 {
				t.Errorf("RequestId %q", e.RequestID)
			}
			if e.Code != 0 && e.Data != nil {
				t.Errorf("a failure with Data %v", e.Data)
			}
		})
	}
}

func TestGatewayCountsAndTakesTurns(t *testing.T) {
	s, _ := start(t, Options{Nodes: 3})
	var urls []string
	codes := map[int]int{}
	for range 50 {
		e := call(t, s, signed(nil))
		codes[e.Code]++
		if e.Code == 0 {
			urls = append(urls, e.Data.([]any)[0].(string))
		}
	}
	if codes[0] != 40 || codes[1010] != 5 || codes[30002] != 5 {
		t.Errorf("50 calls in a second: got %v, want 40 good ones", codes)
	}
	for i := range urls[1:] {
		if urls[i] == urls[i+1] {
			t.Errorf("the same node twice: %s", urls[i])
		}
	}
	if want := fmt.Sprintf("rtmp://%s/%d/cam1", s.Nodes()[0].Addr(), docAppID); urls[0] != want {
		t.Errorf("got %s, want %s", urls[0], want)
	}
	violations := strings.Join(s.Violations(), "\n")
	if !strings.Contains(violations, "was used twice") || !strings.Contains(violations, "doesn't rise") {
		t.Errorf("a nonce and a sequence were used 50 times: %s", violations)
	}
}

// publish dispatches and publishes; it doesn't wait for anything else.
func publish(t *testing.T, rawURL string) (*rtmp.Upstream, error) {
	t.Helper()
	target, err := rtmp.ParseTarget(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return rtmp.Dialer{}.Publish(ctx, target)
}

func dispatched(t *testing.T, s *Sim) string {
	t.Helper()
	e := call(t, s, signed(nil))
	if e.Code != 0 {
		t.Fatalf("code %d", e.Code)
	}
	return e.Data.([]any)[0].(string)
}

func TestNodeTakesOnlyWhatItWasNamedFor(t *testing.T) {
	s, clock := start(t, Options{Linger: time.Minute})
	good := dispatched(t, s)
	other := strings.Replace(good, s.Nodes()[0].Addr(), s.Nodes()[1].Addr(), 1)
	for what, rawURL := range map[string]string{
		"another node":        other,
		"another StreamId":    good + "2",
		"another application": strings.Replace(good, "/12345/", "/12346/", 1),
	} {
		if _, err := publish(t, rawURL); !refused(err) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if n := len(s.Violations()); n != 3 {
		t.Errorf("%d violations, want 3: %v", n, s.Violations())
	}
	up, err := publish(t, good)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := publish(t, good); !refused(err) {
		t.Errorf("a second publisher: got %v", err)
	}
	if err := up.Unpublish(); err != nil {
		t.Fatal(err)
	}
	_ = up.Serve()
	up, err = publish(t, good)
	if err != nil {
		t.Fatalf("after a goodbye: %v", err)
	}
	up.Close()
	waitEnded(t, s, 2)
	if _, err := publish(t, good); !refused(err) {
		t.Errorf("after an unclean end the name must be held: got %v", err)
	}
	clock.turn(61 * time.Second)
	if up, err = publish(t, good); err != nil {
		t.Errorf("after the linger: %v", err)
	}
	up.Close()
	waitEnded(t, s, 3)
	clock.turn(2 * time.Hour)
	if _, err := publish(t, good); !refused(err) {
		t.Errorf("two hours later: got %v", err)
	}
}

func refused(err error) bool {
	var status *rtmp.StatusError
	return errors.As(err, &status) && status.Code == rtmp.CodePublishBadName
}

// waitEnded waits until n sessions have ended.
func waitEnded(t *testing.T, s *Sim, n int) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		ended := 0
		for _, session := range s.Sessions() {
			if !session.Ended.IsZero() {
				ended++
			}
		}
		if ended >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d sessions have ended, want %d", ended, n)
		}
		<-time.After(time.Millisecond)
	}
}

func TestKillAndRevive(t *testing.T) {
	s, _ := start(t, Options{})
	rawURL := dispatched(t, s)
	up, err := publish(t, rawURL)
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	node := s.Nodes()[0]
	node.Kill()
	if err := up.Serve(); err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("the publisher of a killed node sees %v", err)
	}
	if node.Alive() {
		t.Error("a killed node is alive")
	}
	if _, err := publish(t, rawURL); err == nil {
		t.Error("a killed node takes connections")
	}
	for range 3 {
		if got := dispatched(t, s); !strings.Contains(got, s.Nodes()[1].Addr()) {
			t.Errorf("a dead node was named: %s", got)
		}
	}
	if err := node.Revive(); err != nil {
		t.Fatal(err)
	}
	if again, err := publish(t, rawURL); err != nil {
		t.Errorf("the revived node: %v", err)
	} else {
		again.Close()
	}
	s.Nodes()[0].Kill()
	s.Nodes()[1].Kill()
	if e := call(t, s, signed(nil)); e.Code != 1002 {
		t.Errorf("no node lives: got %d, want 1002", e.Code)
	}
}

func TestChecksAndRecording(t *testing.T) {
	head := rtmp.Message{Type: rtmp.TypeVideo, Payload: []byte("\x17\x00\x00\x00\x00\x01")}
	meta := rtmp.Message{Type: rtmp.TypeData, Payload: rtmp.SetDataFrame([]byte("\x02\x00\x0aonMetaData\x05"))}
	key := func(at uint32) rtmp.Message {
		return rtmp.Message{Type: rtmp.TypeVideo, Timestamp: at, Payload: []byte("\x17\x01\x00\x00\x00k")}
	}
	inter := func(at uint32) rtmp.Message {
		return rtmp.Message{Type: rtmp.TypeVideo, Timestamp: at, Payload: []byte("\x27\x01\x00\x00\x00i")}
	}
	sound := func(at uint32) rtmp.Message {
		return rtmp.Message{Type: rtmp.TypeAudio, Timestamp: at, Payload: []byte("\xaf\x01s")}
	}
	for what, tc := range map[string]struct {
		messages []rtmp.Message
		want     string
	}{
		"a good session":             {[]rtmp.Message{meta, head, key(0), inter(40), inter(80)}, ""},
		"time over 2^32":             {[]rtmp.Message{meta, head, key(0), inter(1 << 30), inter(1 << 31), inter(3 << 30), inter(1<<32 - 10), inter(30)}, ""},
		"no keyframe first":          {[]rtmp.Message{meta, head, inter(0), key(40)}, "the first video frame is no keyframe"},
		"no sequence header":         {[]rtmp.Message{meta, key(0)}, "a video frame before the sequence header"},
		"no metadata":                {[]rtmp.Message{head, key(0)}, "a video frame before the metadata"},
		"sound without its header":   {[]rtmp.Message{meta, head, key(0), sound(0)}, "an AAC frame before its sequence header"},
		"time that begins late":      {[]rtmp.Message{meta, head, key(5000)}, "the session begins at 5000 ms"},
		"time that falls":            {[]rtmp.Message{meta, head, key(0), inter(80), inter(40)}, "video falls from 80 to 40 ms"},
		"tracks that are far apart":  {[]rtmp.Message{meta, head, key(0), inter(1900), {Type: rtmp.TypeAudio, Timestamp: 10, Payload: []byte("\x2f")}}, "audio at 10 ms is far behind 1900 ms"},
		"a keyframe that comes late": {[]rtmp.Message{meta, head, inter(0), inter(40), key(80)}, "the first video frame is no keyframe"},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			var mu sync.Mutex
			var seen []rtmp.Message
			s, _ := start(t, Options{RecordDir: dir, Observe: func(e Event) {
				mu.Lock()
				defer mu.Unlock()
				if e.Kind == MessageReceived {
					seen = append(seen, e.Message)
				}
			}})
			up, err := publish(t, dispatched(t, s))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range tc.messages {
				up.Queue(m)
			}
			if err := errors.Join(up.Flush(), up.Unpublish()); err != nil {
				t.Fatal(err)
			}
			_ = up.Serve()
			waitEnded(t, s, 1)
			s.Close()
			if got := strings.Join(s.Violations(), "\n"); !strings.HasSuffix(got, tc.want) || (tc.want == "") != (got == "") {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if len(seen) != len(tc.messages) {
				t.Errorf("%d messages were observed of %d", len(seen), len(tc.messages))
			}
			file, err := os.Open(filepath.Join(dir, "cam1-1.flv"))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			r, err := rtmp.NewFLVReader(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tc.messages {
				m, err := r.Next()
				if err != nil || m.Type != want.Type || m.Timestamp != want.Timestamp {
					t.Fatalf("recorded %v at %d, %v; want %v at %d", m.Type, m.Timestamp, err, want.Type, want.Timestamp)
				}
			}
		})
	}
}
