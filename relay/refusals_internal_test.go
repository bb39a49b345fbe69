package relay

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// An encoder that tries again every 100 ms with a bad key is told of at the first
// time and at every doubling, and anew after a long pause.
func TestRepeatedRefusalsAreThinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRefusals()
		encoder, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		var told []int
		refuse := func(times int) {
			for range times {
				if n, tell := r.count(encoder, "bad key"); tell {
					told = append(told, n)
				}
				<-time.After(100 * time.Millisecond)
			}
		}
		refuse(100)
		if want := []int{1, 2, 4, 8, 16, 32, 64}; !slices.Equal(told, want) {
			t.Errorf("told at %v, want %v", told, want)
		}
		if n, tell := r.count(other, "bad key"); n != 1 || !tell {
			t.Errorf("another address: %d, %v", n, tell)
		}
		if n, tell := r.count(encoder, "taken"); n != 1 || !tell {
			t.Errorf("another reason: %d, %v", n, tell)
		}
		<-time.After(refusalLife)
		told = nil
		refuse(1)
		if !slices.Equal(told, []int{1}) || len(r.seen) != 1 {
			t.Errorf("after a long pause told at %v, %d remembered", told, len(r.seen))
		}
	})
}

// A client that asks for another key each time gets few lines.
func TestRefusalsOfManyKeysAreThinned(t *testing.T) {
	r := newRefusals()
	scanner := netip.MustParseAddr("192.0.2.1")
	lines := 0
	for n := range 100_000 {
		if _, tell := r.count(scanner, fmt.Sprint("bad key ", n)); tell {
			lines++
		}
	}
	if lines > maxReasons+17 { // 2^16 of the others
		t.Errorf("%d lines", lines)
	}
}

// However many there are who are refused, what is remembered is bounded, and nothing
// of it is forgotten by halves.
func TestRefusalsAreBounded(t *testing.T) {
	r := newRefusals()
	addr := netip.MustParseAddr("10.0.0.0")
	for n := range 3 * maxRefusals {
		if n%3 == 0 {
			addr = addr.Next()
		}
		r.count(addr, fmt.Sprint("bad key ", n))
	}
	sum := 0
	for _, n := range r.reasons {
		sum += n
	}
	if len(r.seen) != maxRefusals || r.byAge.Len() != maxRefusals || sum != maxRefusals {
		t.Errorf("%d, %d and %d remembered, want %d", len(r.seen), r.byAge.Len(), sum, maxRefusals)
	}
}

// Who has a whole network of IPv6 is one.
func TestANetworkIsRefusedAsOne(t *testing.T) {
	r := newRefusals()
	for i, addr := range []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::"} {
		if times, _ := r.count(netip.MustParseAddr(addr), "bad key"); times != i+1 {
			t.Errorf("%s: %d times", addr, times)
		}
	}
	if times, tell := r.count(netip.MustParseAddr("2001:db8:0:1::1"), "bad key"); times != 1 || !tell {
		t.Errorf("another network: %d times", times)
	}
}
