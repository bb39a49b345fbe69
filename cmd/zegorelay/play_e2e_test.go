//go:build e2e

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
	"zegorelay/relay/rtmp"
)

// flvTags reads the pictures and sounds of an FLV file, as far as it goes.
func flvTags(t *testing.T, file string) []rtmp.Message {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	flv, err := rtmp.NewFLVReader(f)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var all []rtmp.Message
	for {
		m, err := flv.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // a player that was ended cuts its file
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if k := m.Inspect().Kind; m.Type != rtmp.TypeData && (k == rtmp.Frame || k == rtmp.Keyframe) {
			all = append(all, m)
		}
	}
}

// checkPart holds what a player recorded against what the encoder wrote: an
// unbroken part of it, bit for bit, that is not too short.
func checkPart(t *testing.T, who string, got, sent []rtmp.Message, least int) {
	t.Helper()
	byType := func(all []rtmp.Message, typ rtmp.Type) (some []rtmp.Message) {
		for _, m := range all {
			if isEnd := typ == rtmp.TypeVideo && m.Payload[1] == 2; m.Type == typ && !isEnd { // muxers write that one
				some = append(some, m)
			}
		}
		return some
	}
	// Muxers interleave tracks as they like: each track is held by itself.
	for _, typ := range []rtmp.Type{rtmp.TypeVideo, rtmp.TypeAudio} {
		got, sent := byType(got, typ), byType(sent, typ)
		if len(got) < least {
			t.Errorf("%s: %d messages of %v, want %d", who, len(got), typ, least)
			continue
		}
		from := 0
		for from < len(sent) && string(sent[from].Payload) != string(got[0].Payload) {
			from++
		}
		for i, m := range got {
			if from+i >= len(sent) || string(sent[from+i].Payload) != string(m.Payload) {
				t.Errorf("%s: %v %d of %d is not what was sent as number %d of %d", who, typ, i, len(got), from+i, len(sent))
				break
			}
			if i > 0 && int32(m.Timestamp-got[i-1].Timestamp) < 0 {
				t.Errorf("%s: the time of %v falls from %d to %d", who, typ, got[i-1].Timestamp, m.Timestamp)
			}
		}
	}
}

// checkDecodes decodes a recording and stops at any error.
func checkDecodes(t *testing.T, file string) {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-xerror", "-nostdin", "-i", file, "-f", "null", "-").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%s doesn't decode: %v\n%s", filepath.Base(file), err, out)
	}
}

// Real players, of what ZEGO has and of what is published here.
func TestE2EPlayers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sim := startSim(t, &recorder{}, "")
	p := start(t, sim)
	sent := filepath.Join(dir, "sent.flv")
	encoder := ffmpeg(18, "rtmp://"+p.addr+"/live/cam1", sent)
	if err := encoder.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the stream", func() bool { _, ok := current(sim, "cam1"); return ok })

	players := map[string]func(url, file string) *exec.Cmd{
		"ffmpeg": func(url, file string) *exec.Cmd {
			return exec.Command("ffmpeg", "-v", "error", "-nostdin", "-i", url, "-t", "8", "-c", "copy", "-flvflags", "no_duration_filesize", file)
		},
		"gstreamer": func(url, file string) *exec.Cmd {
			return exec.Command("gst-launch-1.0", "-q", "rtmp2src", "num-buffers=500", "location="+url, "!", "filesink", "location="+file)
		},
		"rtmpdump": func(url, file string) *exec.Cmd {
			return exec.Command("rtmpdump", "-q", "-r", url, "--live", "-o", file) // to the stream's end
		},
	}
	var work sync.WaitGroup
	files := make(map[string]string)
	for name, player := range players {
		for _, app := range []string{"pull", "live"} {
			file := filepath.Join(dir, name+"-"+app+".flv")
			files[name+" of "+app] = file
			cmd := player("rtmp://"+p.addr+"/"+app+"/cam1", file)
			work.Go(func() {
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Errorf("%s of %s: %v %s", name, app, err, out)
				}
			})
		}
	}
	work.Wait()
	if err := encoder.Wait(); err != nil {
		t.Errorf("the encoder: %v", err)
	}
	all := flvTags(t, sent)
	for who, file := range files {
		checkPart(t, who, flvTags(t, file), all, 150)
		checkDecodes(t, file)
	}
	if plays := sim.Plays(); len(plays) != 1 {
		t.Errorf("%d play sessions at nodes for three players", len(plays))
	}
	for _, v := range sim.Violations() {
		t.Error(v)
	}
	p.terminate()
}

// The node that gives a stream dies five times in 30 s: players stay, and lose
// nothing.
func TestE2EPlaybackSurvivesNodeDeaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sim := startSim(t, &recorder{}, "")
	p := start(t, sim)
	sent, got := filepath.Join(dir, "sent.flv"), filepath.Join(dir, "got.flv")
	encoder := ffmpeg(36, "rtmp://"+p.addr+"/live/cam1", sent)
	if err := encoder.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the stream", func() bool { _, ok := current(sim, "cam1"); return ok })
	player := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-i", "rtmp://"+p.addr+"/pull/cam1", "-t", "30",
		"-c", "copy", "-flvflags", "no_duration_filesize", got)
	said := &lockedBuffer{}
	player.Stderr = said
	if err := player.Start(); err != nil {
		t.Fatal(err)
	}
	arrivals := watchArrivals(t, "rtmp://"+p.addr+"/pull/cam1")
	for range 5 {
		<-time.After(5 * time.Second)
		plays := sim.Plays()
		last := plays[len(plays)-1]
		// Nodes carry the push, too, which is not to be disturbed here: only plays end.
		if n := sim.NodeAt(last.Node).EndPlays("cam1", zegosim.ResetSession); n != 1 {
			t.Errorf("%d play sessions at the node", n)
		}
		died := time.Now()
		waitFor(t, "another session", func() bool { return len(sim.Plays()) > len(plays) })
		<-time.After(time.Second)
		t.Logf("the gap at this death: %v", arrivals.gapAt(died).Round(time.Millisecond))
	}
	if err := player.Wait(); err != nil {
		t.Errorf("the player: %v\n%s", err, said)
	}
	if err := encoder.Wait(); err != nil {
		t.Errorf("the encoder: %v", err)
	}
	checkPart(t, "ffmpeg", flvTags(t, got), flvTags(t, sent), 800)
	checkDecodes(t, got)
	if n := strings.Count(p.log.String(), `"player joined"`); n != 2 {
		t.Errorf("%d players joined, want 2: none had to come again", n)
	}
	for _, v := range sim.Violations() {
		t.Error(v)
	}
	p.terminate()
}

// arrivals are the times at which messages came to a player of our own.
type arrivals struct {
	mu    sync.Mutex
	times []time.Time
}

func watchArrivals(t *testing.T, url string) *arrivals {
	t.Helper()
	target, err := rtmp.ParseTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	up, err := rtmp.Dialer{}.Connect(ctx, target)
	if err == nil {
		err = up.Play(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { up.Close() })
	a := &arrivals{}
	go func() {
		for {
			if _, err := up.Read(); err != nil {
				return
			}
			a.mu.Lock()
			a.times = append(a.times, time.Now())
			a.mu.Unlock()
		}
	}()
	return a
}

// gapAt is the longest time without a message within a second of at.
func (a *arrivals) gapAt(at time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	var most time.Duration
	for i := 1; i < len(a.times); i++ {
		if since := a.times[i].Sub(at); since > 0 && since < time.Second {
			most = max(most, a.times[i].Sub(a.times[i-1]))
		}
	}
	return most
}

// A player that is early, and one of a stream that never comes.
func TestE2EPlayersWait(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sim := startSim(t, &recorder{}, "")
	p := start(t, sim, "ZEGORELAY_PULL_WAIT=6s")
	file := filepath.Join(dir, "early.flv")
	early := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-i", "rtmp://"+p.addr+"/pull/cam1", "-t", "3", "-c", "copy", file)
	if err := early.Start(); err != nil {
		t.Fatal(err)
	}
	<-time.After(2 * time.Second)
	encoder := ffmpeg(8, "rtmp://"+p.addr+"/live/cam1", "")
	if err := encoder.Start(); err != nil {
		t.Fatal(err)
	}
	for _, player := range [][]string{
		{"ffmpeg", "-v", "error", "-nostdin", "-i", "rtmp://" + p.addr + "/pull/nobody", "-f", "null", "-"},
		{"rtmpdump", "-r", "rtmp://" + p.addr + "/pull/nobody", "-o", "/dev/null"},
	} {
		begun := time.Now()
		out, err := exec.Command(player[0], player[1:]...).CombinedOutput()
		if took := time.Since(begun); err == nil || took < 5*time.Second || took > 9*time.Second {
			t.Errorf("%s of a stream that isn't there: %v after %v\n%s", player[0], err, took, out)
		}
		t.Logf("%s says: %s", player[0], strings.TrimSpace(string(out)))
	}
	if err := early.Wait(); err != nil {
		t.Errorf("the early player: %v\n%s", err, p.log)
	}
	checkDecodes(t, file)
	_ = encoder.Wait()
	p.terminate()
}
