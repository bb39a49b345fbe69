package relay

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"zegorelay/dispatch"
	"zegorelay/relay/media"
	"zegorelay/relay/rtmp"
)

// Stream is the lasting thing: one ZEGO StreamId in one direction. It is published
// here, from its first encoder's publish until the last has said goodbye and all
// is delivered; or it is played here, from its first player until some time after
// the last. Encoders and players come and go, and so do sessions with nodes: what
// is the same for both directions is here, what is not is the errand's.
type Stream struct {
	*shared

	name      atomic.Pointer[string] // what operators call it
	id        string
	direction dispatch.Direction
	errand    errand
	o         Options
	log       zerolog.Logger
	since     time.Time

	notBefore time.Time // of the first dispatch

	clock   streamClock // of what the backlog takes
	backlog *backlog
	gone    chan struct{} // closed when the errand is done, but for what is to be delivered
	closed  chan struct{} // closed when the stream is over
	cut     context.CancelCauseFunc

	// For run.
	retry   backoff
	node    *node         // whose session is to go on, here or in another process; nil: none
	lostAt  time.Time     // when a session last ended that was not to end
	moved   dispatch.Node // where a node has sent us, until we have tried
	wasSent bool          // the session is with such a one: nobody sends us on

	remembered remembered // for while the API is down

	audience  audience
	lastMedia atomic.Int64 // when it came, in ns since since
	counters  counters
	link      link
	diary     diary
	meter     media.Meter
	observed  observed

	departures reasons       // of encoders
	lostBy     reasons       // nodes
	missedAt   reasons       // stages of ways to a node that led nowhere
	again      chan struct{} // asks for another node now

	mu      sync.Mutex
	now     phase
	verdict error // of the last dispatch
	outage  outage
	health  healthState
	moveOn  func() // ends the session that there is, in order; nil without one
}

// link is what the session with a node knows of it.
type link struct {
	rtt   atomic.Int64 // ns; 0: not known
	tells atomic.Bool  // what the node has received is known
	stood atomic.Int64 // ns for which the node has acknowledged nothing although it should
}

// errand is what a stream needs nodes for: to publish there, or to play from
// there.
type errand interface {
	// needsNode blocks until a node is needed, and reports false if none will be
	// any more, or ctx is over.
	needsNode(ctx context.Context) bool

	// claim takes the stream up at a node that is connected to.
	claim(ctx context.Context, node *rtmp.Upstream) error

	// carry is one session with a node, to its end. It returns nil when nothing is
	// left to do, else why the session ended before.
	carry(ctx context.Context, at *node) error

	// judged is told what came of a dispatch.
	judged(verdict error)

	// settled reports, once the errand is done, whether nothing is left to deliver.
	settled() bool

	// isOver reports whether nothing will ever be left to do.
	isOver() bool

	// end ends an errand that nobody is there for any more.
	end()

	// remote is the one encoder that there may be or was, and since when it is away.
	remote() (addr string, away time.Time)

	// publisher is the one that is there; nil if none is.
	publisher() *Publisher

	// silence is how long who brings the media has sent nothing.
	silence() time.Duration

	// kick ends those who are there, and reports whether there was anybody.
	kick() bool
}

// counters are written by one goroutine each, but for those of players, and read
// by anybody.
type counters struct {
	bytesIn, messagesIn   atomic.Uint64
	bytesOut, messagesOut atomic.Uint64
	replayed, dropped     atomic.Uint64
	dispatches, sessions  atomic.Uint64
	publishes             atomic.Uint64

	plays       atomic.Uint64
	bytesPlayed atomic.Uint64
	skipped     atomic.Uint64
}

// newStream makes a stream without an errand; cut must end the context that run
// is given.
func newStream(id, name string, direction dispatch.Direction, o Options, with *shared, cut context.CancelCauseFunc) *Stream {
	log := o.Log.With().Str(logStream, name)
	if name != id {
		log = log.Str(logStreamID, id)
	}
	s := &Stream{
		shared:    with,
		id:        id,
		direction: direction,
		o:         o,
		log:       log.Str(logDirection, string(direction)).Logger(),
		since:     time.Now(),
		backlog:   newBacklog(o.Backlog, o.BacklogBytes, with.memory),
		again:     make(chan struct{}, 1),
		gone:      make(chan struct{}),
		closed:    make(chan struct{}),
		retry:     backoff{min: o.RetryMin, max: o.RetryMax},
		cut:       cut,
	}
	s.rename(name)
	s.enter(Idle, "")
	return s
}

// rename has operators see the stream under another name.
func (s *Stream) rename(name string) { s.name.Store(&name) }

// run is the stream's way. It blocks until the errand is done, or ctx ends. Every
// way to a node leads through a new dispatch: a lost node is replaced, never
// redialled. It reports false if the stream is not over, but another process goes on
// with it.
func (s *Stream) run(ctx context.Context) (isOver bool) {
	var lost *loss
	if at := s.node; at != nil {
		s.node = nil
		lost = s.carry(ctx, at)
	} else {
		s.pause(ctx, time.Until(s.notBefore))
	}
	for {
		if lost != nil && ctx.Err() == nil {
			s.wait(ctx, lost)
		}
		if !s.errand.needsNode(ctx) {
			break
		}
		lost = s.attempt(ctx)
	}
	if isLeaving(ctx) && !s.errand.isOver() {
		return false
	}
	if s.node != nil { // it was to be handed over, and is over
		_ = s.node.file.Close()
	}
	s.enter(Closed, "")
	s.logEnd()
	s.backlog.memory.leave(s.backlog)
	return true
}

// attempt is one session with a node, from the dispatch to its end. It returns
// nil when nothing is left to do, else what was lost.
func (s *Stream) attempt(ctx context.Context) *loss {
	answer, down := s.nodes(ctx)
	if len(answer.Nodes) == 0 {
		return &loss{what: "no node from ZEGO", stage: AtDispatch, err: down}
	}
	at := s.connect(ctx, answer.Nodes)
	if at.err != nil {
		return &loss{what: "node not reached", stage: stageOf(at.err), node: at.node.Host(), err: errors.Join(down, at.err)}
	}
	s.counters.sessions.Add(1)
	s.log.Info().Str(logNode, at.node.Host()).Str(logRequest, answer.RequestID).Stringer(logTook, rounded(answer.Took)).
		Msg(map[dispatch.Direction]string{dispatch.Push: "node took the stream", dispatch.Pull: "node gave the stream"}[s.direction])
	s.tell(EventUpstreamRestored, levelInfo, "node "+at.node.Host()+" has the stream", "")
	return s.carry(ctx, &node{contact: at, since: time.Now()})
}

// carry is one session with a node, to its end.
func (s *Stream) carry(ctx context.Context, at *node) *loss {
	s.enter(s.onAir(), at.node.Host())
	err := guarded(func() error { return s.errand.carry(ctx, at) })
	defer at.upstream.Close() // one that was paused has not been closed yet
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errLeaving) && at.leave() == nil:
		s.node = at
		return nil
	}
	s.lostAt = time.Now()
	lost := &loss{what: "node lost", stage: AtIO, node: at.node.Host(), lasted: time.Since(at.since), err: err}
	if moved, ok := elsewhere(err, at.target); ok && !s.wasSent {
		lost.what, s.moved = "node sent us elsewhere", moved
	}
	if errors.Is(err, errRedispatch) {
		lost.what = "node left"
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
	request := dispatch.Request{StreamID: s.id, Direction: s.direction, Urgency: dispatch.Redispatch}
	switch first := s.counters.dispatches.Add(1) == 1; {
	case s.direction == dispatch.Pull:
		request.Urgency = dispatch.Other // a show goes on before somebody here watches one
	case first:
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
			Msg("no node from ZEGO: its last answer had to do while the API was not there")
	}
	return s.remembered.answer, err
}

// take brings a message into the backlog, behind the seam of who sent it.
func (s *Stream) take(m rtmp.Message, at time.Time, seam *seam) {
	s.counters.bytesIn.Add(uint64(len(m.Payload)))
	s.counters.messagesIn.Add(1)
	s.lastMedia.Store(int64(at.Sub(s.since)))
	e := entry{Message: m, info: m.Inspect(), at: at}
	s.meter.Note(m, e.info, at)
	seam.take(e, &s.clock, s.backlog)
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

// giveVerdict keeps a dispatch's result for those who want to publish or play.
func (s *Stream) giveVerdict(err error) {
	s.mu.Lock()
	s.verdict = err
	s.mu.Unlock()
	s.errand.judged(err)
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
	stage  Stage
	node   string
	lasted time.Duration
	err    error
}

// wait holds the stream back before the next dispatch, as long as what was lost
// asks for. The end of the encoder doesn't cut it short: what it sent is still
// to be delivered, if there is anything.
func (s *Stream) wait(ctx context.Context, lost *loss) {
	retry := &s.retry
	retry.succeeded(lost.lasted)
	if lost.stage == AtIO {
		s.lostBy.add(lossOf(lost.err))
	} else {
		s.missedAt.add(string(lost.stage))
	}
	delay := s.delay(lost, retry.next())
	s.logLoss(lost, retry.failures, delay)
	s.enterWaiting(lost, retry.failures, time.Now().Add(delay))
	s.pause(ctx, delay)
}

// delay is how long to wait after a loss that by itself would ask for usual.
func (s *Stream) delay(lost *loss, usual time.Duration) time.Duration {
	verdict := dispatch.VerdictOf(lost.err)
	switch {
	case lost.lasted >= healthyAfter, s.moved.Host() != "", errors.Is(lost.err, errRedispatch):
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
	case <-s.again:
		return
	case <-ctx.Done():
		return
	case <-s.gone:
	}
	if s.errand.settled() {
		return
	}
	select {
	case <-timer.C:
	case <-s.again:
	case <-ctx.Done():
	}
}
