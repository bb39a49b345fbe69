package relay

import (
	"context"
	"sync"
	"time"

	"zegorelay/dispatch"
	"zegorelay/relay/media"
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
	out     media.Rate
	advisor media.Advisor
}

func (o *observed) read() (rateOut float64, advice []Advice) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.out.Bits(), o.advisor.Current()
}

// look takes in how a stream is, and returns what is wrong from now on, and what no
// longer.
func (o *observed) look(now time.Time, st *Status) (begun, ended []Advice) {
	o.mu.Lock()
	defer o.mu.Unlock()
	sent := st.BytesOut // to nodes: local players are no uplink
	if st.Direction == dispatch.Pull {
		sent = st.BytesPlayed
	}
	o.out.Look(now, sent)
	return o.advisor.Look(now, st.condition())
}

// condition is what advice depends on.
func (st *Status) condition() media.Condition {
	c := media.Condition{
		Figures: st.Figures,
		Encoder: st.Publishes,
		Pulled:  st.Direction == dispatch.Pull,
		RateOut: st.RateOut,
		Lag:     st.Lag,
		Behind:  st.isBehind(0),
		Dropped: slowDrops(st.Drops),
	}
	if st.State == Publishing {
		c.OnAir = st.StateFor
	}
	return c
}

// slowDrops is how many messages were left out because the node was behind.
func slowDrops(all []Drop) (messages uint64) {
	for _, d := range all {
		if d.Reason == dropSlow.String() {
			messages += d.Messages
		}
	}
	return messages
}

// observe is one look. Each trouble that a person can mend is told of once, when it
// begins and when it is over.
func (s *Stream) observe(now time.Time) {
	s.meter.Look(now)
	st := s.Status()
	begun, ended := s.observed.look(now, &st)
	for _, a := range begun {
		s.log.Warn().Str(logKind, a.Kind).Str(logAdvice, a.Fix).Msg(a.Text)
		s.tell(EventAdvice, levelWarn, a.Text, a.Fix)
	}
	for _, a := range ended {
		s.log.Info().Str(logKind, a.Kind).Stringer(logAfter, rounded(now.Sub(a.Since))).Msg("this is over: " + a.Text)
		s.tell(EventResolved, levelInfo, "this is over: "+a.Text, "")
	}
}
