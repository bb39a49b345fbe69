package rtmp

import "time"

// This file says what of a session the next process needs to go on with it, and
// nothing else of this package does. TestEveryFieldIsDecided holds it against the
// fields that sessions have.

// ConnState is what both ends of a connection remember of it between two messages, or
// in the middle of one.
type ConnState struct {
	// What comes in.
	Received     uint64             // bytes since the handshake
	ChunkSize    uint32             // that the peer sends with
	ChunkStreams []ChunkStreamState // that it has used
	Input        []byte             // arrived, and not parsed yet
	Under        uint32             // the chunk stream of the chunk whose body is under way …
	Left         uint32             // … and the bytes of it that have not arrived; 0: none is
	Unrepeated   bool               // it leaves the extended timestamp out of fmt 3
	AckEvery     uint64             // bytes from one Acknowledgement of ours to the next
	Acked        uint64             // bytes acknowledged so far

	// What goes out.
	OutChunkSize uint32
	Sent         []SentState // by chunk stream id
	Queued       uint64      // bytes since the handshake, Unsent included
	Unsent       []byte      // of them
	Mute         bool        // a write has failed: nothing can be sent any more
	PeerAcked    uint64      // what the peer has acknowledged, unwrapped
	PeerAcks     uint64      // how often it did
	AckStep      uint64      // the most bytes from one time to the next
	OddAcks      bool        // they don't count all bytes from the first on
}

// ChunkStreamState is what a chunk stream remembers from chunk to chunk (§5.3.1.2).
type ChunkStreamState struct {
	ID        uint32
	Timestamp uint32
	Delta     uint32
	Extended  bool
	Extension uint32
	Length    uint32
	Type      Type
	StreamID  uint32
	Begun     bool   // a message is under way
	Body      []byte // what has arrived of it
}

// SentState is what the far side remembers of a chunk stream of ours.
type SentState struct {
	Used      bool
	Timestamp uint32
	StreamID  uint32
}

// SessionState is a Session that can go on in another process.
type SessionState struct {
	Conn     ConnState
	Action   Action
	App      string
	Name     string
	TCURL    string
	Client   string
	User     string
	StreamID uint32
}

// UpstreamState is an Upstream that can go on in another process.
type UpstreamState struct {
	Conn     ConnState
	Age      time.Duration // since it was dialled
	Name     string
	StreamID uint32
	Window   int64 // that the node was asked for
}
