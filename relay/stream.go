package relay

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"zegorelay/dispatch"
	"zegorelay/relay/rtmp"
)

const (
	// operatorWait is between two tries at what only a person can mend.
	operatorWait = 60 * time.Second

	// throttledWait is the least between two tries when ZEGO says too often.
	throttledWait = time.Second
)

// Stream is the lasting thing: one ZEGO StreamId, from its encoder's publish
// until all is delivered. Upstream sessions come and go under it.
type Stream struct {
	id     string
	o      Options
	log    zerolog.Logger
	remote string // the encoder's address
	since  time.Time

	notBefore time.Time // of the first dispatch

	backlog *backlog
	written uint64        // all before it has been written to some node; for run
	verdict chan error    // takes the result of the first dispatch, once
	gone    chan struct{} // closed when the encoder is gone
	closed  chan struct{} // closed when the stream is over
	cut     context.CancelCauseFunc

	counters counters
	mu       sync.Mutex
	now      phase
}

// counters are written by one goroutine each and read by anybody.
type counters struct {
	bytesIn, messagesIn   atomic.Uint64
	bytesOut, messagesOut atomic.Uint64
	replayed, dropped     atomic.Uint64
	dispatches, sessions  atomic.Uint64
}

// newStream makes the stream of an encoder; cut must end the context that run
// is given.
func newStream(id string, session *rtmp.Session, o Options, cut context.CancelCauseFunc) *Stream {
	s := &Stream{
		id:      id,
		o:       o,
		log:     o.Log.With().Str(logStream, id).Logger(),
		remote:  session.RemoteAddr().String(),
		since:   time.Now(),
		backlog: newBacklog(o.Backlog, o.BacklogBytes),
		verdict: make(chan error, 1),
		gone:    make(chan struct{}),
		closed:  make(chan struct{}),
		cut:     cut,
	}
	s.enter(Idle, "")
	return s
}

// append takes a message from the encoder.
func (s *Stream) append(m rtmp.Message) {
	s.counters.bytesIn.Add(uint64(len(m.Payload)))
	s.counters.messagesIn.Add(1)
	s.backlog.append(m, time.Now())
}

// end says that the encoder is gone; it is called once. The stream delivers
// what it has and ends, at the latest after the drain timeout.
func (s *Stream) end() {
	s.backlog.close()
	close(s.gone)
	time.AfterFunc(s.o.DrainTimeout, func() { s.cut(errDrainTimeout) })
}

// endsWithin waits for the encoder's end and reports whether it has come.
func (s *Stream) endsWithin(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.gone:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// run is the stream's way up. It blocks until the encoder is gone and all is
// delivered, or ctx ends. Every way back to publishing leads through a new
// dispatch: a lost node is replaced, never redialled.
func (s *Stream) run(ctx context.Context) {
	s.pause(ctx, time.Until(s.notBefore))
	retry := backoff{min: s.o.RetryMin, max: s.o.RetryMax}
	for ctx.Err() == nil && !s.backlog.settled() {
		lost := s.attempt(ctx)
		if lost == nil {
			break
		}
		if ctx.Err() == nil {
			s.wait(ctx, lost, &retry)
		}
	}
	s.enter(Closed, "")
	s.logEnd()
}

// attempt is one upstream session, from the dispatch to its end. It returns nil
// when the encoder is gone and all is delivered, else what was lost.
func (s *Stream) attempt(ctx context.Context) *loss {
	s.enter(Dispatching, "")
	s.counters.dispatches.Add(1)
	answer, err := s.o.Dispatch(ctx, s.id, dispatch.Push)
	s.giveVerdict(err)
	if err != nil {
		return &loss{what: "no node from ZEGO", err: err}
	}
	upstream, node, err := s.connect(ctx, answer)
	if err != nil {
		return &loss{what: "node not reached", node: node.Host(), err: err}
	}
	begun := time.Now()
	s.enter(Publishing, node.Host())
	s.counters.sessions.Add(1)
	s.log.Info().Str(logNode, node.Host()).Str(logRequest, answer.RequestID).Stringer(logTook, rounded(answer.Took)).
		Msg("node takes the stream")

	err = guarded(func() error { return newUplink(s, node.Host(), upstream).run(ctx) })
	if err == nil {
		return nil
	}
	return &loss{what: "node lost", node: node.Host(), lasted: time.Since(begun), err: err}
}

// connect tries the nodes of an answer in order. The node returned is the one
// connected to, or the last one tried.
func (s *Stream) connect(ctx context.Context, answer dispatch.Answer) (*rtmp.Upstream, dispatch.Node, error) {
	var errs []error
	var node dispatch.Node
	for _, node = range answer.Nodes {
		s.enter(Connecting, node.Host())
		upstream, err := s.dial(ctx, node)
		if err == nil {
			return upstream, node, nil
		}
		errs = append(errs, err)
	}
	return nil, node, errors.Join(errs...)
}

var errSlowNode = errors.New("it didn't take the stream in time")

func (s *Stream) dial(ctx context.Context, node dispatch.Node) (*rtmp.Upstream, error) {
	target, err := rtmp.ParseTarget(node.URL())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.ConnectTimeout, errSlowNode)
	defer cancel()
	return s.o.Nodes.Publish(ctx, target)
}

// giveVerdict hands the first dispatch's result to admit.
func (s *Stream) giveVerdict(err error) {
	select {
	case s.verdict <- err:
	default: // it has one
	}
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
	verdict := dispatch.VerdictOf(lost.err)
	retry.succeeded(lost.lasted)
	delay := retry.next()
	switch {
	case lost.lasted >= healthyAfter:
		delay = 0
	case verdict == dispatch.Operator || verdict == dispatch.ThisStream:
		delay = operatorWait
	case verdict == dispatch.Throttled:
		delay = max(delay, throttledWait)
	}
	s.logLoss(lost, verdict, retry.failures, delay)
	s.enterWaiting(lost, time.Now().Add(delay))
	s.pause(ctx, delay)
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

func (s *Stream) logLoss(lost *loss, verdict dispatch.Verdict, tries int, delay time.Duration) {
	if tries&(tries-1) != 0 {
		return // the first, then at every doubling
	}
	event := s.log.Warn()
	if verdict == dispatch.Operator || verdict == dispatch.ThisStream {
		event = s.log.Error()
	}
	if lost.node != "" {
		event = event.Str(logNode, lost.node).Stringer(logAfter, rounded(lost.lasted))
	}
	var z *dispatch.Error
	if errors.As(lost.err, &z) {
		event = event.Str(logVerdict, verdict.String()).Str(logAdvice, z.Advice())
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
