package handover

import (
	"time"

	"zegorelay/relay/rtmp"
)

// State is what a process was doing at a moment. All times in it are ages at that
// moment. A field that is added is zero in a state of a program that didn't have it,
// and must mean there what that one did; a field that is taken out is ignored. What
// can't be done like this needs another version.
type State struct {
	At        Moment
	Process   Process
	Listeners []Listener
	Clients   []Client
	Streams   []Stream
}

// Process is what is not of one stream.
type Process struct {
	Connections    uint64 // so far: their ids
	PublishersEver uint64
	PlaysEver      uint64
	Throttled      uint64
	Events         uint64 // the id of the last
	EventsMissed   uint64 // by subscribers that were too slow
	Rejects        map[string]uint64
	Dispatches     []Dispatches
}

// Dispatches is what came of the dispatches of one direction.
type Dispatches struct {
	Direction string
	Code      string
	Requests  uint64
	Took      time.Duration
}

// Listener is a socket on which connections are accepted.
type Listener struct {
	Socket   Socket
	Protocol string // rtmp, rtmps or http
	Asked    string // the address that was asked for, as it was written
}

// Client has said what it wants, and has no answer yet.
type Client struct {
	Socket  Socket
	Session rtmp.SessionState
}

// Stream is a stream, and who is there.
type Stream struct {
	ID        string
	Direction string
	Age       time.Duration
	LastMedia time.Duration // when a message last came, from the stream's beginning
	Over      bool          // nobody comes any more: only what there is is delivered

	Clock   Clock
	Backlog Backlog

	Node    *Node // that has the stream; nil: none
	LostAge *time.Duration
	Retry   Retry
	Moved   string // URL of the node to which the last one sends us
	WasSent bool   // the node is such a one
	Answer  *Answer

	// Of a push.
	Written     uint64 // all messages before it have been written to some node
	WasDoubtful bool
	Publisher   *Publisher
	Remote      string        // the encoder that is there, or was last
	Away        time.Duration // without an encoder: for how long
	Grace       time.Duration // … and how long one is waited for yet

	// Of a pull, and of a push that is watched.
	Players []Player
	Linger  time.Duration // a pull without players: how long it goes on

	Counters Counters
}

// Counters are a stream's, which must not fall.
type Counters struct {
	BytesIn, MessagesIn   uint64
	BytesOut, MessagesOut uint64
	Replayed, Dropped     uint64
	Dispatches, Sessions  uint64
	Publishes             uint64
	Plays                 uint64
	BytesPlayed           uint64
	Skipped               uint64
	Outage                time.Duration
	Video, Audio          TrackCounters
	Departures            map[string]uint64
	LostBy                map[string]uint64
	MissedAt              map[string]uint64
}

// TrackCounters are a track's.
type TrackCounters struct{ Bytes, Frames, Jumps uint64 }

// Clock is a stream's own clock.
type Clock struct {
	Newest uint32
	Age    time.Duration
	Runs   bool
}

// Backlog is the messages that a stream holds.
type Backlog struct {
	First     uint64
	Entries   []Entry
	Base      []Entry
	HasVideo  bool
	Epoch     uint32
	Begun     bool
	Origin    uint64
	Received  uint64
	Unhurried bool
	Lost      []uint64 // by reason and track
	InDoubt   []uint64
}

// Entry is one message.
type Entry struct {
	Type      rtmp.Type
	Timestamp uint32
	Payload   []byte
	Age       time.Duration
	Start     bool
	Epoch     uint32
	Opening   []Entry // headers of the epoch that it begins
}

// Retry is how a stream without a node goes on.
type Retry struct {
	Failures int           // in a row
	Wait     time.Duration // before the next try
}

// Answer is ZEGO's last.
type Answer struct {
	Nodes     []string // URLs
	RequestID string
	Age       time.Duration
}

// Publisher is an encoder that is there.
type Publisher struct {
	Socket   Socket
	Session  rtmp.SessionState
	ID       uint64
	Age      time.Duration
	TookOver bool
	Heard    time.Duration // when it last sent a message, from the stream's beginning
	Seam     Seam
	Pace     Pace
}

// Seam joins what one encoder, or node, sends to what another has sent before.
type Seam struct {
	Offset   uint32
	Overlaps bool
	Overlap  bool
	Until    uint32
	Open     bool
	Waits    bool // since Age
	Age      time.Duration
	HasVideo bool
	Opening  []Entry
}

// Pace is how fast an encoder sends.
type Pace struct {
	Runs  bool
	Age   time.Duration
	Last  uint32
	Media time.Duration
	Count int
	Ahead bool
}

// Node is a session with a node.
type Node struct {
	Socket   Socket
	Asked    string // URL that ZEGO gave
	URL      string // the same, or where that one sent us
	Upstream rtmp.UpstreamState
	Age      time.Duration // since it took or gave the stream

	// Of a push.
	Reader  Reader
	Flights []Flight

	Seam Seam // of a pull
}

// Reader is who reads a backlog: a session with a node, or a player.
type Reader struct {
	Next    uint64
	Lost    bool
	Begun   bool
	Epoch   uint32
	Given   []Entry
	Dropped uint64

	// Its own clock.
	Ticks bool
	Last  uint32
	Now   int64
}

// Flight is a write that is not known to have arrived.
type Flight struct{ End, Next uint64 }

// Player is a local player.
type Player struct {
	Socket  Socket
	Session rtmp.SessionState
	Reader  Reader
	Begun   bool
	Age     time.Duration
	Bytes   uint64
	Skipped uint64
}
