package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what a process has used, and holds.
type usage struct {
	cpu      time.Duration
	switches uint64 // context switches
	pss      int64  // bytes
	backlog  int64  // bytes of media that it retains, by its own word
	gcs      int    // collections, of a Go program that tells
}

func (r *relay) usage() (u usage, err error) {
	if u.cpu, err = cpuOf(r.pid); err != nil {
		return u, err
	}
	if u.switches, err = switchesOf(r.pid); err != nil {
		return u, err
	}
	if u.pss, err = pssOf(r.pid); err != nil {
		return u, err
	}
	if r.http != "" {
		u.backlog = metricOf(r.http, "zegorelay_backlog_bytes")
	}
	u.gcs = bytes.Count(r.said.bytes(), []byte("gc "))
	return u, nil
}

// cpuOf is user and system time of a process, from /proc/PID/schedstat where it
// is exact, summed over its threads.
func cpuOf(pid int) (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("no threads of %d", pid)
	}
	var sum time.Duration
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has ended
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

func switchesOf(pid int) (uint64, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0, err
	}
	var sum uint64
	for _, file := range files {
		sum += field(file, "voluntary_ctxt_switches:") + field(file, "nonvoluntary_ctxt_switches:")
	}
	return sum, nil
}

func pssOf(pid int) (int64, error) {
	return int64(field(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss:")) << 10, nil
}

// field is the number behind a name at the beginning of a line.
func field(file, name string) uint64 {
	f, err := os.Open(file)
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok {
			n, _ := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}

// metricOf asks for a metric without labels; it is 0 if there is none.
func metricOf(addr, name string) int64 {
	answer, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			n, _ := strconv.ParseFloat(value, 64)
			return int64(n)
		}
	}
	return 0
}

// syscalls counts a process's system calls for a time, by perf. False: perf
// doesn't work here.
func syscalls(pid int, during time.Duration) (n uint64, ok bool) {
	out, err := exec.Command("perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", strconv.Itoa(pid),
		"--", "sleep", fmt.Sprint(during.Seconds())).CombinedOutput()
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "sys_enter") {
			n, err = strconv.ParseUint(strings.Split(line, ",")[0], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
