package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"zegorelay/dispatch"
	"zegorelay/relay/rtmp"
)

// WriteFLV writes a stream as an FLV file, from its newest keyframe on, until ctx or
// the stream ends, or w fails. Each write is a few whole tags. It blocks for all that
// time. Who looks is one follower more: the stream doesn't notice how fast. Its error
// is nil at the stream's end.
func (s *Server) WriteFLV(ctx context.Context, name string, direction dispatch.Direction, w io.Writer) error {
	stream, err := s.named(name, direction)
	if err != nil {
		return err
	}
	follower := stream.backlog.view()
	defer follower.close()
	var tags bytes.Buffer
	file, err := rtmp.NewFLVWriter(&tags)
	if err != nil {
		return err
	}
	var clock timeline
	batch := make([]entry, 0, batchMessages)
	for {
		batch, err = follower.read(ctx, batch[:0], batchBytes)
		if errors.Is(err, errDrained) {
			return nil
		} else if err != nil {
			return err
		}
		for i := range batch {
			m := batch[i].Message
			m.Timestamp = clock.at(m.Timestamp)
			if err := file.Write(m); err != nil {
				return err
			}
		}
		clear(batch)
		if _, err := w.Write(tags.Bytes()); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		tags.Reset()
	}
}
