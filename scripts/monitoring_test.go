// Package scripts checks what operators load into Prometheus and Grafana.
package scripts

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	metricsFile   = "prometheus/metrics.txt"
	alertsFile    = "prometheus/alerts.yml"
	alertTests    = "prometheus/alerts_test.yml"
	dashboardFile = "grafana/zegorelay.json"
)

// metric is a line of metrics.txt.
type metric struct {
	kind   string
	labels []string
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func metrics(t *testing.T) map[string]metric {
	t.Helper()
	known := make(map[string]metric)
	for line := range strings.Lines(read(t, metricsFile)) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if len(words) < 2 || known[words[0]].kind != "" {
			t.Fatalf("%s: %q", metricsFile, line)
		}
		known[words[0]] = metric{kind: words[1], labels: words[2:]}
	}
	return known
}

// find is the metric that a series is of: histograms have several.
func find(known map[string]metric, series string) (m metric, ok bool) {
	if m, ok = known[series]; ok {
		return m, m.kind != "histogram"
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if name, cut := strings.CutSuffix(series, suffix); cut && known[name].kind == "histogram" {
			return metric{kind: "counter", labels: append([]string{"le"}, known[name].labels...)}, true
		}
	}
	return metric{}, false
}

var (
	aSeries  = regexp.MustCompile(`\bzegorelay_[a-z0-9_]+`)
	aMatcher = regexp.MustCompile(`\b(zegorelay_[a-z0-9_]+)\{([^}]*)\}`)
	aLabel   = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"`)
	aGroup   = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`)
	aRate    = regexp.MustCompile(`\b(rate|increase)\((zegorelay_[a-z0-9_]+)`)
)

// checkExpression holds an expression against the metrics that there are. It knows
// no PromQL; promtool does.
func checkExpression(t *testing.T, known map[string]metric, expr string) {
	t.Helper()
	all := []string{"instance", "job"}
	for _, series := range aSeries.FindAllString(expr, -1) {
		m, ok := find(known, series)
		if !ok {
			t.Errorf("there is no %s, in %s", series, expr)
		}
		all = append(all, m.labels...)
	}
	for _, match := range aMatcher.FindAllStringSubmatch(expr, -1) {
		m, _ := find(known, match[1])
		for _, label := range aLabel.FindAllStringSubmatch(match[2], -1) {
			if !slices.Contains(append([]string{"instance", "job"}, m.labels...), label[1]) {
				t.Errorf("%s has no label %s, in %s", match[1], label[1], expr)
			}
		}
	}
	for _, match := range aGroup.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(match[1], ",") {
			if !slices.Contains(all, strings.TrimSpace(label)) {
				t.Errorf("nothing has a label %s, in %s", label, expr)
			}
		}
	}
	for _, match := range aRate.FindAllStringSubmatch(expr, -1) {
		if m, _ := find(known, match[2]); m.kind != "counter" {
			t.Errorf("%s of %s, which is a %s", match[1], match[2], m.kind)
		}
	}
}

func TestAlertsUseMetricsThatThereAre(t *testing.T) {
	known := metrics(t)
	rules := strings.Split(read(t, alertsFile), "- alert: ")[1:]
	tests := read(t, alertTests)
	if len(rules) < 11 {
		t.Errorf("%d alerts", len(rules))
	}
	for _, rule := range rules {
		name, rest, _ := strings.Cut(rule, "\n")
		_, expr, _ := strings.Cut(rest, "expr: ")
		expr, _, _ = strings.Cut(expr, "labels:")
		checkExpression(t, known, expr)
		if !strings.Contains(tests, "alertname: "+name+"\n") {
			t.Errorf("no test has %s fire", name)
		}
		if !strings.Contains(tests, "alertname: "+name+", exp_alerts: []") {
			t.Errorf("no test has %s not fire", name)
		}
	}
}

type panel struct {
	ID         int
	Type       string
	Title      string
	Datasource struct{ UID string }
	GridPos    struct{ X, Y, W, H int }
	Targets    []struct{ RefID, Expr string }
}

type dashboard struct {
	UID        string
	Panels     []panel
	Templating struct {
		List []struct {
			Name  string
			Query struct{ Query string }
		}
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDashboardUsesMetricsThatThereAre(t *testing.T) {
	known, d := metrics(t), readDashboard(t)
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
		checkExpression(t, known, v.Query.Query)
	}
	if !slices.Equal(variables, []string{"instance", "stream"}) || d.UID != "zegorelay" {
		t.Errorf("%s has the variables %v", d.UID, variables)
	}
	for _, p := range d.Panels {
		if p.Type == "row" {
			continue
		}
		if p.Datasource.UID != "${DS_PROMETHEUS}" || len(p.Targets) == 0 {
			t.Errorf("%s: %d expressions for %s", p.Title, len(p.Targets), p.Datasource.UID)
		}
		for _, target := range p.Targets {
			checkExpression(t, known, target.Expr)
			checkVariables(t, known, target.Expr)
		}
	}
}

// checkVariables makes sure that what is chosen above the panels counts everywhere.
func checkVariables(t *testing.T, known map[string]metric, expr string) {
	t.Helper()
	if !strings.Contains(expr, `instance=~"$instance"`) {
		t.Errorf("not of the chosen instance: %s", expr)
	}
	for _, match := range aMatcher.FindAllStringSubmatch(expr, -1) {
		m, _ := find(known, match[1])
		isSum := strings.HasPrefix(expr, "sum by (instance)")
		if slices.Contains(m.labels, "stream") && !isSum && !strings.Contains(match[2], `stream=~"$stream"`) {
			t.Errorf("not of the chosen stream: %s", expr)
		}
	}
}

// Panels stand beside and below each other, and not on each other.
func TestDashboardLayout(t *testing.T) {
	taken := make(map[[2]int]string)
	ids := make(map[int]bool)
	for _, p := range readDashboard(t).Panels {
		if ids[p.ID] || p.Title == "" || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d %q at %+v", p.ID, p.Title, p.GridPos)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s is on %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// The dashboard's expressions are PromQL: promtool reads them as rules. scripts/test
// says where promtool is.
func TestDashboardExpressionsAreValid(t *testing.T) {
	promtool := os.Getenv("PROMTOOL")
	if promtool == "" {
		t.Skip("PROMTOOL is not set: run scripts/test rules")
	}
	rules := "groups:\n- name: dashboard\n  rules:\n"
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			expr := strings.ReplaceAll(target.Expr, "$__rate_interval", "1m")
			rules += fmt.Sprintf("  - record: panel_%d_%s\n    expr: %q\n", p.ID, target.RefID, expr)
		}
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
