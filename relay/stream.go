package relay

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"zegorelay/dispatch"
)

// Stream is the lasting thing: one ZEGO StreamId, from its first encoder's
// publish until the last has said goodbye, or has not come back in time, and all
// is delivered. Encoders and upstream sessions come and go under it.
type Stream struct {
	id    string
	o     Options
	log   zerolog.Logger
	since time.Time

	notBefore time.Time // of the first dispatch

	seat    seat
	clock   streamClock // for who has the seat
	backlog *backlog
	gone    chan struct{} // closed when no encoder will come any more
	closed  chan struct{} // closed when the stream is over
	cut     context.CancelCauseFunc

	// For run.
	written     uint64        // all before it has been written to some node
	lostAt      time.Time     // when a session last ended that was not to end
	moved       dispatch.Node // where a node has sent us, until we have tried
	wasSent     bool          // the session is with such a one: nobody sends us on
	wasDoubtful bool          // the last goodbye had no good answer

	remembered remembered // for while the API is down

	verdicts chan error // takes the result of the first dispatch, once
	counters counters
	mu       sync.Mutex
	now      phase
	verdict  error // of the last dispatch
}

// counters are written by one goroutine each and read by anybody.
type counters struct {
	bytesIn, messagesIn   atomic.Uint64
	bytesOut, messagesOut atomic.Uint64
	replayed, dropped     atomic.Uint64
	dispatches, sessions  atomic.Uint64
	publishes             atomic.Uint64
}

// newStream makes a stream without an encoder; cut must end the context that run
// is given.
func newStream(id string, o Options, memory *memory, cut context.CancelCauseFunc) *Stream {
	s := &Stream{
		id:       id,
		o:        o,
		log:      o.Log.With().Str(logStream, id).Logger(),
		since:    time.Now(),
		seat:     seat{changed: make(chan struct{})},
		backlog:  newBacklog(o.Backlog, o.BacklogBytes, memory),
		gone:     make(chan struct{}),
		closed:   make(chan struct{}),
		cut:      cut,
		verdicts: make(chan error, 1),
	}
	s.enter(Idle, "")
	return s
}

// run is the stream's way up. It blocks until no encoder will come any more and
// all is delivered, or ctx ends. Every way back to publishing leads through a new
// dispatch: a lost node is replaced, never redialled.
func (s *Stream) run(ctx context.Context) {
	s.pause(ctx, time.Until(s.notBefore))
	retry := backoff{min: s.o.RetryMin, max: s.o.RetryMax}
	for s.needsNode(ctx) {
		lost := s.attempt(ctx)
		if lost != nil && ctx.Err() == nil {
			s.wait(ctx, lost, &retry)
		}
	}
	s.enter(Closed, "")
	s.logEnd()
	s.backlog.memory.leave(s.backlog)
}

// attempt is one upstream session, from the dispatch to its end. It returns nil
// when all that the session was to carry is delivered, else what was lost.
func (s *Stream) attempt(ctx context.Context) *loss {
	answer, down := s.nodes(ctx)
	if len(answer.Nodes) == 0 {
		return &loss{what: "no node from ZEGO", err: down}
	}
	at := s.connect(ctx, answer.Nodes)
	if at.err != nil {
		return &loss{what: "node not reached", node: at.node.Host(), err: errors.Join(down, at.err)}
	}
	begun := time.Now()
	s.enter(Publishing, at.node.Host())
	s.counters.sessions.Add(1)
	s.log.Info().Str(logNode, at.node.Host()).Str(logRequest, answer.RequestID).Stringer(logTook, rounded(answer.Took)).
		Msg("node takes the stream")

	err := guarded(func() error { return newUplink(s, at).run(ctx) })
	if err == nil {
		return nil
	}
	s.lostAt = time.Now()
	lost := &loss{what: "node lost", node: at.node.Host(), lasted: time.Since(begun), err: err}
	if moved, ok := elsewhere(err, at.target); ok && !s.wasSent {
		lost.what, s.moved = "node sends us elsewhere", moved
	}
	return lost
}

// nodes asks ZEGO where the stream goes, unless the last node has just told us.
// While the API can't be reached, what it said last has to do: then there is an
// answer and an error.
func (s *Stream) nodes(ctx context.Context) (dispatch.Answer, error) {
	if moved := s.moved; moved.Host() != "" {
		s.moved, s.wasSent = dispatch.Node{}, true
		return dispatch.Answer{Nodes: []dispatch.Node{moved}}, nil
	}
	s.wasSent = false
	s.enter(Dispatching, "")
	request := dispatch.Request{StreamID: s.id, Direction: dispatch.Push, Urgency: dispatch.Redispatch}
	if s.counters.dispatches.Add(1) == 1 {
		request.Urgency = dispatch.FirstPublish
	}
	answer, err := s.o.Dispatch(ctx, request)
	s.giveVerdict(err)
	if err == nil {
		s.remembered = remembered{answer: answer, at: time.Now()}
		return answer, nil
	}
	if !isUnreachable(err) || !s.remembered.isGood() {
		return dispatch.Answer{}, err
	}
	if !s.remembered.used {
		s.remembered.used = true
		s.log.Warn().Err(err).Stringer(logAfter, rounded(time.Since(s.remembered.at))).
			Msg("no node from ZEGO: its last answer is tried until the API is back")
	}
	return s.remembered.answer, err
}

// remembered is the last answer that a stream had.
type remembered struct {
	answer dispatch.Answer
	at     time.Time
	used   bool // since the API can't be reached
}

// isGood reports whether ZEGO still stands by the answer.
func (r remembered) isGood() bool {
	return len(r.answer.Nodes) > 0 && time.Since(r.at) < answerLife
}

// giveVerdict keeps a dispatch's result for those who want to publish.
func (s *Stream) giveVerdict(err error) {
	s.mu.Lock()
	s.verdict = err
	s.mu.Unlock()
	select {
	case s.verdicts <- err:
	default: // it has the first
	}
}

// lastVerdict is the result of the last dispatch; nil if there was none.
func (s *Stream) lastVerdict() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.verdict
}

// loss is why a stream is without a node, and how long it had one.
type loss struct {
	what   string
	node   string
	lasted time.Duration
	err    error
}

// wait holds the stream back before the next dispatch, as long as what was lost
// asks for. The end of the encoder doesn't cut it short: what it sent is still
// to be delivered, if there is anything.
func (s *Stream) wait(ctx context.Context, lost *loss, retry *backoff) {
	retry.succeeded(lost.lasted)
	delay := s.delay(lost, retry.next())
	s.logLoss(lost, retry.failures, delay)
	s.enterWaiting(lost, time.Now().Add(delay))
	s.pause(ctx, delay)
}

// delay is how long to wait after a loss that by itself would ask for usual.
func (s *Stream) delay(lost *loss, usual time.Duration) time.Duration {
	verdict := dispatch.VerdictOf(lost.err)
	switch {
	case lost.lasted >= healthyAfter, s.moved.Host() != "":
		return 0
	case verdict == dispatch.Operator || verdict == dispatch.ThisStream:
		return operatorWait
	case verdict == dispatch.Throttled:
		return max(usual, throttledWait)
	case isUnreachable(lost.err):
		return min(max(usual, failedCallWait), unreachableWait)
	case isUnknown(lost.err):
		return max(usual, unknownWait)
	case isFailedCall(lost.err):
		return max(usual, failedCallWait)
	case isNameTaken(lost.err) && s.mayBeGhost():
		return max(usual, ghostWait)
	case isNameTaken(lost.err):
		return max(usual, takenWait)
	default:
		return usual
	}
}

// mayBeGhost reports whether a node that says the name is taken may mean our
// own lost session.
func (s *Stream) mayBeGhost() bool {
	return !s.lostAt.IsZero() && time.Since(s.lostAt) < ghostLife
}

// pause waits for d, or until there is nothing to wait for any more.
func (s *Stream) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return
	case <-ctx.Done():
		return
	case <-s.gone:
	}
	if s.backlog.settled() {
		return
	}
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

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
	case isNameTaken(lost.err) && s.mayBeGhost():
		event = event.Str(logAdvice, "wait: ZEGO still holds our own lost session, and frees its name by itself")
	case isNameTaken(lost.err):
		event = event.Str(logAdvice, "somebody else publishes this StreamId to ZEGO: stop it there, or use another")
	}
	event.Err(lost.err).Int(logTries, tries).Stringer(logNextTry, rounded(delay)).Msg(lost.what)
}

func (s *Stream) logEnd() {
	event := s.log.Info()
	undelivered := s.backlog.undelivered()
	if undelivered > 0 {
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
