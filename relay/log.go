package relay

// Keys of log fields. Operators search by them.
const (
	logStream  = "stream"
	logRemote  = "remote"
	logClient  = "client"
	logNode    = "node"
	logReason  = "reason"
	logTook    = "took"
	logAfter   = "after"
	logNextTry = "next_try"
	logTries   = "tries"
	logAdvice  = "advice"
	logRequest = "request_id"
	logVerdict = "verdict"
	logListen  = "listen"
)
