package rtmp

import "fmt"

// Type is the message type id of the chunk message header (§5.4, §6.2, §7.1).
type Type uint8

// Message types. Types 1 to 6 never leave this package.
const (
	TypeSetChunkSize     Type = 1
	TypeAbort            Type = 2
	TypeAck              Type = 3
	TypeUserControl      Type = 4
	TypeWindowAckSize    Type = 5
	TypeSetPeerBandwidth Type = 6
	TypeAudio            Type = 8
	TypeVideo            Type = 9
	TypeDataAMF3         Type = 15
	TypeCommandAMF3      Type = 17
	TypeData             Type = 18
	TypeCommand          Type = 20
	TypeAggregate        Type = 22
)

// String names the types that a log or an error may mention.
func (t Type) String() string {
	switch t {
	case TypeAudio:
		return "audio"
	case TypeVideo:
		return "video"
	case TypeData, TypeDataAMF3:
		return "data"
	case TypeCommand, TypeCommandAMF3:
		return "command"
	default:
		return fmt.Sprintf("type %d", uint8(t))
	}
}

// Message is one RTMP message, whole.
type Message struct {
	Type Type

	// Timestamp is in milliseconds and wraps at 2^32 (§5.1).
	Timestamp uint32

	// StreamID is the message stream: 0 for the connection itself, else what
	// createStream answered.
	StreamID uint32

	// Payload is the body without any header. Whoever holds the message may
	// keep it until it is recycled; nobody may write to it.
	Payload []byte

	home *Pool // of the payload's memory, if it has one of its own
}

// IsMedia reports whether m is audio, video or data: what a stream consists of.
func (m Message) IsMedia() bool {
	switch m.Type {
	case TypeAudio, TypeVideo, TypeData, TypeDataAMF3:
		return true
	default:
		return false
	}
}
