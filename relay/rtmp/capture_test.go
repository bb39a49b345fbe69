package rtmp

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The files in testdata are every byte that a real publisher sent on one
// connection, from C0 to its close, while nginx-rtmp took the stream cam1.
func TestReaderReadsRealEncoders(t *testing.T) {
	fmle := []string{"connect", "releaseStream", "FCPublish", "createStream", "publish", "FCUnpublish", "deleteStream"}
	for file, want := range map[string]struct {
		commands                             []string
		frames, keyframes, headers, metadata int
		first, last                          uint32 // time of the first and last coded video frame
	}{
		"obs-29.0.2.bin":                  {fmle, 450, 4, 2, 1, 0, 7266},
		"ffmpeg-5.1.bin":                  {fmle, 307, 5, 2, 1, 21, 4954},
		"ffmpeg-5.1-starts-at-20000s.bin": {fmle, 307, 5, 2, 1, 20_000_000, 20_004_933},
		"ffmpeg-8.1-hevc-aac.bin":         {fmle[:5], 245, 4, 3, 1, 0, 3933},
		"ffmpeg-8.1-av1-opus.bin":         {fmle[:5], 257, 4, 4, 1, 7, 3940},
		"ffmpeg-8.1-multitrack.bin":       {fmle[:5], 507, 4, 6, 1, 7, 3940},
		"gst-rtmp2sink-1.22.bin":          {fmle, 305, 5, 2, 19, 24, 4971},
		"gst-rtmpsink-librtmp-2.4.bin":    {fmle, 305, 5, 2, 19, 4, 4971},
	} {
		t.Run(file, func(t *testing.T) {
			messages := readCapture(t, file)
			var commands []string
			var kinds [Metadata + 1]int
			var times []uint32
			for _, m := range messages {
				if m.IsMedia() {
					kind := m.Inspect().Kind
					kinds[kind]++
					if m.Type == TypeVideo && (kind == Frame || kind == Keyframe) {
						times = append(times, m.Timestamp)
					}
					continue
				}
				cmd, err := parseCommand(m, Limits{}.withDefaults())
				if err != nil {
					t.Fatalf("command: %v", err)
				}
				commands = append(commands, cmd.name)
			}
			if !slices.Equal(commands, want.commands) {
				t.Errorf("commands: got %v, want %v", commands, want.commands)
			}
			got := [...]int{kinds[Frame], kinds[Keyframe], kinds[SequenceHeader], kinds[Metadata]}
			if got != [...]int{want.frames, want.keyframes, want.headers, want.metadata} {
				t.Errorf("frames, keyframes, headers, metadata: got %v", got)
			}
			if times[0] != want.first || times[len(times)-1] != want.last {
				t.Errorf("video runs from %d to %d ms, want %d to %d", times[0], times[len(times)-1], want.first, want.last)
			}
		})
	}
}

// readCapture returns every message of a capture.
func readCapture(t testing.TB, file string) []Message {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(bytes.NewReader(b), Limits{})
	if _, err := io.CopyN(io.Discard, r, handshakeBytes); err != nil {
		t.Fatal(err)
	}
	var messages []Message
	for {
		m, err := r.ReadMessage()
		switch {
		case errors.Is(err, ErrPeerClosed):
			return messages
		case err != nil:
			t.Fatalf("message %d: %v", len(messages), err)
		case m.IsMedia() || m.Type == TypeCommand:
			messages = append(messages, m)
		}
	}
}
