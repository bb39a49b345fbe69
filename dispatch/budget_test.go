package dispatch

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// fake is a Zego whose API is a function, in made-up time.
func fake(o Options, api func(q url.Values) (status int, header http.Header, body string)) *Zego {
	o.Signer = NewSigner(testAppID, testSecret)
	o.Endpoints = []*url.URL{{Scheme: "https", Host: "api.example", Path: "/"}}
	o.Transport = transportFunc(func(r *http.Request) (*http.Response, error) {
		status, header, body := api(r.URL.Query())
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}, nil
	})
	return NewZego(o)
}

// worstSecond is the most calls that one second saw.
func worstSecond(calls []time.Time) (most int) {
	slices.SortFunc(calls, time.Time.Compare)
	for i, from := 0, 0; i < len(calls); i++ {
		for calls[i].Sub(calls[from]) >= time.Second {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

// 200 streams lose their nodes in one second: no second sees more calls than the
// budget, everybody is served, in the order of coming, and it takes what it must.
func TestU17TwoHundredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var calls []time.Time
		var order []string
		z := fake(Options{Rate: 10}, func(q url.Values) (int, http.Header, string) {
			mu.Lock()
			defer mu.Unlock()
			calls, order = append(calls, time.Now()), append(order, q.Get("StreamId"))
			return 200, nil, good
		})
		begun := time.Now()
		var streams sync.WaitGroup
		var came []string
		for i := range 200 {
			id := "cam" + string(rune('A'+i/26)) + string(rune('a'+i%26))
			came = append(came, id)
			streams.Go(func() {
				if _, err := z.Dispatch(t.Context(), Request{StreamID: id, Direction: Push, Urgency: Redispatch}); err != nil {
					t.Error(err)
				}
			})
			<-time.After(5 * time.Millisecond)
		}
		streams.Wait()
		if most := worstSecond(calls); most > 10 {
			t.Errorf("%d calls in one second, at most 10 are allowed", most)
		}
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("it took %v, ideal are 20s", took)
		}
		if !slices.Equal(order, came) {
			t.Errorf("served in the order %v", order)
		}
	})
}

// First publishes come before re-dispatches, those before all others, however
// late.
func TestUrgencies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var order []string
		z := fake(Options{Rate: 10}, func(q url.Values) (int, http.Header, string) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, q.Get("StreamId"))
			return 200, nil, good
		})
		var calls sync.WaitGroup
		ask := func(id string, u Urgency) {
			calls.Go(func() {
				if _, err := z.Dispatch(t.Context(), Request{StreamID: id, Direction: Push, Urgency: u}); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		ask("at-once", Other)
		ask("other", Other)
		ask("again1", Redispatch)
		ask("again2", Redispatch)
		ask("first1", FirstPublish)
		ask("first2", FirstPublish)
		calls.Wait()
		if want := []string{"at-once", "first1", "first2", "again1", "again2", "other"}; !slices.Equal(order, want) {
			t.Errorf("got %v, want %v", order, want)
		}
	})
}

// Who is called off before the turn loses nothing for the others.
func TestCalledOffBeforeTheTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := fake(Options{Rate: 1}, func(url.Values) (int, http.Header, string) { return 200, nil, good })
		ask := func(ctx context.Context) error {
			_, err := z.Dispatch(ctx, Request{StreamID: "cam1", Direction: Push})
			return err
		}
		if err := ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := ask(ctx); err == nil || VerdictOf(err) != Again {
			t.Errorf("got %v", err)
		}
		if err := ask(t.Context()); err != nil || time.Since(begun) > time.Second {
			t.Errorf("the next one had its turn after %v: %v", time.Since(begun), err)
		}
	})
}

// When ZEGO says too often the budget is halved for 10 s, and then grows back.
func TestA10TooOften(t *testing.T) {
	for what, answer := range map[string]func() (int, http.Header, string){
		"1010":     func() (int, http.Header, string) { return 200, nil, `{"Code":1010}` },
		"30002":    func() (int, http.Header, string) { return 200, nil, `{"Code":30002}` },
		"HTTP 429": func() (int, http.Header, string) { return 429, nil, `slow down` },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls []time.Time
				refuse := true
				z := fake(Options{Rate: 20}, func(url.Values) (int, http.Header, string) {
					calls = append(calls, time.Now())
					if refuse {
						return answer()
					}
					return 200, nil, good
				})
				ask := func() error {
					_, err := z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Push})
					return err
				}
				if err := ask(); VerdictOf(err) != Throttled {
					t.Fatalf("got %v", err)
				}
				refuse = false
				begun := time.Now()
				for time.Since(begun) < 25*time.Second {
					if err := ask(); err != nil {
						t.Fatal(err)
					}
				}
				within := func(from, to time.Duration) (n int) {
					for _, at := range calls {
						if d := at.Sub(begun); d >= from && d < to {
							n++
						}
					}
					return n
				}
				if n := within(time.Second, 10*time.Second); n < 85 || n > 95 {
					t.Errorf("%d calls from 1 s to 10 s, want 90: half of 20 a second", n)
				}
				if n := within(20*time.Second, 25*time.Second); n < 98 || n > 101 {
					t.Errorf("%d calls from 20 s to 25 s, want 100", n)
				}
			})
		})
	}
}

// Retry-After is honoured, within reason.
func TestA1RetryAfter(t *testing.T) {
	for header, want := range map[string]time.Duration{"7": 7 * time.Second, "86400": time.Minute, "soon": 0, "": 0} {
		synctest.Test(t, func(t *testing.T) {
			refuse := true
			z := fake(Options{Rate: 100}, func(url.Values) (int, http.Header, string) {
				if refuse {
					return 429, http.Header{"Retry-After": {header}}, ""
				}
				return 200, nil, good
			})
			_, err := z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Push})
			if VerdictOf(err) != Throttled {
				t.Fatalf("got %v", err)
			}
			refuse = false
			begun := time.Now()
			if _, err := z.Dispatch(t.Context(), Request{StreamID: "cam2", Direction: Push}); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took < want || took > want+100*time.Millisecond {
				t.Errorf("Retry-After %q: the next call came after %v, want %v", header, took, want)
			}
		})
	}
}
