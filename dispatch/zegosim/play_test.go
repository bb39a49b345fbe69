package zegosim

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"zegorelay/relay/rtmp"
)

// play plays a URL, or says why not.
func play(t *testing.T, rawURL string) (*rtmp.Upstream, error) {
	t.Helper()
	target, err := rtmp.ParseTarget(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	up, err := rtmp.Dialer{}.Connect(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { up.Close() })
	return up, up.Play(ctx)
}

func TestNodeGivesOnlyWhatItWasNamedFor(t *testing.T) {
	z := start(t, Options{})
	pull := map[string]string{"Type": "pull"}
	pushed := z.dispatched(nil)
	up := z.mustPublish(pushed)
	defer up.Close()
	for _, m := range []rtmp.Message{
		{Type: rtmp.TypeVideo, Payload: []byte("\x17\x00\x00\x00\x00\x01\x42")},
		{Type: rtmp.TypeVideo, Payload: []byte("\x17\x01\x00\x00\x00abc")},
	} {
		up.Queue(m)
	}
	if err := up.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := play(t, pushed); err == nil || !strings.Contains(err.Error(), "not dispatched") {
		t.Errorf("a node for pushing: %v", err)
	}
	if v := z.Violations(); !slices.ContainsFunc(v, func(v string) bool { return strings.Contains(v, "was played from") }) {
		t.Errorf("got violations %q", v)
	}
	var viewer *rtmp.Upstream
	for deadline := time.Now().Add(5 * time.Second); ; { // until what was sent is there
		var err error
		if viewer, err = play(t, z.dispatched(pull)); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"\x17\x00\x00\x00\x00\x01\x42", "\x17\x01\x00\x00\x00abc"} {
		if m, err := viewer.Read(); err != nil || string(m.Payload) != want {
			t.Errorf("got %q, %v", m.Payload, err)
		}
	}
	_ = up.Unpublish()
	var status *rtmp.StatusError
	if _, err := viewer.Read(); !errors.As(err, &status) {
		t.Errorf("the stream's end: %v", err)
	}
}

func TestClip(t *testing.T) {
	var clip bytes.Buffer
	flv, err := rtmp.NewFLVWriter(&clip)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint32(3) {
		if err := flv.Write(rtmp.Message{Type: rtmp.TypeVideo, Timestamp: 10 * i, Payload: []byte{0x17, 1, 0, 0, 0, byte(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	z := start(t, Options{Clip: clip.Bytes()})
	viewer, err := play(t, z.dispatched(map[string]string{"Type": "pull"}))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 7 {
		m, err := viewer.Read()
		if err != nil || m.Payload[5] != byte(i%3) || m.Timestamp != uint32(i%3*10+i/3*(20+clipStep)) {
			t.Errorf("message %d: %+v, %v", i, m, err)
		}
	}
	viewer.Unplay()
}
