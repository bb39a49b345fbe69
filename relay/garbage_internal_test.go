//go:build !race

package relay

import "testing"

// A stream that is kept up with makes no garbage: its blocks go round. The race
// detector has a sync.Pool lose some: this one runs without it.
func TestBacklogMakesNoGarbage(t *testing.T) {
	b := filled(opening, gop(0))
	m := gop(5)
	allocs := testing.AllocsPerRun(200, func() {
		for range 20 {
			for i := range m {
				add(b, m[i])
			}
			b.release(b.end())
		}
	})
	if allocs > 2 { // a collection may take the spare blocks
		t.Errorf("%.0f allocations for 20 GOPs", allocs)
	}
}
