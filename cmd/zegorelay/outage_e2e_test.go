//go:build e2e

package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
	"zegorelay/relay/rtmp"
)

var outage = flag.Duration("outage", 15*time.Second, "how long all nodes, or the API, are down")

var many = flag.Int("many", 100, "streams in TestE2EAllNodesDead")

// ffmpeg is killed three times and started again within the grace: the node
// keeps one session, whose recording decodes across the seams.
func TestE2EFfmpegRestartsWithinTheGrace(t *testing.T) {
	t.Parallel()
	dir, rec := t.TempDir(), &recorder{}
	sim := startSim(t, rec, dir)
	p := start(t, sim)
	for _, away := range []time.Duration{time.Second, 5 * time.Second, 9 * time.Second} {
		encoder := ffmpeg(20, "rtmp://"+p.addr+"/live/blip", "")
		if err := encoder.Start(); err != nil {
			t.Fatal(err)
		}
		<-time.After(4 * time.Second)
		if err := encoder.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = encoder.Wait()
		<-time.After(away)
	}
	if out, err := ffmpeg(4, "rtmp://"+p.addr+"/live/blip", "").CombinedOutput(); err != nil {
		t.Errorf("ffmpeg: %v\n%s", err, out)
	}
	waitFor(t, "the end of the stream", func() bool { return strings.Contains(p.log.String(), "stream ended") })
	p.terminate()
	sim.Close()

	sessions := sim.Sessions()
	if n := len(sim.Requests()); n != 1 || len(sessions) != 1 || !sessions[0].Clean {
		t.Fatalf("%d dispatches, sessions %+v, want one of each that ended clean\n%s", n, sessions, p.log)
	}
	for _, v := range sim.Violations() {
		t.Error(v)
	}
	last := map[rtmp.Type]uint32{}
	for _, m := range rec.sessions[0] {
		if k := m.Inspect().Kind; k == rtmp.SequenceHeader || k == rtmp.Metadata {
			continue
		}
		if m.Timestamp < last[m.Type] {
			t.Errorf("%v goes back from %d to %d ms", m.Type, last[m.Type], m.Timestamp)
		}
		last[m.Type] = m.Timestamp
	}
	if got := last[rtmp.TypeVideo]; got < 28_000 || got > 36_000 {
		t.Errorf("the last picture is at %d ms, want about 31 s: 4 × 4 and 15 away", got)
	}
	decode(t, filepath.Join(dir, "blip-1.flv"), 400)
}

// All nodes are dead for a while. A hundred streams wait: within the memory that
// they are given, and without asking more often than they may; then all are
// back.
func TestE2EAllNodesDead(t *testing.T) {
	const memory = 128 << 20
	streams := *many
	sim := startSim(t, &recorder{}, "")
	p := start(t, sim, "ZEGORELAY_MEMORY="+strconv.Itoa(memory), "ZEGORELAY_MAX_CONNECTIONS=1000")
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var encoders sync.WaitGroup
	for i := range streams {
		encoders.Go(func() { constantly(ctx, t, fmt.Sprintf("rtmp://%s/live/many%d", p.addr, i)) })
	}
	live := func() bool { return liveStreams(sim) == streams }
	waitFor(t, "all streams to be live", live)

	before := len(sim.Requests())
	for _, n := range sim.Nodes() {
		n.Kill()
	}
	<-time.After(*outage)
	for _, n := range sim.Nodes() {
		if err := n.Revive(); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	waitFor(t, "all streams to be live again", live)
	back := time.Since(begun)

	requests := sim.Requests()[before:]
	for i := 11; i < len(requests); i++ { // one more than the budget, for calls that were late on their way
		if took := requests[i].At.Sub(requests[i-11].At); took < 950*time.Millisecond {
			t.Errorf("12 dispatches within %v, at most 10 a second are allowed", took)
			break
		}
	}
	peak := peakMemory(t, p)
	t.Logf("peak memory %d MiB of %d, %d dispatches, all back after %v", peak>>20, memory>>20, len(requests), back)
	if peak > memory {
		t.Errorf("the process had %d MiB, more than the %d MiB of ZEGORELAY_MEMORY", peak>>20, memory>>20)
	}
	stop()
	encoders.Wait()
	p.terminate()
	for _, v := range sim.Violations() {
		t.Error(v)
	}
}

// The API is down and the node is lost. The encoder is not touched, and the
// stream is live soon after the API's return.
func TestE2EAPIDown(t *testing.T) {
	t.Parallel()
	sim := startSim(t, &recorder{}, "")
	p := start(t, sim)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var encoder sync.WaitGroup
	encoder.Go(func() { constantly(ctx, t, "rtmp://"+p.addr+"/live/patient") })
	live := func() bool { return liveStreams(sim) == 1 }
	waitFor(t, "the stream to be live", live)
	sim.KillAPI()
	for _, n := range sim.Nodes() {
		n.Kill()
	}
	<-time.After(*outage)
	for _, n := range sim.Nodes() {
		if err := n.Revive(); err != nil {
			t.Fatal(err)
		}
	}
	if err := sim.ReviveAPI(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	waitFor(t, "the stream to be live again", live)
	back := time.Since(begun)
	t.Logf("live %v after the API's return, peak memory %d MiB", back, peakMemory(t, p)>>20)
	if back > 2*time.Second {
		t.Errorf("live %v after the API's return", back)
	}
	stop()
	encoder.Wait()
	p.terminate()
	if n := strings.Count(p.log.String(), "encoder started to publish"); n != 1 {
		t.Errorf("the encoder connected %d times", n)
	}
	for _, v := range sim.Violations() {
		t.Error(v)
	}
}

func liveStreams(sim *zegosim.Sim) (n int) {
	for _, s := range sim.Sessions() {
		if s.Ended.IsZero() && s.Messages > 0 {
			n++
		}
	}
	return n
}

// constantly publishes about 1 Mbit/s until ctx ends.
func constantly(ctx context.Context, t *testing.T, rawURL string) {
	target, err := rtmp.ParseTarget(rawURL)
	if err != nil {
		t.Error(err)
		return
	}
	up, err := rtmp.Dialer{}.Publish(ctx, target)
	if err != nil {
		t.Error(err)
		return
	}
	defer up.Close()
	go func() { _ = up.Serve() }()
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	up.Queue(rtmp.Message{Type: rtmp.TypeData, Payload: rtmp.SetDataFrame([]byte("\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09"))})
	up.Queue(rtmp.Message{Type: rtmp.TypeVideo, Payload: []byte("\x17\x00\x00\x00\x00\x01\x42")})
	fill := bytes.Repeat([]byte("x"), 5000)
	for n := 0; ctx.Err() == nil; n++ {
		head := "\x27\x01\x00\x00\x00"
		if n%50 == 0 {
			head = "\x17\x01\x00\x00\x00"
		}
		up.Queue(rtmp.Message{Type: rtmp.TypeVideo, Timestamp: uint32(n * 40), Payload: append([]byte(head), fill...)})
		if err := up.Flush(); err != nil {
			t.Errorf("%s: the encoder was disturbed: %v", rawURL, err)
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	_ = up.Unpublish()
}

// peakMemory is the most that the process ever had resident.
func peakMemory(t *testing.T, p *process) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var kib int
	if _, err := fmt.Sscan(after, &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
