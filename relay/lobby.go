package relay

import (
	"container/list"
	"errors"
	"net"
	"net/netip"
	"sync"
)

// errCrowdedOut is why a connection that had not published yet was closed.
var errCrowdedOut = errors.New("too many connections wait to publish")

// lobby bounds connections. Those that publish or play keep their place. Those that
// have not said yet what they want wait in the lobby, where the one that has
// waited longest makes room for a new one: idle connections, however many,
// never shut a publisher out.
type lobby struct {
	most    int // connections in all
	perAddr int // of them, waiting ones of one address
	refused *refusals

	mu      sync.Mutex
	inside  int
	waiting list.List // of *visit, oldest first
	byAddr  map[netip.Addr]int
}

// visit is one connection's stay.
type visit struct {
	lobby   *lobby
	addr    netip.Addr
	leave   func(cause error) // ends the connection
	place   *list.Element     // nil once it publishes or plays
	evicted bool              // its place is another's now
}

func newLobby(most, perAddr int) *lobby {
	return &lobby{most: most, perAddr: perAddr, refused: newRefusals(), byAddr: make(map[netip.Addr]int)}
}

// enter lets a connection in; leave must end it, without blocking. It reports
// false if all places are taken by encoders and players.
func (l *lobby) enter(remote net.Addr, leave func(cause error)) (*visit, bool) {
	v := &visit{lobby: l, addr: addrOf(remote), leave: leave}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byAddr[v.addr] >= l.perAddr {
		l.evict(func(old *visit) bool { return old.addr == v.addr })
	}
	if l.inside >= l.most && !l.evict(func(*visit) bool { return true }) {
		return nil, false
	}
	v.place = l.waiting.PushBack(v)
	l.byAddr[v.addr]++
	l.inside++
	return v, true
}

// admit lets in a connection that has its place already.
func (l *lobby) admit(remote net.Addr, leave func(cause error)) *visit {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inside++
	return &visit{lobby: l, addr: addrOf(remote), leave: leave}
}

// size is how many connections there are.
func (l *lobby) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inside
}

// evict ends the connection that has waited longest of those that match.
func (l *lobby) evict(match func(*visit) bool) bool {
	for e := l.waiting.Front(); e != nil; e = e.Next() {
		if v := e.Value.(*visit); match(v) {
			v.stopWaiting()
			v.evicted = true
			l.inside--
			v.leave(errCrowdedOut)
			return true
		}
	}
	return false
}

// stays moves the connection from the lobby to those that keep their place.
func (v *visit) stays() {
	v.lobby.mu.Lock()
	defer v.lobby.mu.Unlock()
	v.stopWaiting()
}

// exit gives the place back.
func (v *visit) exit() {
	v.lobby.mu.Lock()
	defer v.lobby.mu.Unlock()
	v.stopWaiting()
	if !v.evicted {
		v.lobby.inside--
	}
}

// stopWaiting takes the connection off the list, if it is on it. The caller
// holds the lock.
func (v *visit) stopWaiting() {
	if v.place == nil {
		return
	}
	v.lobby.waiting.Remove(v.place)
	v.place = nil
	if v.lobby.byAddr[v.addr]--; v.lobby.byAddr[v.addr] == 0 {
		delete(v.lobby.byAddr, v.addr)
	}
}

func addrOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("") // prefixes have no zones
	}
	return netip.Addr{}
}

// network is what one client has to itself: of IPv6 that is a /64, at least.
func network(addr netip.Addr) netip.Addr {
	if !addr.Is6() {
		return addr
	}
	p, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return addr
	}
	return p.Addr()
}
