package admin

import (
	"cmp"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"zegorelay/relay"
)

const (
	metricPrefix = "zegorelay_"

	// maxNames bounds the label stream: whoever may publish can make up names.
	maxNames = 1000
	// otherName is the label of the streams beyond, summed.
	otherName = "_other"

	maxScrapes = 4 // at a time
)

// metric is a family whose values are read off S at every scrape, with nothing kept in
// between. Where two values have the same labels, merge makes one of them.
type metric[S any] struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string // of a stream's metric: behind stream
	merge      func(a, b float64) float64
	read       func(from *S, give func(v float64, labels ...string))
}

func sum(a, b float64) float64     { return a + b }
func highest(a, b float64) float64 { return max(a, b) }

// newMetrics is the handler of /metrics.
func newMetrics(s *Server) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newCollector(s.o.Relay, s.o.Configured),
	)
	s.registerTimes(registry)
	s.registerProcess(registry)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes,
	})
}

// registerTimes has the relay tell how long dispatches and restorations take.
func (s *Server) registerTimes(registry *prometheus.Registry) {
	dispatches := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    metricPrefix + "dispatch_duration_seconds",
		Help:    "Time that ZEGO's API took to answer a dispatch.",
		Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"type"})
	restores := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    metricPrefix + "stream_restore_seconds",
		Help:    "Time for which a stream had an encoder and no node, whenever that was over.",
		Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
	})
	registry.MustRegister(dispatches, restores)
	for _, d := range []relay.Direction{relay.Push, relay.Pull} {
		dispatches.WithLabelValues(string(d)) // there from the start
	}
	s.o.Relay.ObserveDispatch(func(d relay.Direction, took time.Duration) {
		dispatches.WithLabelValues(string(d)).Observe(took.Seconds())
	})
	s.o.Relay.ObserveRestore(func(took time.Duration) { restores.Observe(took.Seconds()) })
}

// registerProcess registers what the program says of itself.
func (s *Server) registerProcess(registry *prometheus.Registry) {
	gauge := func(name, help string, read func() float64) {
		registry.MustRegister(prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: metricPrefix + name, Help: help}, read))
	}
	counter := func(name, help string, labels prometheus.Labels, read func() uint64) {
		registry.MustRegister(prometheus.NewCounterFunc(
			prometheus.CounterOpts{Name: metricPrefix + name, Help: help, ConstLabels: labels},
			func() float64 { return float64(read()) }))
	}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: metricPrefix + "build_info", Help: "Always 1; the labels say what runs.",
	}, []string{"version", "revision", "goversion"})
	build.WithLabelValues(s.o.Version, s.o.Revision, runtime.Version()).Set(1)
	registry.MustRegister(build)
	gauge("start_time_seconds", "Start of the program, in Unix time.",
		func() float64 { return float64(s.started.UnixMilli()) / 1000 })
	if s.o.Skew != nil {
		gauge("clock_skew_seconds", "How far this machine's clock was ahead of ZEGO's at the last answer; 0 before the first.",
			func() float64 { skew, _ := s.o.Skew(); return skew.Seconds() })
	}
	if s.o.Reload != nil {
		gauge("config_reload_success", "Whether the last reading of the configuration succeeded.",
			func() float64 { ok, _ := s.o.Reload(); return oneIf(ok) })
		gauge("config_last_reload_timestamp_seconds", "When the configuration was last read with success, in Unix time.",
			func() float64 { _, at := s.o.Reload(); return unixSeconds(at) })
	}
	if s.o.LogDropped != nil {
		counter("log_lines_dropped_total", "Log lines given up because nobody took them.", nil, s.o.LogDropped)
	}
	if w := s.webhook; w != nil {
		const name, help = "webhook_events_total", "Events for the webhook, by what became of them."
		counter(name, help, prometheus.Labels{"result": "delivered"}, w.delivered.Load)
		counter(name, help, prometheus.Labels{"result": "failed"}, w.failed.Load)
		counter(name, help, prometheus.Labels{"result": "dropped"}, w.dropped.Load)
	}
}

// collector reads the relay at every scrape.
type collector struct {
	relay      Relay
	configured func() []string // may be nil
	streams    []metric[relay.Status]
	totals     []metric[relay.Totals]
}

func newCollector(from Relay, configured func() []string) *collector {
	c := &collector{relay: from, configured: configured, totals: totalMetrics()}
	c.streams = slices.Concat(streamLifeMetrics(), streamFlowMetrics(), streamMediaMetrics())
	for i := range c.streams {
		c.streams[i].labels = append([]string{"stream"}, c.streams[i].labels...)
	}
	return c
}

// Describe names every family, so that two of one name fail at the start.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for i := range c.streams {
		ch <- c.streams[i].desc()
	}
	for i := range c.totals {
		ch <- c.totals[i].desc()
	}
}

// Collect reads everything once.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	var configured []string
	if c.configured != nil {
		configured = c.configured()
	}
	statuses := withConfigured(c.relay.Streams(), configured)
	names := boundedNames(statuses, configured, maxNames)
	for i := range c.streams {
		m := &c.streams[i]
		s := newSheet(m.merge)
		for j := range statuses {
			m.read(&statuses[j], func(v float64, labels ...string) { s.add(v, names[j], labels...) })
		}
		s.send(ch, m.desc(), m.kind)
	}
	totals := c.relay.Totals()
	for i := range c.totals {
		m := &c.totals[i]
		s := newSheet(sum)
		m.read(&totals, func(v float64, labels ...string) { s.add(v, "", labels...) })
		s.send(ch, m.desc(), m.kind)
	}
}

func (m *metric[S]) desc() *prometheus.Desc {
	return prometheus.NewDesc(metricPrefix+m.name, m.help, m.labels, nil)
}

// sheet is the values of one family in one scrape.
type sheet struct {
	merge  func(a, b float64) float64
	values map[string]float64 // by labels
}

// labelEnd can't be in a label: labels are UTF-8.
const labelEnd = "\xff"

func newSheet(merge func(a, b float64) float64) *sheet {
	if merge == nil {
		merge = sum
	}
	return &sheet{merge: merge, values: make(map[string]float64)}
}

// add adds a value; a stream of "" is no label.
func (s *sheet) add(v float64, stream string, labels ...string) {
	var key strings.Builder
	if stream != "" {
		key.WriteString(stream + labelEnd)
	}
	for _, label := range labels {
		key.WriteString(strings.ToValidUTF8(label, "?") + labelEnd)
	}
	old, ok := s.values[key.String()]
	if ok {
		v = s.merge(old, v)
	}
	s.values[key.String()] = v
}

func (s *sheet) send(ch chan<- prometheus.Metric, desc *prometheus.Desc, kind prometheus.ValueType) {
	for key, v := range s.values {
		labels := strings.Split(key, labelEnd)
		ch <- prometheus.MustNewConstMetric(desc, kind, v, labels[:len(labels)-1]...)
	}
}

// withConfigured adds the configured streams that nobody publishes: their series are
// there before they are needed, or the first increase of a counter would be seen by
// nobody.
func withConfigured(statuses []relay.Status, configured []string) []relay.Status {
	statuses = slices.Clone(statuses)
	for _, name := range configured {
		is := func(st relay.Status) bool { return st.Name == name && st.Direction == relay.Push }
		if !slices.ContainsFunc(statuses, is) {
			statuses = append(statuses, relay.Status{
				Name: name, Direction: relay.Push, Health: relay.Away, State: relay.Idle,
			})
		}
	}
	return statuses
}

// boundedNames are the labels of the statuses: their names as long as there are few that
// are not configured, of which those that have been there longest keep theirs.
func boundedNames(statuses []relay.Status, configured []string, most int) []string {
	order := make([]int, len(statuses))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(statuses[a].Since.Compare(statuses[b].Since), cmp.Compare(statuses[a].Name, statuses[b].Name))
	})
	own := make(map[string]bool, len(configured))
	for _, name := range configured {
		own[name] = true
	}
	names := make([]string, len(statuses))
	for _, i := range order {
		name := strings.ToValidUTF8(statuses[i].Name, "?")
		if name == "" || !own[name] && most == 0 {
			name = otherName
		} else if !own[name] {
			own[name] = true
			most--
		}
		names[i] = name
	}
	return names
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// unixSeconds is 0 for the zero time.
func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
