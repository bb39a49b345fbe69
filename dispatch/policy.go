package dispatch

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// ErrNotPublic is in the error of a dial to an address that no node may have.
var ErrNotPublic = errors.New("not public")

// NodePolicy says which addresses a node may have. ZEGO's answer is a claim
// like any other: without a policy it could point into our own network.
type NodePolicy struct {
	// Allow names what is not a public unicast address and may be dialled all
	// the same.
	Allow []netip.Prefix
}

// reserved are the networks that hold no public unicast address, that net/netip
// has no method for, and that lie in IPv4 or in IPv6's 2000::/3 (IANA
// special-purpose address registries).
func reserved() []netip.Prefix {
	var all []netip.Prefix
	for _, p := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"192.88.99.0/24", "203.0.113.0/24", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	} {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// Control is for net.Dialer: it sees the address after the name was resolved,
// right before the connect.
func (p NodePolicy) Control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("node address: %w", err)
	}
	addr := ap.Addr().Unmap().WithZone("")
	contains := func(n netip.Prefix) bool { return n.Contains(addr) }
	if slices.ContainsFunc(p.Allow, contains) {
		return nil
	}
	// Of IPv6 only 2000::/3 is given out. Outside of it lie also the addresses
	// that carry an IPv4 address, such as ::127.0.0.1 and 64:ff9b::/96.
	given := addr.Is4() || netip.MustParsePrefix("2000::/3").Contains(addr)
	public := given && addr.IsGlobalUnicast() && !addr.IsPrivate() && !slices.ContainsFunc(reserved(), contains)
	if !public {
		return fmt.Errorf("node address %s is %w: allow it with ZEGORELAY_NODE_ALLOW if it is right", addr, ErrNotPublic)
	}
	return nil
}
