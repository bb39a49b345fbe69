package dispatch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestOneRequestOfAStreamAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		var work sync.WaitGroup
		var underWay, most atomic.Int32
		begun := time.Now()
		for range 5 {
			work.Go(func() {
				done, err := all.take(t.Context(), "cam1")
				if err != nil {
					t.Error(err)
					return
				}
				defer done()
				most.Store(max(most.Load(), underWay.Add(1)))
				<-time.After(time.Second)
				underWay.Add(-1)
			})
		}
		synctest.Wait()
		done, err := all.take(t.Context(), "cam2")
		if err != nil || time.Since(begun) > 0 {
			t.Errorf("another stream waited %v, %v", time.Since(begun), err)
		}
		done()
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		if _, err := all.take(ctx, "cam1"); !errors.Is(err, cause) {
			t.Errorf("got %v", err)
		}
		work.Wait()
		if most.Load() != 1 || time.Since(begun) != 5*time.Second || len(all.taken) > 0 {
			t.Errorf("%d at a time, for %v, %d left", most.Load(), time.Since(begun), len(all.taken))
		}
	})
}
