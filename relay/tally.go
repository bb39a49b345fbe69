package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"zegorelay/dispatch"
	"zegorelay/relay/rtmp"
)

// Why clients are turned away, or never come to say what they want.
const (
	rejectBadKey    = "bad_key"
	rejectAuth      = "auth"
	rejectConflict  = "conflict"
	rejectLimit     = "limit"
	rejectProtocol  = "protocol"
	rejectHandshake = "handshake"
	rejectZego      = "zego"
)

// tally counts what is not of one stream.
type tally struct {
	publishers, players       atomic.Int64 // now
	publishersEver, playsEver atomic.Uint64
	throttled                 atomic.Uint64
	connections               atomic.Uint64 // so far: their ids

	onDispatch func(dispatch.Direction, time.Duration)
	onRestore  func(time.Duration)

	mu         sync.Mutex
	rejects    map[string]uint64
	dispatches map[dispatchKind]dispatchSum
}

// dispatchKind is what dispatches are counted by.
type dispatchKind struct {
	direction dispatch.Direction
	code      string
}

type dispatchSum struct {
	requests uint64
	took     time.Duration
}

func newTally() *tally {
	return &tally{
		onDispatch: func(dispatch.Direction, time.Duration) {},
		onRestore:  func(time.Duration) {},
		rejects:    make(map[string]uint64),
		dispatches: make(map[dispatchKind]dispatchSum),
	}
}

func (t *tally) reject(reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rejects[reason]++
}

// rejectOf is the reason that counts for a connection that ended before it said
// what it wants; none for one that only looked in.
func rejectOf(err error) string {
	switch {
	case errors.Is(err, errCrowdedOut), errors.Is(err, rtmp.ErrTooBig):
		return rejectLimit
	case errors.Is(err, rtmp.ErrSlowHandshake):
		return rejectHandshake
	case errors.Is(err, rtmp.ErrProtocol):
		return rejectProtocol
	default:
		return ""
	}
}

// measured is a dispatch that is counted.
func (t *tally) measured(ask DispatchFunc) DispatchFunc {
	return func(ctx context.Context, r dispatch.Request) (dispatch.Answer, error) {
		begun := time.Now()
		answer, err := ask(ctx, r)
		took := time.Since(begun)
		if err == nil {
			took = answer.Took // without the wait for the budget
			t.onDispatch(r.Direction, took)
		}
		if dispatch.VerdictOf(err) == dispatch.Throttled {
			t.throttled.Add(1)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		kind := dispatchKind{r.Direction, codeOf(err)}
		sum := t.dispatches[kind]
		t.dispatches[kind] = dispatchSum{sum.requests + 1, sum.took + took}
		return answer, err
	}
}

// codeOf is a word for what came of a dispatch: from a set that peers can't make
// longer without end.
func codeOf(err error) string {
	var z *dispatch.Error
	var timeout net.Error
	switch {
	case err == nil:
		return "0"
	case errors.As(err, &z) && z.Code != 0:
		if _, known := dispatch.Lookup(z.Code); !known {
			return "unknown"
		}
		return strconv.Itoa(z.Code)
	case z != nil && z.HTTPStatus >= 300 && z.HTTPStatus <= 599:
		return fmt.Sprintf("http_%d", z.HTTPStatus)
	case z != nil && z.HTTPStatus != 0:
		return "answer" // that nobody can read
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	default:
		return "network"
	}
}

// totals returns all of it.
func (t *tally) totals() Totals {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := Totals{
		Publishers:     int(t.publishers.Load()),
		Players:        int(t.players.Load()),
		PublishersEver: t.publishersEver.Load(),
		PlaysEver:      t.playsEver.Load(),
		Rejects:        maps.Clone(t.rejects),
		Throttled:      t.throttled.Load(),
	}
	for kind, sum := range t.dispatches {
		all.Dispatches = append(all.Dispatches, DispatchCount{kind.direction, kind.code, sum.requests, sum.took})
	}
	slices.SortFunc(all.Dispatches, func(a, b DispatchCount) int {
		return cmp.Or(cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.Code, b.Code))
	})
	return all
}
