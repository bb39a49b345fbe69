package relay

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// reader reads a backlog on a goroutine of its own, as an uplink does, with a deputy
// for while it sleeps.
type reader struct {
	f        *follower
	byDeputy []string
	byItself []string
	refuse   bool // the deputy takes and leaves the rest to the goroutine
	ended    chan error
}

func newReader(ctx context.Context, b *backlog) *reader {
	r := &reader{f: b.follow(), ended: make(chan error, 1)}
	r.f.deputy = r.act
	go func() { r.ended <- r.read(ctx) }()
	synctest.Wait()
	return r
}

func (r *reader) act() bool {
	got, err := r.f.grab(make([]entry, 0, 4), 1<<20)
	r.byDeputy = append(r.byDeputy, names(got)...)
	return err == nil && !r.refuse
}

func (r *reader) read(ctx context.Context) error {
	for {
		got, asleep, err := r.f.take(make([]entry, 0, 4), 1<<20)
		r.byItself = append(r.byItself, names(got)...)
		if asleep {
			err = r.f.sleep(ctx)
		}
		if err != nil {
			return err
		}
	}
}

func names(entries []entry) (all []string) {
	for _, e := range entries {
		all = append(all, name(e.Message))
	}
	return all
}

func checkNames(t *testing.T, who string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", who, got, want)
	}
}

func TestDeputyActsForASleeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := filled(opening, gop(0))
		r := newReader(t.Context(), b)
		checkNames(t, "itself", r.byItself, "m1", "vh1", "ah1", "key0", "a1", "v2", "a3", "v4")

		add(b, audio(5))
		synctest.Wait()
		checkNames(t, "the deputy", r.byDeputy, "a5")

		// More than the deputy takes at once: the rest is the goroutine's.
		for _, m := range gop(6) {
			b.append(entry{Message: m, info: m.Inspect(), at: time.Now()})
		}
		b.announce()
		synctest.Wait()
		checkNames(t, "the deputy", r.byDeputy, "a5", "key6", "a7", "v8", "a9")
		checkNames(t, "itself", r.byItself[8:], "v10")

		// What the deputy couldn't do wakes the goroutine, which sleeps again.
		r.refuse = true
		add(b, audio(11))
		r.refuse = false
		synctest.Wait()
		add(b, audio(12))
		synctest.Wait()
		checkNames(t, "the deputy", r.byDeputy[5:], "a11", "a12")

		b.close()
		if err := <-r.ended; !errors.Is(err, errDrained) {
			t.Errorf("at the end: got %v", err)
		}
	})
}

// Nobody is told twice of the same, nor of nothing.
func TestAnnounceOnlyWhatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := filled(opening, gop(0))
		r := newReader(t.Context(), b)
		calls := 0
		act := r.f.deputy
		r.f.deputy = func() bool { calls++; return act() }
		b.announce()
		add(b, audio(5))
		b.announce()
		if calls != 1 {
			t.Errorf("the deputy was called %d times for one message", calls)
		}
		b.close()
		<-r.ended
	})
}

// A session that ends while its deputy is at work waits until that is done: only one
// of them may touch the session.
func TestSleeperEndsWhileItsDeputyActs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := filled(opening, gop(0))
		ctx, cancel := context.WithCancel(t.Context())
		r := newReader(ctx, b)
		act := r.f.deputy
		r.f.deputy = func() bool {
			cancel()
			synctest.Wait()
			select {
			case err := <-r.ended:
				t.Errorf("the reader has ended beside its deputy: %v", err)
			default:
			}
			return act()
		}
		add(b, audio(5))
		if err := <-r.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if len(b.sleepers) > 0 {
			t.Error("it is taken for asleep")
		}
	})
}

// A bug in a session's deputy ends that session, as if it had been its own, and
// not who appends.
func TestDeputyPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := filled(opening, gop(0))
		r := newReader(t.Context(), b)
		r.f.deputy = func() bool { panic("a bug") }
		add(b, audio(5))
		if err := <-r.ended; err == nil || !strings.Contains(err.Error(), "a bug") {
			t.Errorf("the session ended with %v", err)
		}
		add(b, audio(6)) // wakes nobody
	})
}
