package zegosim

import (
	"errors"
	"sync"

	"zegorelay/relay/rtmp"
)

// viewerQueue is how many messages a player may be behind.
const viewerQueue = 4096

var errBehind = errors.New("the player is too slow")

// channel is what a StreamId's publisher sends, for those who play it, at
// whatever node either is.
type channel struct {
	mu      sync.Mutex
	live    bool
	headers []rtmp.Message // the newest of each kind
	gop     []rtmp.Message // from the newest keyframe on
	viewers map[*viewer]bool
}

// viewer is a player's place at a channel.
type viewer struct {
	queue chan rtmp.Message
	over  chan struct{} // closed when nothing more will come
	err   error         // why, once over is closed; nil at the publisher's end
}

func newViewer() *viewer {
	return &viewer{queue: make(chan rtmp.Message, viewerQueue), over: make(chan struct{})}
}

// channel returns that of a StreamId.
func (s *Sim) channel(streamID string) *channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[streamID]
	if c == nil {
		c = &channel{viewers: make(map[*viewer]bool)}
		s.channels[streamID] = c
	}
	return c
}

// begin opens the channel for a publisher. end is its counterpart.
func (c *channel) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live, c.headers, c.gop = true, nil, nil
}

// end closes the channel: its players are told.
func (c *channel) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live = false
	for v := range c.viewers {
		close(v.over)
	}
	clear(c.viewers)
}

// send passes a message on to the players. It doesn't wait for them.
func (c *channel) send(m rtmp.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info := m.Inspect()
	switch {
	case isHeader(info.Kind):
		c.replace(m, info)
	case info.Kind == rtmp.Keyframe:
		c.gop = append(c.gop[:0:0], m)
	case len(c.gop) > 0 && len(c.gop) < viewerQueue/2:
		c.gop = append(c.gop, m)
	}
	for v := range c.viewers {
		select {
		case v.queue <- m:
		default:
			v.err = errBehind
			close(v.over)
			delete(c.viewers, v)
		}
	}
}

func (c *channel) replace(m rtmp.Message, info rtmp.Info) {
	for i, old := range c.headers {
		if old.Type == m.Type && old.Inspect() == info {
			c.headers[i] = m
			return
		}
	}
	c.headers = append(c.headers, m)
}

// join gives a viewer what it needs to begin with, and all that follows. It
// reports false if nobody publishes.
func (c *channel) join(v *viewer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.live {
		return false
	}
	for _, m := range c.headers {
		if len(c.gop) > 0 {
			m.Timestamp = c.gop[0].Timestamp
		}
		v.queue <- m // has room: the queue is new
	}
	for _, m := range c.gop {
		v.queue <- m
	}
	c.viewers[v] = true
	return true
}

func (c *channel) leave(v *viewer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.viewers, v)
}
