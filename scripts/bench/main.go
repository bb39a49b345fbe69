// Command bench puts zegorelay, nginx-rtmp and a plain TCP proxy under the same
// loads, in turns, and says what each costs: README.md tells how to read it.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bench is what all runs share.
type bench struct {
	dir      string // of files that are thrown away
	self     string // this program
	binary   string // zegorelay
	relayCPU string // the core that relays run on
	length   time.Duration
	epoch    time.Time
	filler   *filler
}

// now is the bench's clock.
func (b *bench) now() time.Duration { return time.Since(b.epoch) }

func main() {
	if len(os.Args) == 4 && os.Args[1] == "proxy" {
		fail(proxy(os.Args[2], os.Args[3]))
	}
	rounds := flag.Int("rounds", 3, "rounds; each has every relay under every load once")
	length := flag.Duration("for", 8*time.Second, "window that is measured, of one run")
	which := flag.String("loads", "idle,1xfull,100x4,1x1,10x1,100x1,400x1,1000x1,keyframes,players", "loads, comma list")
	relays := flag.String("relays", "zegorelay,nginx-rtmp,tcp-proxy", "relays, comma list")
	binary := flag.String("binary", "", "zegorelay to measure [built from this checkout]")
	svg := flag.String("svg", "", "file for the plot of growth [none]")
	flag.Parse()
	all, err := run(*rounds, *length, strings.Split(*which, ","), strings.Split(*relays, ","), *binary)
	fail(err)
	fail(report(os.Stdout, all))
	if *svg != "" {
		fail(plot(*svg, all))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(rounds int, length time.Duration, which, relays []string, binary string) (all []result, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b := &bench{dir: dir, self: self, binary: binary, relayCPU: "1", length: length, epoch: time.Now(), filler: newFiller()}
	if binary == "" {
		if err := b.build(); err != nil {
			return nil, err
		}
	}
	if err := pin("0"); err != nil {
		return nil, err
	}
	for round := range rounds {
		for _, l := range loads {
			if !slices.Contains(which, l.name) {
				continue
			}
			for i := range relays {
				name := relays[(i+round)%len(relays)] // nobody always comes first
				if !l.suits(name) {
					continue
				}
				r, err := b.run(name, l)
				if err != nil {
					return nil, err
				}
				fmt.Fprintf(os.Stderr, "round %d  %s\n", round+1, r)
				all = append(all, r)
			}
		}
	}
	return all, nil
}

// suits reports whether a relay can be put under a load: a TCP proxy has no
// players, and there is nothing idle about a process that only copies.
func (l load) suits(relay string) bool {
	return relay != tcpProxy || l.players == 0 && l.streams > 0
}

// pin keeps this process on one core, all threads that there will be included.
func pin(cpu string) error {
	out, err := exec.Command("taskset", "-acp", cpu, strconv.Itoa(os.Getpid())).CombinedOutput()
	if err != nil {
		return fmt.Errorf("taskset: %w\n%s", err, out)
	}
	return nil
}

func (r result) String() string {
	return fmt.Sprintf("%-10s %-10s cpu %6.3f s/GB  %7.0f messages/s  p50 %7v  p99 %7v  lost %d  pss %5.1f MiB  switches/message %.2f  syscalls/message %.2f  collections %d",
		r.load, r.relay, r.cpuPerGB(), r.rate(), r.p50.Round(10*time.Microsecond), r.p99.Round(10*time.Microsecond),
		r.faults+r.missing, float64(r.usage.pss)/(1<<20), r.switchesPerMessage(), float64(r.syscalls)/100, r.usage.gcs)
}

func (r result) cpuPerGB() float64 {
	return r.usage.cpu.Seconds() / (float64(max(r.bytes, 1)) / 1e9)
}

func (r result) rate() float64 { return float64(r.messages) / r.took.Seconds() }

func (r result) switchesPerMessage() float64 {
	return float64(r.usage.switches) / float64(max(r.messages, 1))
}

// report writes the medians, and how they stand to nginx-rtmp's, as a table.
func report(w io.Writer, all []result) error {
	fmt.Fprintln(w, "| load | relay | runs | CPU per GB, to nginx-rtmp | to the TCP proxy | syscalls a message | p99, ms | PSS, MiB | PSS a stream, KiB | of it backlog | lost |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|---|")
	for _, l := range loads {
		for _, name := range []string{zegorelay, nginxRTMP, tcpProxy} {
			of := func(name string) (some []result) {
				for _, r := range all {
					if r.load == l.name && r.relay == name {
						some = append(some, r)
					}
				}
				return some
			}
			mine := of(name)
			if len(mine) == 0 {
				continue
			}
			ratio := func(other string) string {
				theirs := of(other)
				if len(theirs) == 0 || l.streams == 0 {
					return "–"
				}
				return fmt.Sprintf("%.2f", median(mine, result.cpuPerGB)/median(theirs, result.cpuPerGB))
			}
			lost := uint64(0)
			for _, r := range mine {
				lost += r.faults + r.missing
			}
			pss := median(mine, func(r result) float64 { return float64(r.usage.pss) / (1 << 20) })
			backlog := median(mine, func(r result) float64 { return float64(r.usage.backlog) / (1 << 10) })
			_, err := fmt.Fprintf(w, "| %s | %s | %d | %s | %s | %.2f | %.2f | %.1f | %.0f | %.0f | %d |\n", l.name, name, len(mine),
				ratio(nginxRTMP), ratio(tcpProxy),
				median(mine, func(r result) float64 { return float64(r.syscalls) / 100 }),
				median(mine, func(r result) float64 { return float64(r.p99.Microseconds()) / 1000 }),
				pss, pss*1024/float64(max(l.streams, 1)), backlog/float64(max(l.streams, 1)), lost)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func median(all []result, of func(result) float64) float64 {
	values := make([]float64, len(all))
	for i, r := range all {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
