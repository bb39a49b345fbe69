package handover

import (
	"cmp"
	"errors"
	"fmt"

	"zegorelay/relay/rtmp"
)

const (
	mostMessage = 1<<24 - 1 // a length has 24 bits (§5.3.1.2)
	mostInput   = 64 << 20  // of what has arrived, or waits to be sent

	mostChunkSize    = 1 << 24 // more than any message
	mostOutChunkSize = 1<<31 - 1
	mostChunkStreams = 1024
	mostSent         = 64
	leastID          = 2
	mostChunkID      = 64 + 1<<16 - 1 // §5.3.1.1

	mostWindow     = 1<<32 - 1
	handshakeBytes = 1 + 2*1536 // which some peers count
)

func checkPublisher(s *rtmp.SessionState) error {
	if s.Action != rtmp.Publish {
		return errors.New("it doesn't publish")
	}
	return checkSession(s)
}

func checkPlayer(s *rtmp.SessionState) error {
	if s.Action != rtmp.Play {
		return errors.New("it doesn't play")
	}
	return checkSession(s)
}

func checkSession(s *rtmp.SessionState) error {
	return wrap("session", cmp.Or(
		text("words", mostWords, s.App, s.Name, s.TCURL, s.Client, s.User),
		checkConn(&s.Conn),
	))
}

func checkUpstream(u *rtmp.UpstreamState) error {
	return wrap("session", cmp.Or(
		text("name", mostText, u.Name),
		ages("age", u.Age),
		within("window", u.Window, 0, mostWindow),
		checkConn(&u.Conn),
	))
}

func checkConn(c *rtmp.ConnState) error {
	return cmp.Or(
		within("chunk size", c.ChunkSize, 1, mostChunkSize),
		within("chunk streams", len(c.ChunkStreams), 0, mostChunkStreams),
		within("bytes of input", len(c.Input), 0, mostInput),
		within("bytes from one Acknowledgement to the next", c.AckEvery, 1, mostWindow),
		within("bytes acknowledged", c.Acked, 0, c.Received),
		checkChunkStreams(c),

		within("chunk size of ours", c.OutChunkSize, 1, mostOutChunkSize),
		within("chunk streams of ours", len(c.Sent), 0, mostSent),
		within("bytes queued", c.Queued, 0, mostSeq),
		within("bytes not sent", len(c.Unsent), 0, mostInput),
		within("bytes not sent, of those queued", uint64(len(c.Unsent)), 0, c.Queued),
		within("bytes that the peer has acknowledged", c.PeerAcked, 0, c.Queued+handshakeBytes),
		within("step of the peer's", c.AckStep, 0, mostWindow),
	)
}

func checkChunkStreams(c *rtmp.ConnState) error {
	seen := make(map[uint32]bool)
	held, under := 0, false
	for i := range c.ChunkStreams {
		cs := &c.ChunkStreams[i]
		if seen[cs.ID] {
			return fmt.Errorf("chunk stream %d is there twice", cs.ID)
		}
		seen[cs.ID] = true
		held += len(cs.Body)
		left := uint32(0)
		if cs.ID == c.Under {
			left, under = c.Left, cs.Begun
		}
		if err := checkChunkStream(cs, left); err != nil {
			return fmt.Errorf("chunk stream %d: %w", cs.ID, err)
		}
	}
	switch {
	case c.Left > 0 && !under:
		return errors.New("a chunk is under way on no chunk stream")
	case c.Left > c.ChunkSize:
		return errors.New("the chunk under way is longer than chunks are")
	}
	return within("bytes of unfinished messages", held, 0, mostInput)
}

// checkChunkStream looks at a chunk stream that has so many bytes of a chunk left.
func checkChunkStream(cs *rtmp.ChunkStreamState, left uint32) error {
	if !cs.Begun && len(cs.Body) > 0 {
		return errors.New("there is a body of no message")
	}
	return cmp.Or(
		within("id", cs.ID, leastID, mostChunkID),
		within("length", cs.Length, 0, mostMessage),
		within("bytes of a message", uint64(len(cs.Body))+uint64(left), 0, uint64(cs.Length)),
	)
}
