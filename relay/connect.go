package relay

import (
	"context"
	"errors"
	"os"
	"time"

	"zegorelay/dispatch"
	"zegorelay/relay/rtmp"
)

// raceEvery is how long a node may keep us waiting before the next one of the
// same answer is tried beside it.
const raceEvery = 500 * time.Millisecond

var errSlowNode = errors.New("it didn't take the stream in time")

// contact is an attempt at one node: a session that claims nothing yet, or
// why there is none.
type contact struct {
	asked    dispatch.Node // ZEGO's word
	node     dispatch.Node // the same, or where that one sent us
	target   rtmp.Target
	upstream *rtmp.Upstream
	deadline time.Time // for Publish.Start or Play.Start
	err      error
}

// node is a session with a node that has the stream.
type node struct {
	contact
	since time.Time

	uplink *uplink  // of a push, once it is carried
	seam   *seam    // of a pull
	file   *os.File // its connection, for another process; nil: it stays here
}

// leave makes the session fit for another process, if that can be.
func (n *node) leave() (err error) {
	n.file, err = n.upstream.File()
	return err
}

// connect brings the stream to one of the nodes of an answer. The contact
// returned is the one that has it, or the last that failed, with all errors.
func (s *Stream) connect(ctx context.Context, nodes []dispatch.Node) contact {
	r := &race{s: s, waiting: nodes}
	last := contact{err: errors.New("the answer names no node")}
	var errs []error
	for ctx.Err() == nil && r.hasRunners() {
		c, failed := r.next(ctx)
		if c.err == nil {
			if c.err = s.claim(ctx, c); c.err == nil {
				return c
			}
			failed = append(failed, c)
		}
		for _, f := range failed {
			errs = append(errs, f.err)
			last = f
		}
	}
	if len(errs) > 0 {
		last.err = errors.Join(errs...)
	}
	return last
}

// claim takes the stream up at a node that has won a race.
func (s *Stream) claim(ctx context.Context, c contact) error {
	ctx, cancel := context.WithDeadlineCause(ctx, c.deadline, errSlowNode)
	defer cancel()
	return s.errand.claim(ctx, c.upstream)
}

// race tries the nodes of an answer in order, the next one while the last still
// hangs. The first to answer connect wins; nobody else ever publishes or plays.
type race struct {
	s       *Stream
	waiting []dispatch.Node // not tried, or called off when another won
}

func (r *race) hasRunners() bool { return len(r.waiting) > 0 }

// next runs the race until a node has answered or all have failed. All others
// are called off: should the winner not take the stream after all, they run
// again.
func (r *race) next(ctx context.Context) (winner contact, failed []contact) {
	ctx, callOff := context.WithCancel(ctx)
	results := make(chan contact, len(r.waiting))
	running := 0
	defer func() {
		callOff()
		r.collect(results, running)
	}()
	tick := time.NewTicker(raceEvery)
	defer tick.Stop()
	for {
		if len(r.waiting) > 0 {
			node := r.waiting[0]
			r.waiting = r.waiting[1:]
			running++
			r.s.enter(Connecting, node.Host())
			go func() { results <- r.s.dial(ctx, node) }() // collect waits for it
			tick.Reset(raceEvery)
		}
		select {
		case c := <-results:
			running--
			if c.err == nil {
				return c, failed
			}
			failed = append(failed, c)
			if running+len(r.waiting) == 0 {
				return c, failed
			}
		case <-tick.C:
		}
	}
}

// collect waits for the runners that were called off. They may run again.
func (r *race) collect(results <-chan contact, running int) {
	for range running {
		c := <-results
		if c.err == nil {
			_ = c.upstream.Close()
		}
		r.waiting = append(r.waiting, c.asked)
	}
}

// dial opens a session with a node, or with the one that it sends us to: once.
func (s *Stream) dial(ctx context.Context, node dispatch.Node) contact {
	c := contact{asked: node, node: node, deadline: time.Now().Add(s.o.ConnectTimeout)}
	ctx, cancel := context.WithDeadlineCause(ctx, c.deadline, errSlowNode)
	defer cancel()
	c.reach(ctx, s.o.Nodes)
	if moved, ok := elsewhere(c.err, c.target); ok {
		c.node = moved
		c.reach(ctx, s.o.Nodes)
	}
	return c
}

// reach connects to the contact's node.
func (c *contact) reach(ctx context.Context, nodes rtmp.Dialer) {
	if c.target, c.err = rtmp.ParseTarget(c.node.URL()); c.err == nil {
		c.upstream, c.err = nodes.Connect(ctx, c.target)
	}
}

// elsewhere is the node to which a peer sends us in err, if it does: a URL that
// is checked like one from ZEGO, here and when it is dialled.
func elsewhere(err error, from rtmp.Target) (dispatch.Node, bool) {
	var status *rtmp.StatusError
	if !errors.As(err, &status) {
		return dispatch.Node{}, false
	}
	rawURL, ok := status.Elsewhere(from)
	if !ok {
		return dispatch.Node{}, false
	}
	node, err := dispatch.ParseNode(rawURL)
	return node, err == nil
}
