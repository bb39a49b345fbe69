// Package testcard is the encoder that is there when there is no other: a short
// clip of a test picture and a tone, published over RTMP again and again, with
// timestamps that go on.
package testcard

import (
	"bytes"
	"context"
	_ "embed" // for the clip
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"zegorelay/relay/rtmp"
)

// clip is made by scripts/testclip: H.264 without B-frames, a keyframe every
// two seconds, AAC.
//
//go:embed clip.flv
var clip []byte

// Length is how long the clip lasts before it begins again: a whole number of
// frames of picture and of sound.
const Length = 16 * time.Second

// writeTimeout is how long the far side may take to read.
const writeTimeout = 10 * time.Second

// Publish publishes the clip at rawURL, which d reaches, at the pace of its timestamps, until
// ctx ends; then it says goodbye and returns nil. Before a message is sent, sent
// is called with it. Its error says why the far side ended the session.
func Publish(ctx context.Context, d rtmp.Dialer, rawURL string, sent func(rtmp.Message)) error {
	target, err := rtmp.ParseTarget(rawURL)
	if err != nil {
		return err
	}
	messages, err := load()
	if err != nil {
		return fmt.Errorf("test card: %w", err)
	}
	up, err := d.Publish(ctx, target)
	if err != nil {
		return fmt.Errorf("test card: %w", err)
	}
	defer up.Close()
	up.SetWriteTimeout(writeTimeout)
	over := make(chan error, 1)
	var listener sync.WaitGroup
	listener.Go(func() { over <- up.Serve() })

	err = play(ctx, messages, func(m rtmp.Message) error {
		sent(m)
		up.Queue(m)
		return up.Flush()
	}, over)
	if err == nil {
		err = up.Unpublish()
	}
	if err != nil {
		up.Close()
		err = fmt.Errorf("test card: %w", err)
	}
	listener.Wait() // for the far side's close, or the deadline that Unpublish set
	return err
}

// play sends the clip over and over until ctx or the session ends.
func play(ctx context.Context, messages []rtmp.Message, send func(rtmp.Message) error, over chan error) error {
	begun := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for round := time.Duration(0); ; round++ {
		for _, m := range messages {
			if round > 0 && isOpening(m) {
				continue // once is enough
			}
			at := round*Length + time.Duration(m.Timestamp)*time.Millisecond
			timer.Reset(time.Until(begun.Add(at)))
			select {
			case <-timer.C:
			case <-ctx.Done():
				return nil
			case err := <-over:
				over <- err
				return err
			}
			m.Timestamp = uint32(at.Milliseconds())
			if err := send(m); err != nil {
				return err
			}
		}
	}
}

// isOpening reports whether m belongs to the beginning of a stream.
func isOpening(m rtmp.Message) bool {
	kind := m.Inspect().Kind
	return kind == rtmp.Metadata || kind == rtmp.SequenceHeader
}

// load reads the clip as the messages that an encoder would send.
func load() ([]rtmp.Message, error) {
	r, err := rtmp.NewFLVReader(bytes.NewReader(clip))
	if err != nil {
		return nil, err
	}
	var messages []rtmp.Message
	for {
		m, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return messages, nil
		case err != nil:
			return nil, err
		case m.Type == rtmp.TypeData:
			m.Payload = rtmp.SetDataFrame(m.Payload)
		case time.Duration(m.Timestamp)*time.Millisecond >= Length:
			continue // the encoder's last, half-empty sound frame
		}
		messages = append(messages, m)
	}
}
