package admin

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"zegorelay/relay"
)

// The list that alerts and dashboard are held against is what there is, to the
// label.
func TestMetricsAreOnTheList(t *testing.T) {
	const file = "../../scripts/prometheus/metrics.txt"
	text, err := os.ReadFile(file)
	must(t, err)
	var listed []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			words := strings.Fields(line)
			slices.Sort(words[2:])
			listed = append(listed, strings.Join(words, " "))
		}
	}
	real := served(t)
	for _, m := range real {
		if !slices.Contains(listed, m) {
			t.Errorf("%s lacks: %s", file, m)
		}
	}
	for _, m := range listed {
		if !slices.Contains(real, m) {
			t.Errorf("%s has, and the program doesn't: %s", file, m)
		}
	}
}

// served is every metric of ours: name, type, and labels in order.
func served(t *testing.T) (all []string) {
	t.Helper()
	f := newFake()
	live := richStatus("live", relay.Push)
	live.NodeSince = testTime
	f.statuses = append(f.statuses, live)
	s := testServer(f)
	s.webhook = newWebhook("http://127.0.0.1/", "", s.o.Log)
	f.restored(1)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newCollector(f, func() []string { return []string{"cam9"} }))
	s.registerTimes(registry)
	s.registerProcess(registry)
	f.dispatched("push", 1)
	families, err := registry.Gather()
	must(t, err)
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "zegorelay_") {
			continue
		}
		words := []string{family.GetName(), strings.ToLower(family.GetType().String())}
		for _, label := range family.GetMetric()[0].GetLabel() {
			words = append(words, label.GetName())
		}
		slices.Sort(words[2:])
		all = append(all, strings.Join(words, " "))
	}
	return all
}
