package rtmp

import "time"

// Limits bound what one peer can make this process hold. They are enforced
// while bytes arrive: nothing is allocated because a peer announced it. A zero
// field means the default in brackets.
type Limits struct {
	MediaBytes      int // one audio, video or aggregate message [16 MiB]
	CommandBytes    int // one command, data or control message [1 MiB]
	UnfinishedBytes int // held for messages that have begun and not ended, per connection [32 MiB]
	ChunkStreams    int // chunk stream ids one peer may use [1024]
	AMFDepth        int // nesting of values in a command [32]
	AMFValues       int // values in a command [4096]

	HandshakeTime time.Duration // for a client's handshake [10s]
	PublishTime   time.Duration // from the accept to publish or play [20s]
}

func (l Limits) withDefaults() Limits {
	l.MediaBytes = or(l.MediaBytes, 16<<20)
	l.CommandBytes = or(l.CommandBytes, 1<<20)
	l.UnfinishedBytes = or(l.UnfinishedBytes, 32<<20)
	l.ChunkStreams = or(l.ChunkStreams, 1024)
	l.AMFDepth = or(l.AMFDepth, 32)
	l.AMFValues = or(l.AMFValues, 4096)
	l.HandshakeTime = or(l.HandshakeTime, 10*time.Second)
	l.PublishTime = or(l.PublishTime, 20*time.Second)
	return l
}

// message is the bound for one message of type t.
func (l Limits) message(t Type) int {
	switch t {
	case TypeAudio, TypeVideo, TypeAggregate:
		return l.MediaBytes
	default:
		return l.CommandBytes
	}
}

func or[T int | time.Duration](v, fallback T) T {
	if v == 0 {
		return fallback
	}
	return v
}
