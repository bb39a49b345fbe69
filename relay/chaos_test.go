package relay_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"zegorelay/dispatch/zegosim"
	"zegorelay/relay"
	"zegorelay/relay/handover"
)

// What scripts/chaos asks for.
var (
	chaosFor     = flag.Duration("chaos.for", 60*time.Second, "how long the chaos lasts")
	chaosSeed    = flag.Uint64("chaos.seed", 0, "its seed; 0: another one every time")
	chaosStreams = flag.Int("chaos.streams", 8, "streams")
	chaosLog     = flag.String("chaos.log", "", "file for the relay's log")
)

const chaosNodes = 5

// Every kind of death, again and again, to every stream, while encoders blip, the API
// has outages and the server itself is succeeded by another: all that encoders send arrives, in order within every
// session, nothing of another stream, and no encoder notices. In the end nothing
// is left behind.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	seed := *chaosSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	goroutines, files := runtime.NumGoroutine(), openFiles()

	c := newChaos(t, seed)
	c.run(*chaosFor, func(actors *sync.WaitGroup) {
		actors.Go(func() { c.breakAPI(c.random(1)) })
		actors.Go(func() { c.breakNodes(c.random(2)) })
		if runtime.GOOS == "linux" {
			actors.Go(func() { c.handOver(c.random(3)) })
		}
	})
	c.check()
	c.r.stop()
	if err := c.r.sim.Close(); err != nil {
		t.Error(err)
	}
	c.r.waitFor("all goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines+2 })
	if now := openFiles(); now > files+2 {
		t.Errorf("%d file descriptors are open, %d were before", now, files)
	}
}

// How long a stream is without a node that dies, by kind of death, when the API
// and the other nodes are well.
func TestSwitchTimes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some time")
	}
	c := newChaos(t, *chaosSeed)
	c.calm = true
	c.run(min(*chaosFor, max(15*time.Second, *chaosFor/3)), nil)
	c.check()
	c.deaths.within(t, zegosim.ResetSession.String(), 500*time.Millisecond)
	c.deaths.within(t, zegosim.CloseSession.String(), 500*time.Millisecond)
	c.deaths.within(t, zegosim.BlackholeSession.String(), 2*time.Second)
}

// openFiles is the number of file descriptors of the process, 0 where /proc
// doesn't tell.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// chaos is a run with all its actors, each with its own random numbers.
type chaos struct {
	r      *rig
	seed   uint64
	calm   bool          // only sessions die, and not before they are worth a reset of the back-off
	over   chan struct{} // closed when no more harm is to be done …
	done   chan struct{} // … and when none is
	deaths *register
}

func newChaos(t *testing.T, seed uint64) *chaos {
	t.Helper()
	c := &chaos{seed: seed, over: make(chan struct{}), done: make(chan struct{}), deaths: newRegister()}
	c.r = newRig(t, setup{nodes: chaosNodes, observe: c.deaths.observe, tune: func(o *relay.Options) {
		o.Backlog, o.StallTimeout, o.ConnectTimeout = time.Minute, time.Second, time.Second
		o.RetryMin, o.RetryMax = 200*time.Millisecond, time.Second
		o.Grace, o.DrainTimeout = 10*time.Second, 30*time.Second
	}})
	return c
}

// run blocks until every stream has come to its end. Besides the nodes' killers
// it sets on whatever more does.
func (c *chaos) run(d time.Duration, more func(actors *sync.WaitGroup)) {
	var actors, streams sync.WaitGroup
	for i := range *chaosStreams {
		key := fmt.Sprintf("chaos%d", i)
		s := &chaosStream{
			chaos: c, rng: c.random(100 + i),
			encoder: &encoder{r: c.r, key: key, audit: c.r.audit(key), size: 1500},
		}
		streams.Go(s.live)
		actors.Go(func() { c.kill(key, c.random(200+i)) })
	}
	if more != nil {
		more(&actors)
	}
	<-time.After(d)
	close(c.over)
	actors.Wait()
	close(c.done)
	streams.Wait()
}

// check holds what arrived against what was sent.
func (c *chaos) check() {
	c.r.checkAll()
	c.deaths.table(c.r.t)
	if *chaosLog != "" {
		if err := os.WriteFile(*chaosLog, []byte(c.r.log.String()), 0o600); err != nil {
			c.r.t.Error(err)
		}
	}
}

func (c *chaos) random(actor int) *rand.Rand { return rand.New(rand.NewPCG(c.seed, uint64(actor))) }

// pause waits, and reports false once all is over.
func (c *chaos) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-c.over:
		return false
	}
}

func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)))
}

// kill ends a stream's session at its node in one way after the other.
func (c *chaos) kill(key string, rng *rand.Rand) {
	endings := zegosim.Endings()
	least := 500 * time.Millisecond
	if c.calm {
		least = 2500 * time.Millisecond
	}
	for c.pause(between(rng, least, 4*time.Second)) {
		s := c.r.streamStatus(key)
		node := c.r.sim.NodeAt(s.Node)
		if s.State != relay.Publishing || node == nil {
			continue
		}
		how := endings[rng.IntN(len(endings))]
		c.deaths.dies(key, how.String(), s.Replayed)
		if !node.End(key, how) {
			c.deaths.lives(key)
			continue
		}
		for c.deaths.isDead(key) {
			if !c.pause(20 * time.Millisecond) {
				return
			}
		}
	}
}

// breakAPI gives the API outages of up to three seconds.
func (c *chaos) breakAPI(rng *rand.Rand) {
	faults := []zegosim.APIFault{
		zegosim.AnswerHTTP{Status: 503}, zegosim.AnswerHTTP{Status: 200, Body: "<html>"}, zegosim.AnswerCode(1001),
		zegosim.AnswerCode(1010), zegosim.Hang{}, zegosim.Drop{}, zegosim.Reset{},
	}
	for c.pause(between(rng, 5*time.Second, 10*time.Second)) {
		c.deaths.trouble(+1)
		if i := rng.IntN(len(faults) + 1); i < len(faults) {
			c.r.sim.SetAPIFault(faults[i])
			c.pause(between(rng, 500*time.Millisecond, 3*time.Second))
			c.r.sim.SetAPIFault(nil)
		} else {
			c.r.sim.KillAPI()
			c.pause(between(rng, 500*time.Millisecond, 3*time.Second))
			if err := c.r.sim.ReviveAPI(); err != nil {
				c.r.t.Error(err)
			}
		}
		c.pause(2 * time.Second) // for those who still wait
		c.deaths.trouble(-1)
	}
}

// handOver has another server go on, and another.
func (c *chaos) handOver(rng *rand.Rand) {
	for c.pause(between(rng, time.Second, 5*time.Second)) {
		if err := c.r.trySucceed(func(*handover.Bundle) {}); err != nil {
			c.r.t.Error(err)
			return
		}
	}
}

// breakNodes kills whole nodes, and has others treat new connections badly.
func (c *chaos) breakNodes(rng *rand.Rand) {
	faults := []zegosim.NodeFault{
		zegosim.SilentHandshake, zegosim.SilentPublish, zegosim.RefusePublish,
		zegosim.ResetOnStart, zegosim.CloseOnStart, zegosim.Blackhole,
	}
	for c.pause(between(rng, 3*time.Second, 8*time.Second)) {
		node := c.r.sim.Nodes()[rng.IntN(chaosNodes)]
		c.deaths.trouble(+1)
		if i := rng.IntN(len(faults) + 2); i < len(faults) {
			node.SetFault(faults[i])
			c.pause(between(rng, time.Second, 3*time.Second))
			node.SetFault(zegosim.Healthy)
		} else {
			node.Kill()
			c.pause(between(rng, 500*time.Millisecond, 3*time.Second))
			if err := node.Revive(); err != nil {
				c.r.t.Error(err)
			}
		}
		c.pause(2 * time.Second)
		c.deaths.trouble(-1)
	}
}

// chaosStream is an encoder in the chaos.
type chaosStream struct {
	*encoder
	chaos    *chaos
	rng      *rand.Rand
	tookOver bool // the connection, from one that still stood
}

// live publishes until no harm is done any more, and says goodbye. Now and then it blips.
func (s *chaosStream) live() {
	frame := time.NewTicker(20 * time.Millisecond)
	defer frame.Stop()
	if !s.connect() {
		return
	}
	blip := time.After(between(s.rng, 3*time.Second, 15*time.Second))
	for {
		select {
		case <-s.chaos.done:
			s.leave()
			return
		case <-blip:
			if s.chaos.calm {
				continue
			}
			if !s.blip() {
				return
			}
			blip = time.After(between(s.rng, 3*time.Second, 15*time.Second))
		case err := <-s.over:
			s.r.t.Errorf("%s: the encoder's session ended: %v", s.key, err)
			return
		case <-frame.C:
			if err := s.try(s.frame()...); err != nil {
				s.r.t.Errorf("%s: the encoder was disturbed: %v", s.key, err)
				return
			}
		}
	}
}

func (s *chaosStream) connect() bool {
	up, err := s.r.dial(s.key)
	if err == nil {
		s.audit.Rejoin()
		s.attach(up)
		err = s.try(usualHeaders()...)
	}
	if err != nil {
		s.r.t.Errorf("%s: can't publish: %v", s.key, err)
	}
	return err == nil
}

// blip loses the connection in one of three ways, and comes back. All that was
// sent before must arrive.
func (s *chaosStream) blip() bool {
	if !eventually(func() bool { return s.r.streamStatus(s.key).MessagesIn == uint64(s.sent) }) {
		s.r.t.Errorf("%s: %d messages were sent, %d read", s.key, s.sent, s.r.streamStatus(s.key).MessagesIn)
		return false
	}
	s.n = 0
	old := s.up
	defer old.Close()
	if s.tookOver = !s.tookOver && s.rng.IntN(3) == 0; s.tookOver {
		return s.connect()
	}
	old.Close()
	<-time.After(between(s.rng, 0, 2*time.Second))
	return s.connect()
}

// leave ends the stream in order, when no harm is done any more.
func (s *chaosStream) leave() {
	if err := s.up.Unpublish(); err != nil {
		s.r.t.Errorf("%s: goodbye: %v", s.key, err)
	}
	<-s.over
	_ = s.up.Close()
	if !eventually(func() bool { return s.r.streamStatus(s.key).State == relay.Closed }) {
		s.r.t.Errorf("%s doesn't end: %+v", s.key, s.r.streamStatus(s.key))
	}
}

// eventually asks again and again, for as long as a test may wait.
func eventually(ok func() bool) bool {
	deadline := time.Now().Add(3 * patience)
	for !ok() {
		if time.Now().After(deadline) {
			return false
		}
		<-time.After(5 * time.Millisecond)
	}
	return true
}
