package main

import (
	"fmt"
	"math"
	"os"
	"strings"
)

const (
	plotWidth, plotHeight = 420, 260
	plotMargin            = 50
)

// curve is one relay's figures against the number of streams.
type curve struct {
	name   string
	colour string
	points [][2]float64 // streams, figure
}

// plot writes two diagrams beside each other, CPU and memory against the number
// of streams of 1 Mbit/s, both axes logarithmic.
func plot(file string, all []result) error {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n", 2*plotWidth, plotHeight+20)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", 2*plotWidth, plotHeight+20)
	diagram(&b, 0, "CPU, % of a core", curves(all, func(r result) float64 { return 100 * r.usage.cpu.Seconds() / r.took.Seconds() }))
	diagram(&b, plotWidth, "memory (PSS), MiB", curves(all, func(r result) float64 { return float64(r.usage.pss) / (1 << 20) }))
	b.WriteString("</svg>\n")
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

func curves(all []result, of func(result) float64) []curve {
	var drawn []curve
	for _, c := range []curve{{name: zegorelay, colour: "#c0392b"}, {name: nginxRTMP, colour: "#2c7a3f"}, {name: tcpProxy, colour: "#34618e"}} {
		for _, l := range loads {
			var runs []result
			for _, r := range all {
				if r.load == l.name && r.relay == c.name && l.bits == 1e6 {
					runs = append(runs, r)
				}
			}
			if len(runs) > 0 {
				c.points = append(c.points, [2]float64{float64(l.streams), median(runs, of)})
			}
		}
		if len(c.points) > 0 {
			drawn = append(drawn, c)
		}
	}
	return drawn
}

func diagram(b *strings.Builder, left int, title string, drawn []curve) {
	least, most := math.Inf(1), 0.0
	for _, c := range drawn {
		for _, p := range c.points {
			least, most = min(least, p[1]), max(most, p[1])
		}
	}
	low, high := math.Floor(math.Log10(max(least, 0.01))), math.Ceil(math.Log10(max(most, 0.1)))
	x := func(streams float64) float64 {
		return float64(left+plotMargin) + math.Log10(streams)/3*(plotWidth-plotMargin-20)
	}
	y := func(v float64) float64 {
		return plotHeight - 30 - (math.Log10(max(v, 0.01))-low)/max(high-low, 1)*(plotHeight-70)
	}
	fmt.Fprintf(b, `<text x="%d" y="20" font-size="13">%s</text>`+"\n", left+plotMargin, title)
	for p := low; p <= high; p++ {
		v := math.Pow(10, p)
		fmt.Fprintf(b, `<line x1="%.0f" x2="%.0f" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>`+"\n",
			x(1), x(1000), y(v), y(v), left+plotMargin-6, y(v)+4, v)
	}
	for _, n := range []float64{1, 10, 100, 1000} {
		fmt.Fprintf(b, `<text x="%.0f" y="%d" text-anchor="middle">%g</text>`+"\n", x(n), plotHeight-12, n)
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">streams of 1 Mbit/s</text>`+"\n", left+plotWidth/2, plotHeight+6)
	for i, c := range drawn {
		var path []string
		for _, p := range c.points {
			path = append(path, fmt.Sprintf("%.1f,%.1f", x(p[0]), y(p[1])))
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x(p[0]), y(p[1]), c.colour)
		}
		fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", strings.Join(path, " "), c.colour)
		fmt.Fprintf(b, `<text x="%.0f" y="%d" fill="%s">%s</text>`+"\n", x(1)+8, 40+14*i, c.colour, c.name)
	}
}
