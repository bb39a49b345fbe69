package relay

import "time"

// Keys of log fields. Operators search by them.
const (
	logStream  = "stream"
	logRemote  = "remote"
	logClient  = "client"
	logFrom    = "from"
	logSilent  = "silent"
	logHeld    = "held_for"
	logNode    = "node"
	logReason  = "reason"
	logTook    = "took"
	logAfter   = "after"
	logNextTry = "next_try"
	logTries   = "tries"
	logAdvice  = "advice"
	logRequest = "request_id"
	logVerdict = "verdict"

	logMost        = "most"
	logMessages    = "messages"
	logBytes       = "bytes"
	logSessions    = "sessions"
	logReplayed    = "replayed"
	logDropped     = "dropped"
	logUndelivered = "undelivered"
)

// rounded makes a duration fit for a log line: "1.204s", not nanoseconds.
func rounded(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
