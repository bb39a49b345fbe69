package zegosim

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zegorelay/relay/rtmp"
)

func video(at uint32, payload string) rtmp.Message {
	return rtmp.Message{Type: rtmp.TypeVideo, Timestamp: at, Payload: []byte(payload)}
}

func audio(at uint32, payload string) rtmp.Message {
	return rtmp.Message{Type: rtmp.TypeAudio, Timestamp: at, Payload: []byte(payload)}
}

func data(at uint32, payload string) rtmp.Message {
	return rtmp.Message{Type: rtmp.TypeData, Timestamp: at, Payload: []byte(payload)}
}

// The beginnings of media messages, as FLV has them.
const (
	avcHeader = "\x17\x00\x00\x00\x00\x01"
	avcKey    = "\x17\x01\x00\x00\x00k"
	avcInter  = "\x27\x01\x00\x00\x00i"
	aacHeader = "\xaf\x00\x12\x10"
	aacFrame  = "\xaf\x01s"
	mp3Frame  = "\x2fs"
	h263Key   = "\x12k"
	hevcKey   = "\x91hvc1k" // Enhanced RTMP
	onMeta    = "\x02\x00\x0aonMetaData\x05"
	onText    = "\x02\x00\x06onText\x05"
)

func TestCheck(t *testing.T) {
	meta, head := data(0, string(rtmp.SetDataFrame([]byte(onMeta)))), video(0, avcHeader)
	key, sound := video(0, avcKey), audio(0, aacHeader)
	for what, tc := range map[string]struct {
		messages []rtmp.Message
		want     string
	}{
		"a good session":        {[]rtmp.Message{meta, head, sound, key, audio(0, aacFrame), video(40, avcInter), audio(23, aacFrame)}, ""},
		"sound only":            {[]rtmp.Message{meta, sound, audio(0, aacFrame), audio(23, aacFrame)}, ""},
		"codecs without header": {[]rtmp.Message{meta, video(0, h263Key), audio(0, mp3Frame)}, ""},
		"time over 2^32": {[]rtmp.Message{meta, head, key, video(1<<30, avcInter), video(1<<31, avcInter),
			video(3<<30, avcInter), video(1<<32-10, avcInter), video(30, avcInter)}, ""},
		"data at any time":           {[]rtmp.Message{meta, head, key, video(5000, avcInter), data(0, onText)}, ""},
		"a start at 2 s":             {[]rtmp.Message{meta, head, video(2000, avcKey)}, ""},
		"tracks a second apart":      {[]rtmp.Message{meta, head, sound, key, video(1900, avcInter), audio(900, aacFrame)}, ""},
		"no keyframe first":          {[]rtmp.Message{meta, head, video(0, avcInter), key}, "the first video frame is no keyframe"},
		"a keyframe that comes late": {[]rtmp.Message{meta, head, video(0, avcInter), video(40, avcInter), video(80, avcKey)}, "the first video frame is no keyframe"},
		"no sequence header":         {[]rtmp.Message{meta, key}, "video before its sequence header"},
		"no header of Enhanced RTMP": {[]rtmp.Message{meta, video(0, hevcKey)}, "video before its sequence header"},
		"no header of the sound":     {[]rtmp.Message{meta, head, key, audio(0, aacFrame), audio(23, aacFrame)}, "audio before its sequence header"},
		"no metadata":                {[]rtmp.Message{head, key, video(40, avcInter)}, "video before the metadata"},
		"no metadata of two tracks":  {[]rtmp.Message{head, sound, key, audio(0, aacFrame)}, "video before the metadata"},
		"no metadata of sound only":  {[]rtmp.Message{sound, audio(0, aacFrame)}, "audio before the metadata"},
		"a start above 2 s":          {[]rtmp.Message{meta, head, video(2001, avcKey)}, "the session begins at 2001 ms"},
		"a start below 0":            {[]rtmp.Message{meta, head, video(1<<32-40, avcKey)}, "the session begins at 4294967256 ms"},
		"time that falls":            {[]rtmp.Message{meta, head, key, video(80, avcInter), video(40, avcInter)}, "video falls from 80 to 40 ms"},
		"tracks that are far apart":  {[]rtmp.Message{meta, head, sound, key, video(1900, avcInter), audio(899, aacFrame)}, "audio at 899 ms is far behind 1900 ms"},
	} {
		t.Run(what, func(t *testing.T) {
			var got []string
			c := newCheck(func(format string, args ...any) { got = append(got, fmt.Sprintf(format, args...)) })
			for _, m := range tc.messages {
				c.message(m)
			}
			if all := strings.Join(got, "; "); all != tc.want {
				t.Errorf("got %q, want %q", all, tc.want)
			}
		})
	}
}

// What a node takes is checked, counted, observed and recorded, session by
// session.
func TestNodeRecordsAndObserves(t *testing.T) {
	dir := t.TempDir()
	z := start(t, Options{RecordDir: dir})
	sent := []rtmp.Message{
		data(0, string(rtmp.SetDataFrame([]byte(onMeta)))), video(0, avcHeader), audio(0, aacHeader),
		video(0, avcKey+strings.Repeat("k", 300_000)), audio(10, aacFrame), video(3000, avcInter),
	}
	bytes := 0
	for _, m := range sent {
		bytes += len(m.Payload)
	}
	for nth := 1; nth <= 2; nth++ {
		up := z.mustPublish(z.dispatched(nil))
		if e := z.wait(SessionStarted); e.StreamID != "cam1" || e.Session != nth || z.NodeAt(e.Node) == nil {
			t.Errorf("got %+v", e)
		}
		for _, m := range sent {
			up.Queue(m)
		}
		if err := up.Flush(); err != nil {
			t.Fatal(err)
		}
		for i, want := range sent {
			got := z.wait(MessageReceived).Message
			if got.Type != want.Type || got.Timestamp != want.Timestamp || string(got.Payload) != string(want.Payload) {
				t.Errorf("message %d is not what was sent", i)
			}
		}
		z.leave(up)
		z.wait(SessionEnded)
	}
	if s := z.Sessions()[1]; s.Messages != len(sent) || s.Bytes != int64(bytes) || s.Number != 2 {
		t.Errorf("got %+v, want %d messages of %d bytes", s, len(sent), bytes)
	}
	z.Close()
	z.checkViolations()
	for _, name := range []string{"cam1-1.flv", "cam1-2.flv"} {
		checkFile(t, filepath.Join(dir, name), sent)
	}
}

// checkFile wants a recording of these messages.
func checkFile(t *testing.T, name string, want []rtmp.Message) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := rtmp.NewFLVReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range want {
		got, err := r.Next()
		if err != nil || got.Type != m.Type || got.Timestamp != m.Timestamp || !strings.HasSuffix(string(m.Payload), string(got.Payload)) {
			t.Fatalf("recorded %v at %d, %v; want %v at %d", got.Type, got.Timestamp, err, m.Type, m.Timestamp)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("the file goes on: %v", err)
	}
}

// A violation names stream and session; a recording that can't be is one, and
// doesn't end the session.
func TestViolationsNameTheSession(t *testing.T) {
	z := start(t, Options{RecordDir: filepath.Join(t.TempDir(), "missing")})
	up := z.mustPublish(z.dispatched(nil))
	up.Queue(video(0, avcInter))
	if err := up.Flush(); err != nil {
		t.Fatal(err)
	}
	z.wait(MessageReceived)
	z.leave(up)
	z.checkViolations("cam1, session 1: recording: ", "cam1, session 1: the first video frame is no keyframe",
		"cam1, session 1: video before its sequence header", "cam1, session 1: video before the metadata")
}
