package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"zegorelay/config"
)

// logLine is what the tests look at of a line.
type logLine struct {
	Level   string
	N       *int
	Dropped uint64
	Message string
}

func jsonLogger(w io.Writer) (zerolog.Logger, *logQueue) {
	return newLogger(w, &config.Config{LogFormat: "json"})
}

// A log that nobody reads costs its lines: no call takes long, the oldest go, all
// that are gone are told of once it is read again, and the rest is in order.
func TestLogThatNobodyReadsNeverBlocks(t *testing.T) {
	const lines = 100_000
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	log, queue := jsonLogger(writer)
	longest := time.Duration(0)
	for n := range lines {
		begun := time.Now()
		log.Info().Int("n", n).Msg("something happened")
		longest = max(longest, time.Since(begun))
	}
	// A scheduler that is busy elsewhere may take its time, a full pipe would take all.
	if longest > time.Second {
		t.Errorf("a line took %v", longest)
	}
	dropped := queue.Dropped()
	if dropped < lines/2 || dropped >= lines {
		t.Errorf("%d of %d lines dropped", dropped, lines)
	}

	read := make(chan []logLine)
	go func() { read <- readLines(t, reader) }()
	queue.Close()
	writer.Close()
	got := <-read
	written, told, last := 0, uint64(0), -1
	for _, line := range got {
		switch {
		case line.N == nil:
			told += line.Dropped
			if line.Level != "warn" || !strings.Contains(line.Message, "dropped") {
				t.Errorf("a strange line: %+v", line)
			}
			continue
		case *line.N <= last:
			t.Fatalf("line %d came after line %d", *line.N, last)
		case *line.N > last+1 && told == 0:
			t.Errorf("line %d came after line %d, and nobody told of those between", *line.N, last)
		}
		written, last = written+1, *line.N
	}
	if told != dropped || queue.Dropped() != dropped || written != lines-int(dropped) || last != lines-1 {
		t.Errorf("%d lines written, the last %d, %d told to be dropped, want %d, %d and %d",
			written, last, told, lines-int(dropped), lines-1, dropped)
	}
}

func readLines(t *testing.T, r io.Reader) (lines []logLine) {
	in := bufio.NewScanner(r)
	for in.Scan() {
		var line logLine
		if err := json.Unmarshal(in.Bytes(), &line); err != nil {
			t.Errorf("%v in %q", err, in.Bytes())
		}
		lines = append(lines, line)
	}
	return lines
}

// The end of the program waits for a reader, but not for long, and a write that can
// be interrupted is.
func TestLogEndsWithoutItsReader(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	defer writer.Close()
	log, queue := jsonLogger(writer)
	for n := range 2000 {
		log.Info().Int("n", n).Msg("something happened")
	}
	begun := time.Now()
	queue.Close()
	if took := time.Since(begun); took < logDrainTime || took > 5*logDrainTime {
		t.Errorf("Close took %v", took)
	}
	select {
	case <-queue.ended:
	default:
		t.Error("the goroutine goes on")
	}
	held := queue.Dropped()
	log.Info().Msg("too late")
	if got := queue.Dropped(); held == 0 || got != held+1 {
		t.Errorf("%d lines dropped, and one more: %d", held, got)
	}
}

// gate is a file whose writes block while it is shut. It can't be interrupted.
type gate struct {
	mu   sync.Mutex
	open chan struct{}
	text strings.Builder
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.Write(p)
}

// All that was logged before Close is written when it returns, also by a reader that
// comes back just in time; one that doesn't is given up after the drain time.
func TestLogDrains(t *testing.T) {
	for what, tc := range map[string]struct {
		back    time.Duration // when the file takes writes
		took    time.Duration
		written bool
	}{
		"a reader that reads":          {0, 0, true},
		"a reader that was slow":       {logDrainTime - 1, logDrainTime - 1, true},
		"a reader that is gone":        {time.Hour, logDrainTime, false},
		"a reader that comes too late": {logDrainTime + 1, logDrainTime, false},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				file := &gate{open: make(chan struct{})}
				log, queue := jsonLogger(file)
				time.AfterFunc(tc.back, func() { close(file.open) })
				for n := range 100 {
					log.Info().Int("n", n).Msg("something happened")
				}
				begun := time.Now()
				queue.Close()
				if took := time.Since(begun); took != tc.took {
					t.Errorf("Close took %v, want %v", took, tc.took)
				}
				if dropped := queue.Dropped(); (dropped == 0) != tc.written {
					t.Errorf("%d lines dropped", dropped)
				}
				<-file.open
				synctest.Wait()
				if n := strings.Count(file.text.String(), "\n"); tc.written && n != 100 || !tc.written && n > 1 {
					t.Errorf("%d lines written", n)
				}
			})
		})
	}
}

// flaky fails while it is told to.
type flaky struct {
	mu   sync.Mutex
	err  error
	text strings.Builder
}

func (f *flaky) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return 0, f.err
	}
	return f.text.Write(p)
}

func (f *flaky) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// A full disk and a reader that is gone cost the lines of that time.
func TestLogThatCannotBeWritten(t *testing.T) {
	for what, failure := range map[string]error{"a full disk": syscall.ENOSPC, "no reader": syscall.EPIPE} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				file := &flaky{err: failure}
				log, queue := jsonLogger(file)
				defer queue.Close()
				for range 10 {
					log.Info().Msg("lost")
				}
				synctest.Wait()
				if dropped := queue.Dropped(); dropped != 10 {
					t.Errorf("%d lines dropped, want 10", dropped)
				}
				file.fail(nil)
				log.Info().Msg("kept")
				log.Info().Msg("kept, too")
				synctest.Wait()
				lines := readLines(t, strings.NewReader(file.text.String()))
				if len(lines) != 3 || lines[0].Dropped != 10 || lines[1].Message != "kept" || lines[2].Message != "kept, too" {
					t.Errorf("written: %+v", lines)
				}
			})
		})
	}
}

func TestLogOnAFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if errors.Is(err, os.ErrNotExist) && runtime.GOOS != "linux" {
		t.Skip("there is no /dev/full")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	log, queue := jsonLogger(full)
	for range 100 {
		log.Info().Msg("lost")
	}
	queue.Close()
	if dropped := queue.Dropped(); dropped != 100 {
		t.Errorf("%d lines dropped, want 100", dropped)
	}
}

// Whoever logs at once with others keeps the order of its own lines, and lines stay
// whole.
func TestLogKeepsLinesWhole(t *testing.T) {
	file := &flaky{}
	log, queue := jsonLogger(file)
	var loggers sync.WaitGroup
	for who := range 8 {
		loggers.Go(func() {
			for n := range 200 {
				log.Info().Int("n", n).Msg(fmt.Sprint(who))
			}
		})
	}
	loggers.Wait()
	queue.Close()
	next := make(map[string]int)
	for _, line := range readLines(t, strings.NewReader(file.text.String())) {
		if line.N == nil || *line.N != next[line.Message] {
			t.Fatalf("line %+v, want number %d", line, next[line.Message])
		}
		next[line.Message]++
	}
	for who, n := range next {
		if n != 200 || len(next) != 8 {
			t.Errorf("%d lines of %s, which is one of %d", n, who, len(next))
		}
	}
}
