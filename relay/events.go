package relay

import (
	"time"

	"zegorelay/dispatch"
)

// Event is something that happened to a stream, or to somebody who wanted one.
type Event struct {
	ID        uint64 // rises by one from event to event of the process
	At        time.Time
	Kind      EventKind
	Level     string // info, warn or error
	Stream    string // its Name
	StreamID  string
	Direction dispatch.Direction
	Text      string // a sentence in the past tense, without secrets
	Advice    string // what to do; may be empty
}

// EventKind is what happened.
type EventKind string

// Kinds of events.
const (
	EventStarted          EventKind = "started"           // an encoder, or a player, has a stream that was not there
	EventStopped          EventKind = "stopped"           // the stream is over
	EventPublisherBack    EventKind = "publisher_back"    // an encoder goes on with the stream
	EventPublisherLost    EventKind = "publisher_lost"    // it went without goodbye
	EventUpstreamRestored EventKind = "upstream_restored" // a node has the stream, the first time included
	EventUpstreamLost     EventKind = "upstream_lost"
	EventRefused          EventKind = "refused"   // a publish or a play
	EventAdvice           EventKind = "advice"    // something that a person can mend has begun
	EventResolved         EventKind = "resolved"  // … and is over
	EventDropped          EventKind = "dropped"   // media was given up
	EventCommand          EventKind = "command"   // an operator kicked or redispatched
	EventContinued        EventKind = "continued" // zegorelay was restarted, and the stream goes on
)
