package rtmp

import (
	"bytes"
	"testing"
)

// A Writer doesn't keep for ever what one burst of short messages has needed, and
// keeps what it uses.
func TestWriterIsShortAgainBehindABurst(t *testing.T) {
	var wire bytes.Buffer
	w := NewWriter(&wire)
	send := func(messages int) (room int) {
		for range messages {
			w.Queue(Message{Type: TypeAudio, StreamID: 1, Payload: payload(400, 1)})
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		return cap(w.scratch)
	}
	if room := send(64); room < 64*400 {
		t.Errorf("a buffer of %d bytes is left of a burst that may go on", room)
	}
	if send(1); send(1) > keptBuffer {
		t.Errorf("a buffer of %d bytes is kept for a message of 400", cap(w.scratch))
	}
}
