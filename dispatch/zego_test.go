package dispatch

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	testAppID  = 1234567890
	testSecret = "marker1-00112233445566778899aabb"
)

// zegoAt returns a Zego that asks servers with this handler, and one after the
// other if there are more.
func zegoAt(t *testing.T, o Options, handlers ...http.HandlerFunc) *Zego {
	t.Helper()
	for _, h := range handlers {
		srv := httptest.NewServer(h)
		t.Cleanup(srv.Close)
		u, err := url.Parse(srv.URL + "/")
		if err != nil {
			t.Fatal(err)
		}
		o.Endpoints = append(o.Endpoints, u)
	}
	o.Signer = NewSigner(testAppID, testSecret)
	if o.Rate == 0 {
		o.Rate = 10_000
	}
	return NewZego(o)
}

func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const good = `{"Code":0,"Message":"ok","RequestId":"5094436160208407316","Data":["rtmp://81.69.49.115:1935/1540531164/caodantest"]}`

func TestRequest(t *testing.T) {
	var mu sync.Mutex
	var queries []url.Values
	now := time.Unix(1700000000, 123e6)
	z := zegoAt(t, Options{Now: func() time.Time { return now }}, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method != http.MethodGet || r.URL.Path != "/" {
			t.Errorf("got %s %s", r.Method, r.URL.Path)
		}
		queries = append(queries, r.URL.Query())
		_, _ = io.WriteString(w, good)
	})
	var calls sync.WaitGroup
	for range 50 {
		calls.Go(func() {
			if _, err := z.Dispatch(t.Context(), Request{StreamID: "cam-1_A", Direction: Push}); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	nonces, sequences := map[string]bool{}, map[string]bool{}
	for _, q := range queries {
		nonces[q.Get("SignatureNonce")] = true
		sequences[q.Get("Sequence")] = true
		want := url.Values{
			"Action": {"RTMPDispatchV2"}, "AppId": {"1234567890"}, "SignatureVersion": {"2.0"},
			"Timestamp": {"1700000000"}, "StreamId": {"cam-1_A"}, "Type": {"push"},
			"SignatureNonce": q["SignatureNonce"], "Sequence": q["Sequence"],
			"Signature": {z.o.Signer.Sign(q.Get("SignatureNonce"), 1700000000)},
		}
		if q.Encode() != want.Encode() {
			t.Errorf("got  %s\nwant %s", q.Encode(), want.Encode())
		}
		if len(q.Get("SignatureNonce")) != 16 {
			t.Errorf("nonce %q", q.Get("SignatureNonce"))
		}
	}
	if len(nonces) != 50 || len(sequences) != 50 {
		t.Errorf("%d nonces and %d sequences in 50 calls", len(nonces), len(sequences))
	}
	for i := range int64(50) {
		if s := fmt.Sprint(1700000000123 + i); !sequences[s] {
			t.Errorf("sequence %s was left out", s)
		}
	}
}

// The HTTP transport must not repeat a request by itself when a connection that
// was used before is closed: the nonce would be used twice.
func TestNoRequestIsRepeatedByTheTransport(t *testing.T) {
	var mu sync.Mutex
	nonces := map[string]int{}
	z := zegoAt(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		nonces[r.URL.Query().Get("SignatureNonce")]++
		second := len(nonces) == 2
		mu.Unlock()
		if second {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, good)
	})
	for range 4 {
		_, _ = z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Push})
	}
	if len(nonces) != 4 {
		t.Errorf("%d requests with a nonce of their own, want 4", len(nonces))
	}
	for nonce, n := range nonces {
		if n != 1 {
			t.Errorf("nonce %s was sent %d times", nonce, n)
		}
	}
}

// The secret may change while calls are made; the AppID stays.
func TestSetSecret(t *testing.T) {
	const other = "marker2-ffeeddccbbaa998877665544"
	var mu sync.Mutex
	signed := make(map[string]int)
	z := zegoAt(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		at, _ := strconv.ParseInt(q.Get("Timestamp"), 10, 64)
		mu.Lock()
		defer mu.Unlock()
		for _, secret := range []string{testSecret, other} {
			if NewSigner(testAppID, secret).Sign(q.Get("SignatureNonce"), at) == q.Get("Signature") {
				signed[secret]++
			}
		}
		_, _ = io.WriteString(w, good)
	})
	var calls sync.WaitGroup
	for i := range 40 {
		if i == 20 {
			calls.Wait()
			z.SetSecret(other)
		}
		calls.Go(func() {
			if _, err := z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Push}); err != nil {
				t.Error(err)
			}
			if i >= 20 {
				z.SetSecret(other)
			}
		})
	}
	calls.Wait()
	if signed[testSecret] != 20 || signed[other] != 20 {
		t.Errorf("signed with the first secret: %d, with the other: %d, want 20 and 20", signed[testSecret], signed[other])
	}
}

// A secret that is changed while a request with the old one is under way is used at
// once: the old one's refusal says nothing of it.
func TestSecretChangesUnderARequest(t *testing.T) {
	var z *Zego
	calls := 0
	z = zegoAt(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls == 1 {
			z.SetSecret("ffeeddccbbaa99887766554433221100")
			_, _ = io.WriteString(w, `{"Code":100000005,"Message":"signature","RequestId":"1"}`)
			return
		}
		_, _ = io.WriteString(w, good)
	})
	if _, err := z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Push}); err != nil || calls != 2 {
		t.Errorf("%d calls, %v", calls, err)
	}
}
