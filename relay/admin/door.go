package admin

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// door is a listener that holds a number of connections at most. One more takes the place
// of the one that has waited longest: for a request, or for the rest of its head. If all
// of them are being answered, the new one is closed. So a thousand connections that say
// nothing, or say it slowly, shut nobody out who asks at once.
type door struct {
	net.Listener
	most int

	mu      sync.Mutex
	inside  map[*guest]struct{}
	closed  bool
	answers sync.WaitGroup
}

// guest is a connection inside.
type guest struct {
	net.Conn
	door *door

	waiting time.Time // since when; zero while it is being answered
}

// guestKey is where a request's context has its guest.
type guestKey struct{}

func newDoor(ln net.Listener, most int) *door {
	return &door{Listener: ln, most: most, inside: make(map[*guest]struct{})}
}

// Accept returns the next connection for which there is a place.
func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		g := &guest{Conn: c, door: d, waiting: time.Now()}
		if d.admit(g) {
			return g, nil
		}
		_ = c.Close()
	}
}

func (d *door) admit(g *guest) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.inside) >= d.most {
		longest := d.longestWaiting()
		if longest == nil {
			return false
		}
		delete(d.inside, longest)
		_ = longest.Conn.Close()
	}
	d.inside[g] = struct{}{}
	return true
}

func (d *door) longestWaiting() *guest {
	var longest *guest
	for g := range d.inside {
		if !g.waiting.IsZero() && (longest == nil || g.waiting.Before(longest.waiting)) {
			longest = g
		}
	}
	return longest
}

// Close gives the place back.
func (g *guest) Close() error {
	g.door.mu.Lock()
	delete(g.door.inside, g)
	g.door.mu.Unlock()
	return g.Conn.Close()
}

// context notes the guest of a connection for its requests.
func (d *door) context(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, guestKey{}, c)
}

// count has a guest not waiting while next answers it.
func (d *door) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !d.begin() {
			return
		}
		defer d.answers.Done()
		if g, ok := r.Context().Value(guestKey{}).(*guest); ok {
			d.mark(g, time.Time{})
			defer func() { d.mark(g, time.Now()) }()
		}
		next.ServeHTTP(w, r)
	})
}

func (d *door) mark(g *guest, waiting time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g.waiting = waiting
}

// begin reports false if wait was called: WaitGroups want that in order.
func (d *door) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.answers.Add(1)
	}
	return !d.closed
}

// wait waits for answers that are still being given after http.Server.Close.
func (d *door) wait() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.answers.Wait()
}
