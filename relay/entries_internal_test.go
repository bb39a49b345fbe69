package relay

import (
	"math/rand/v2"
	"sync"
	"testing"

	"zegorelay/relay/rtmp"
)

// The entries are those of a slice that grows at its end and is cut at its beginning,
// and take no more blocks than they need.
func TestEntries(t *testing.T) {
	var spare sync.Pool
	s := entries{spare: &spare}
	var want []uint32
	for n := uint32(0); n < 20_000; {
		for range rand.N(100) {
			s.add(&entry{Message: rtmp.Message{Timestamp: n, Payload: []byte{1}}})
			want = append(want, n)
			n++
		}
		drop := min(rand.N(110), len(want))
		s.drop(drop)
		want = want[drop:]
		if s.len() != len(want) {
			t.Fatalf("%d entries, want %d", s.len(), len(want))
		}
		for i := range want {
			if s.at(i).Timestamp != want[i] {
				t.Fatalf("entry %d is %d, want %d", i, s.at(i).Timestamp, want[i])
			}
		}
		if most := (len(want)+blockLen-2)/blockLen + 1; len(s.blocks) > most || len(want) == 0 && len(s.blocks) > 0 {
			t.Fatalf("%d blocks for %d entries", len(s.blocks), len(want))
		}
		for b, ok := spare.Get().(*block); ok; b, ok = spare.Get().(*block) {
			for i := range b {
				if b[i].Payload != nil {
					t.Fatal("a block that nobody needs holds a payload")
				}
			}
		}
	}
}
