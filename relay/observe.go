package relay

import (
	"context"
	"sync"
	"time"

	"zegorelay/dispatch"
)

// observeEvery is how often all streams are looked at: rates are measured, health is
// judged and advice is found also while nobody asks.
const observeEvery = time.Second

// trimEvery is how long memory of payloads lies idle before half of it goes: longer
// than most GOPs, at whose end comes back what the whole next one takes.
const trimEvery = 5 * time.Second

// observe looks at all streams until ctx ends.
func (s *Server) observe(ctx context.Context) {
	tick := time.NewTicker(observeEvery)
	defer tick.Stop()
	trim := time.NewTicker(trimEvery)
	defer trim.Stop()
	for {
		select {
		case <-trim.C:
			s.memory.pool.Trim()
		case now := <-tick.C:
			for _, stream := range s.all() {
				if err := guarded(func() error { stream.observe(now); return nil }); err != nil {
					stream.log.Error().Err(err).Msg("a stream could not be looked at: please report it")
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

// observed is what only looking again and again tells.
type observed struct {
	mu      sync.Mutex
	out     rate
	advisor advisor
}

func (o *observed) read() (rateOut float64, advice []Advice) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.out.bits(), o.advisor.current()
}

// look takes in how a stream is, and returns what is wrong from now on, and what no
// longer.
func (o *observed) look(now time.Time, st Status) (begun, ended []Advice) {
	o.mu.Lock()
	defer o.mu.Unlock()
	sent := st.BytesOut // to nodes: local players are no uplink
	if st.Direction == dispatch.Pull {
		sent = st.BytesPlayed
	}
	o.out.look(now, sent)
	return o.advisor.look(now, st)
}

// observe is one look. Each trouble that a person can mend is told of once, when it
// begins and when it is over.
func (s *Stream) observe(now time.Time) {
	s.meter.look(now)
	begun, ended := s.observed.look(now, s.Status())
	for _, a := range begun {
		s.log.Warn().Str(logKind, a.Kind).Str(logAdvice, a.Fix).Msg(a.Text)
		s.tell(EventAdvice, levelWarn, a.Text, a.Fix)
	}
	for _, a := range ended {
		s.log.Info().Str(logKind, a.Kind).Stringer(logAfter, rounded(now.Sub(a.Since))).Msg("this is over: " + a.Text)
		s.tell(EventResolved, levelInfo, "this is over: "+a.Text, "")
	}
}
