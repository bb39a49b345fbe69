package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"zegorelay/relay"
)

// pipeWriter is a ResponseWriter whose body is read while it is written.
type pipeWriter struct {
	*httptest.ResponseRecorder
	body io.Writer
}

func (p pipeWriter) Write(b []byte) (int, error) { return p.body.Write(b) }
func (p pipeWriter) Flush()                      {}

// listen subscribes, and returns the messages as lines "event data".
func listen(ctx context.Context, f *feed) <-chan string {
	out, in := io.Pipe()
	context.AfterFunc(ctx, func() { out.Close() })
	go func() {
		defer in.Close()
		f.serve(pipeWriter{httptest.NewRecorder(), in}, httptest.NewRequest(http.MethodGet, "/api/v1/events", nil).WithContext(ctx))
	}()
	messages := make(chan string, 1000)
	go func() {
		defer close(messages)
		var event string
		for lines := bufio.NewScanner(out); lines.Scan(); {
			line := lines.Text()
			if name, ok := strings.CutPrefix(line, "event: "); ok {
				event = name
			} else if data, ok := strings.CutPrefix(line, "data: "); ok {
				messages <- event + " " + data
			} else if line != "" {
				messages <- line
			}
		}
	}()
	return messages
}

func TestTheFeedIsBuiltOnceASecondForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{statuses: []relay.Status{richStatus("cam1", relay.Push)}}
		s := testServer(f)
		ctx, cancel := context.WithCancel(t.Context())
		events := make(chan relay.Event, 10)
		go s.feed.run(ctx, events)
		<-time.After(10*time.Second + time.Millisecond)
		if f.asked > 0 {
			t.Errorf("asked %d times for nobody", f.asked)
		}
		var all []<-chan string
		for range maxSubscribers {
			all = append(all, listen(ctx, s.feed))
		}
		synctest.Wait()
		for range 5 {
			<-time.After(time.Second)
		}
		synctest.Wait()
		if f.asked != 6 { // at once, and five times
			t.Errorf("asked %d times for %d subscribers in 5 s, want 6", f.asked, len(all))
		}
		events <- richEvent(42, relay.EventUpstreamLost)
		synctest.Wait()
		for _, messages := range all {
			if len(messages) != 7 {
				t.Fatalf("got %d messages, want 7", len(messages))
			}
			for range 6 {
				event, data, _ := strings.Cut(<-messages, " ")
				var v streamsView
				if err := json.Unmarshal([]byte(data), &v); event != "streams" || err != nil || v.ItemCount != 1 {
					t.Fatalf("got %s %s: %v", event, data, err)
				}
			}
			if got := <-messages; !strings.HasPrefix(got, `event {"id":42,`) {
				t.Fatalf("got %s", got)
			}
		}
		w := httptest.NewRecorder()
		s.feed.serve(w, httptest.NewRequest(http.MethodGet, "/api/v1/events", nil))
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("one more subscriber got %d", w.Code)
		}
		cancel()
		synctest.Wait()
		if n := len(s.feed.subscribers); n > 0 {
			t.Errorf("%d subscribers are left", n)
		}
	})
}

func TestASubscriberThatDoesNotReadHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testServer(newFake())
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		events := make(chan relay.Event)
		go s.feed.run(ctx, events)
		stuck := s.feed.join()
		good := listen(ctx, s.feed)
		synctest.Wait()
		for i := range uint64(10 * feedRoom) {
			events <- richEvent(i, relay.EventStarted)
			synctest.Wait()
		}
		if len(stuck.events) != feedRoom || len(good) != 10*feedRoom+1 {
			t.Errorf("the one holds %d, the other got %d", len(stuck.events), len(good))
		}
	})
}

func TestTheFeedBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testServer(newFake())
		ctx, cancel := context.WithCancel(t.Context())
		messages := listen(ctx, s.feed)
		<-messages
		begun := time.Now()
		if got := <-messages; got != ": alive" || time.Since(begun) != heartbeat {
			t.Errorf("got %q after %v", got, time.Since(begun))
		}
		cancel()
	})
}

// What the page costs a second, with two hundred streams, whoever looks.
func BenchmarkRefresh(b *testing.B) {
	f := &fake{}
	for i := range 200 {
		st := richStatus(fmt.Sprint("key", i), relay.Push)
		for range 30 {
			st.Events = append(st.Events, richEvent(1, relay.EventStarted))
		}
		f.statuses = append(f.statuses, st)
	}
	s := testServer(f)
	for b.Loop() {
		s.feed.rebuild()
	}
	b.ReportMetric(float64(len(s.feed.newest)), "bytes")
}
