package admin

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"zegorelay/relay"
)

func scrape(t *testing.T, s *Server) string {
	t.Helper()
	w := ask(s.handler(loopback()), "GET", "/metrics")
	if w.Code != 200 {
		t.Fatalf("got %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestMetricsSayWhatTheRelaySays(t *testing.T) {
	f := newFake()
	s := testServer(f)
	f.dispatched(relay.Push, 70*time.Millisecond)
	f.restored(3 * time.Second)
	text := scrape(t, s)
	for _, want := range []string{
		`zegorelay_build_info{goversion="go1.`, `zegorelay_start_time_seconds 1.`,
		`zegorelay_connections{role="player"} 3`, `zegorelay_connections_total{role="publisher"} 20`,
		`zegorelay_rejects_total{reason="conflict"} 4`, `zegorelay_rejects_total{reason="auth"} 0`,
		`zegorelay_stream_health{direction="push",health="down",stream="cam1"} 1`,
		`zegorelay_stream_health{direction="push",health="ok",stream="cam1"} 0`,
		`zegorelay_stream_publisher_connected{stream="cam1"} 1`, `zegorelay_stream_publisher_connects_total{stream="cam1"} 3`,
		`zegorelay_stream_publisher_disconnects_total{reason="reset",stream="cam1"} 2`,
		`zegorelay_stream_publisher_disconnects_total{reason="eof",stream="cam9"} 0`,
		`zegorelay_stream_upstream_connected{direction="push",stream="cam1"} 0`,
		`zegorelay_stream_upstream_connects_total{direction="push",result="ok",stream="cam1"} 3`,
		`zegorelay_stream_upstream_state{direction="push",state="waiting",stream="cam1"} 1`,
		`zegorelay_stream_upstream_state{direction="pull",state="playing",stream="both"} 0`,
		`zegorelay_stream_outage_seconds_total{stream="cam1"} 1.8`,
		`zegorelay_stream_received_bytes_total{stream="cam1"} 1000`, `zegorelay_stream_received_bytes_total{stream="both"} 2000`,
		`zegorelay_stream_sent_bytes_total{direction="push",stream="cam1"} 900`,
		`zegorelay_stream_sent_bytes_total{direction="pull",stream="both"} 777`,
		`zegorelay_stream_messages_total{stream="cam1",track="video"} 70`,
		`zegorelay_stream_dropped_messages_total{reason="age",stream="cam1",track="video"} 50`,
		`zegorelay_stream_dropped_messages_total{reason="slow",stream="cam1",track="audio"} 0`,
		`zegorelay_stream_keyframe_interval_seconds{stream="cam1"} 2`, `zegorelay_stream_video_frames_total{stream="cam1"} 70`,
		`zegorelay_stream_timestamp_jumps_total{stream="cam1",track="audio"} 2`, `zegorelay_stream_av_skew_seconds{stream="cam1"} -0.02`,
		`zegorelay_stream_queue_seconds{stream="cam1"} 0.012`, `zegorelay_stream_queue_bytes{stream="cam1"} 4096`,
		`zegorelay_stream_players{stream="cam1"} 2`, `zegorelay_stream_last_message_timestamp_seconds{stream="cam1",track="video"} 1.`,
		`zegorelay_stream_track_bytes_per_second{stream="cam1",track="video"} 500000`,
		`zegorelay_stream_video_frames_per_second{stream="cam1"} 25`, `zegorelay_stream_replayed_messages_total{stream="cam1"} 5`,
		`zegorelay_stream_lag_seconds{stream="cam1"} 0.034`, `zegorelay_stream_tcp_rtt_seconds{direction="push",stream="cam1"} 0.0056`,
		`zegorelay_stream_advice{direction="push",kind="b_frames",stream="cam1"} 1`,
		`zegorelay_dispatch_requests_total{code="1002",type="push"} 5`, `zegorelay_dispatch_requests_total{code="0",type="pull"} 0`,
		`zegorelay_dispatch_duration_seconds_bucket{type="push",le="0.1"} 1`, `zegorelay_dispatch_throttled_total 1`,
		`zegorelay_stream_restore_seconds_sum 3`, `zegorelay_clock_skew_seconds -1.5`, `zegorelay_log_lines_dropped_total 3`,
		`zegorelay_config_reload_success 1`, `zegorelay_backlog_bytes 8192`,
		// cam9 is configured, and nobody has published it.
		`zegorelay_stream_publisher_connected{stream="cam9"} 0`,
		`zegorelay_stream_upstream_connected{direction="push",stream="cam9"} 0`,
		`zegorelay_stream_health{direction="push",health="idle",stream="cam9"} 1`,
		`zegorelay_stream_dropped_messages_total{reason="age",stream="cam9",track="video"} 0`,
		"go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(text, `publisher_connected{stream="`) && strings.Count(text, `zegorelay_stream_publisher_connected{stream="both"}`) != 1 {
		t.Error("a stream that is only played has an encoder's series")
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestMetricsAreNamedByTheBook(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newCollector(newFake(), func() []string { return []string{"cam9"} }))
	s := testServer(newFake())
	s.webhook = newWebhook("http://127.0.0.1/", "", s.o.Log)
	s.registerTimes(registry)
	s.registerProcess(registry)
	problems, err := testutil.GatherAndLint(registry)
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed; promlint was content")
	}
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(scrape(t, s))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

func TestMadeUpNamesAreBounded(t *testing.T) {
	const over = 50
	f := &fake{}
	for i := range maxNames + over {
		st := richStatus(fmt.Sprintf("key%04d", i), relay.Push)
		st.Since = testTime.Add(time.Duration(i) * time.Second)
		f.statuses = append(f.statuses, st)
	}
	late := richStatus("cam1", relay.Push) // configured: has its own in any case
	late.Since = testTime.Add(time.Hour)
	f.statuses = append(f.statuses, late)
	text := scrape(t, testServer(f))
	for want, n := range map[string]int{
		"zegorelay_stream_queue_bytes{":                                               maxNames + 3, // _other, cam1, cam9
		fmt.Sprintf(`zegorelay_stream_queue_bytes{stream="_other"} %d`, over*4096):    1,
		`zegorelay_stream_queue_seconds{stream="_other"} 0.012`:                       1, // the highest
		`zegorelay_stream_queue_bytes{stream="key0000"} 4096`:                         1, // the first come
		`zegorelay_stream_queue_bytes{stream="cam1"} 4096`:                            1,
		fmt.Sprintf(`zegorelay_stream_queue_bytes{stream="key%04d"}`, maxNames):       0,
		fmt.Sprintf(`zegorelay_stream_publisher_connected{stream="_other"} %d`, over): 1,
		fmt.Sprintf(`zegorelay_stream_players{stream="_other"} %d`, over*2):           1,
	} {
		if got := strings.Count(text, want); got != n {
			t.Errorf("%s: %d times, want %d", want, got, n)
		}
	}
}

func TestOddNamesDontSpoilTheScrape(t *testing.T) {
	f := &fake{}
	for _, name := range []string{"", "a\xffb", "a\xffb", "quo\"te\n"} { // the same one twice
		f.statuses = append(f.statuses, richStatus(name, relay.Push))
	}
	text := scrape(t, testServer(f))
	for _, want := range []string{`{stream="_other"} 4096`, `{stream="a?b"} 8192`, `{stream="quo\"te\n"} 4096`} {
		if !strings.Contains(text, "zegorelay_stream_queue_bytes"+want) {
			t.Errorf("no %s", want)
		}
	}
}

func BenchmarkScrape(b *testing.B) {
	f := &fake{}
	for i := range maxNames {
		f.statuses = append(f.statuses, richStatus(fmt.Sprint("key", i), relay.Push))
	}
	h := testServer(f).handler(loopback())
	for b.Loop() {
		ask(h, "GET", "/metrics")
	}
}
