package relay

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestWrongKeysSlowAnAddressDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuesses()
		a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
		want := []time.Duration{0, 0, 0, 125, 250, 500, 1000, 2000, 2000}
		for i, w := range want {
			if got := g.delay(a); got != w*time.Millisecond {
				t.Errorf("after %d wrong keys: %v, want %v", i, got, w*time.Millisecond)
			}
			g.failed(a)
		}
		if g.delay(b) != 0 {
			t.Error("another address pays for it")
		}
		begun := time.Now()
		if err := g.wait(t.Context(), a); err != nil || time.Since(begun) != guessDelayMax {
			t.Errorf("waited for %v, %v", time.Since(begun), err)
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if err := g.wait(over, a); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		<-time.After(guessLife)
		if g.delay(a) != 0 {
			t.Error("it is never forgotten")
		}
		for i := range 2 * maxGuessers {
			g.failed(netip.AddrFrom4([4]byte{11, 0, byte(i >> 8), byte(i)}))
		}
		if len(g.seen) > maxGuessers || g.byAge.Len() != len(g.seen) {
			t.Errorf("%d are remembered, most are %d", len(g.seen), maxGuessers)
		}
	})
}

// A customer with IPv6 has more addresses than anybody can remember.
func TestGuesserOf(t *testing.T) {
	for addr, want := range map[string]string{
		"10.1.2.3":         "10.1.2.3",
		"2001:db8:1:2::9":  "2001:db8:1:2::",
		"2001:db8:1:2:3::": "2001:db8:1:2::",
		"fe80::1%eth0":     "fe80::",
	} {
		if got := network(netip.MustParseAddr(addr)); got != netip.MustParseAddr(want) {
			t.Errorf("%s: got %v, want %s", addr, got, want)
		}
	}
	if network(netip.Addr{}).IsValid() {
		t.Error("an address out of nothing")
	}
}
