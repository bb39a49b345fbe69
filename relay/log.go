package relay

import (
	"errors"
	"time"

	"zegorelay/dispatch"
)

// Keys of log fields. Operators search by them.
const (
	logStream    = "stream"
	logStreamID  = "stream_id"
	logDirection = "direction"
	logRemote    = "remote"
	logClient    = "client"
	logFrom      = "from"
	logSilent    = "silent"
	logHeld      = "held_for"
	logNode      = "node"
	logReason    = "reason"
	logTook      = "took"
	logAfter     = "after"
	logNextTry   = "next_try"
	logTries     = "tries"
	logAdvice    = "advice"
	logKind      = "kind"
	logRequest   = "request_id"
	logVerdict   = "verdict"

	logMost        = "most"
	logStreams     = "streams"
	logEncoders    = "encoders"
	logNodes       = "nodes"
	logPlayers     = "players"
	logMessages    = "messages"
	logBytes       = "bytes"
	logSessions    = "sessions"
	logReplayed    = "replayed"
	logDropped     = "dropped"
	logSkipped     = "skipped"
	logUndelivered = "undelivered"
)

// rounded makes a duration fit for a log line: "1.204s", not nanoseconds.
func rounded(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

func (s *Stream) logLoss(lost *loss, tries int, delay time.Duration) {
	if tries&(tries-1) != 0 {
		return // the first, then at every doubling
	}
	verdict := dispatch.VerdictOf(lost.err)
	event := s.log.Warn()
	if verdict == dispatch.Operator || verdict == dispatch.ThisStream {
		event = s.log.Error()
	}
	if lost.node != "" {
		event = event.Str(logNode, lost.node).Stringer(logAfter, rounded(lost.lasted))
	}
	var z *dispatch.Error
	switch {
	case errors.As(lost.err, &z):
		event = event.Str(logVerdict, verdict.String()).Str(logAdvice, z.Advice())
		if z.RequestID != "" {
			event = event.Str(logRequest, z.RequestID)
		}
	case isNameTaken(lost.err) && s.mayBeGhost():
		event = event.Str(logAdvice, "wait: ZEGO still holds our own lost session, and frees its name by itself")
	case isNameTaken(lost.err):
		event = event.Str(logAdvice, "somebody else publishes this StreamId to ZEGO: stop it there, or use another")
	}
	s.tell(EventUpstreamLost, levelOf(verdict), lost.what+": "+lost.err.Error(), adviceFor(lost.err))
	event.Err(lost.err).Int(logTries, tries).Stringer(logNextTry, rounded(delay)).Msg(lost.what)
}

// levelOf is how loud a verdict is.
func levelOf(v dispatch.Verdict) string {
	if v == dispatch.Operator || v == dispatch.ThisStream {
		return levelError
	}
	return levelWarn
}

func (s *Stream) logEnd() {
	if s.counters.messagesIn.Load() > 0 {
		s.tell(EventStopped, levelInfo, "the stream ended", "")
	}
	event := s.log.Info()
	if undelivered := s.backlog.undelivered(); undelivered > 0 && s.direction == dispatch.Push {
		event = s.log.Warn().Uint64(logUndelivered, undelivered)
	}
	st := s.Status()
	if st.MessagesIn == 0 {
		event = s.log.Debug()
	}
	event.Stringer(logAfter, rounded(time.Since(s.since))).
		Uint64(logMessages, st.MessagesIn).Uint64(logBytes, st.BytesIn).Uint64(logSessions, st.Sessions).
		Uint64(logReplayed, st.Replayed).Uint64(logDropped, st.Dropped).
		Msg("stream ended")
}
