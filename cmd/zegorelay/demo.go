package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"zegorelay/cmd/zegorelay/testcard"
	"zegorelay/config"
	"zegorelay/dispatch"
	"zegorelay/dispatch/zegosim"
	"zegorelay/relay/rtmp"
)

const (
	demoAppID  = 1234567890
	demoSecret = "00112233445566778899aabbccddeeff" // the stand-in's own
	demoToken  = "the-demo-has-no-secrets"          //nolint:gosec // it says so
	demoKey    = "testcard"
	demoNodes  = 3

	demoTick   = time.Second
	demoKill   = 15 * time.Second // from one node's death to the next
	demoRevive = 5 * time.Second  // how long a node stays dead
)

type demoCommand struct {
	For    time.Duration `help:"End by itself after this time; exit 0 only if nothing was lost." placeholder:"45s"`
	Listen string        `help:"Address for encoders [127.0.0.1:1935, or a free port if that is taken]." placeholder:"ADDR"`
	Fault  string        `help:"Begin with a fault of the stand-in; ? names them all." placeholder:"NAME"`
	Log    bool          `help:"Show the relay's own log, too."`
}

// Run shows the main job on one machine: a stand-in for ZEGO whose nodes die,
// the relay, and an encoder that must not notice.
func (c demoCommand) Run(ctx context.Context, t terminal) error {
	if c.Fault == "?" {
		for _, s := range zegosim.Scenarios() {
			fmt.Fprintf(t.out, "%-18s %s\n", s.Name, s.Does)
		}
		return nil
	}
	audit := zegosim.NewAudit()
	sim, err := zegosim.Start(zegosim.Options{ //nolint:contextcheck // it lives until Close
		AppID:   demoAppID,
		Secret:  demoSecret,
		Nodes:   demoNodes,
		Observe: observe(audit),
	})
	if err != nil {
		return err
	}
	defer sim.Close()
	if c.Fault != "" {
		if err := sim.Plant(c.Fault); err != nil { //nolint:contextcheck // as above
			return fmt.Errorf("%w: see zegorelay demo --fault '?'", err)
		}
	}
	log := zerolog.Nop()
	if c.Log {
		var queue *logQueue
		log, queue = newLogger(t.err, &config.Config{LogFormat: "console"})
		defer queue.Close()
	}
	d, err := c.daemon(sim.URL(), log)
	if err != nil {
		return err
	}
	show := &demo{sim: sim, daemon: d, audit: audit, out: t.out, begun: time.Now()}
	show.greet(c.Fault, sim.URL())
	if err := show.play(ctx, c.For); err != nil {
		return err
	}
	return show.sum()
}

// observe feeds what the nodes get of the test card to its audit.
func observe(audit *zegosim.Audit) func(zegosim.Event) {
	return func(e zegosim.Event) {
		if e.StreamID == demoKey && e.Kind == zegosim.MessageReceived {
			audit.Received(e.Session, e.Message)
		}
	}
}

// daemon is the real thing, pointed at the stand-in.
func (c demoCommand) daemon(apiURL string, log zerolog.Logger) (*daemon, error) {
	api, err := url.Parse(apiURL)
	if err != nil {
		return nil, err
	}
	cfg := config.Defaults()
	cfg.AppID, cfg.ServerSecret = demoAppID, config.NewSecret(demoSecret)
	cfg.APIURL = []*url.URL{api}
	cfg.NodeAllow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cfg.HTTPListen, cfg.HTTPToken = "127.0.0.1:0", config.NewSecret(demoToken)
	if cfg.RTMPListen = c.Listen; c.Listen != "" {
		return newDaemon(cfg, log, nil)
	}
	cfg.RTMPListen = "127.0.0.1:1935"
	d, err := newDaemon(cfg, log, nil)
	if err != nil {
		cfg.RTMPListen = "127.0.0.1:0"
		d, err = newDaemon(cfg, log, nil)
	}
	return d, err
}

// demo is one showing.
type demo struct {
	sim    *zegosim.Sim
	daemon *daemon
	audit  *zegosim.Audit
	out    io.Writer
	begun  time.Time

	deaths  int
	dropped uint64            // by the relay, by a bound that it names
	before  map[string]volume // by name, at the last line
}

// volume is what went in and out of the relay for a stream.
type volume struct{ in, out uint64 }

func (d *demo) greet(fault, apiURL string) {
	if fault != "" {
		fmt.Fprintf(d.out, "The stand-in begins with the fault %s. To end it:\n  curl -X POST '%s_emu/fault?name=well'\n\n", fault, apiURL)
	}
	fmt.Fprintf(d.out, "A stand-in for ZEGO with %d nodes, the relay and a test encoder run in this process.\n"+
		"Every %v the node in use is killed.\n\n"+
		"Your own encoder can join in:\n  server      %s\n  stream key  any letters, digits, - and _\n"+
		"Watch it as ZEGO has it:\n  player      %s\n"+
		"See how it goes:\n  page        %s\n  token       %s\n\n",
		demoNodes, demoKill, d.daemon.publishURL(), d.daemon.playURL(demoKey), d.daemon.pageURL(), demoToken)
}

// play runs relay and encoder for a time (0: until ctx ends) and lets both end
// in order: the encoder says goodbye, the relay delivers the rest.
func (d *demo) play(ctx context.Context, length time.Duration) error {
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	publishing, stopPublishing := context.WithCancel(ctx)
	defer stopPublishing()
	if length > 0 {
		publishing, stopPublishing = context.WithTimeout(ctx, length)
		defer stopPublishing()
	}

	var work sync.WaitGroup
	var served, published error
	work.Go(func() { served = d.daemon.run(serving) })
	ended := make(chan struct{})
	work.Go(func() {
		defer close(ended)
		published = testcard.Publish(publishing, rtmp.Dialer{}, d.encoderURL(), d.audit.Sent)
	})
	d.watch(publishing, ended)
	<-ended
	d.note()
	stopServing()
	work.Wait()
	return errors.Join(served, published)
}

func (d *demo) encoderURL() string {
	return "rtmp://" + d.daemon.encoders[0].Addr().String() + "/" + d.daemon.cfg.App + "/" + demoKey
}

// watch prints a line a second and kills nodes until ctx ends or the encoder
// has.
func (d *demo) watch(ctx context.Context, ended <-chan struct{}) {
	tick := time.NewTicker(demoTick)
	defer tick.Stop()
	kill := time.NewTicker(demoKill)
	defer kill.Stop()
	for {
		select {
		case <-tick.C:
			d.note()
		case <-kill.C:
			d.killNode() //nolint:contextcheck // what a node serves ends with the node
		case <-ended:
			return
		case <-ctx.Done():
			return
		}
	}
}

// killNode kills the node that the test card is on; it comes back later.
func (d *demo) killNode() {
	for _, s := range d.daemon.relay.Streams() {
		node := d.sim.NodeAt(s.Node)
		if s.StreamID != demoKey || s.Direction != dispatch.Push || node == nil {
			continue
		}
		node.Kill()
		d.deaths++
		fmt.Fprintf(d.out, "%s  node %s killed\n", d.clock(), s.Node)
		time.AfterFunc(demoRevive, func() { _ = node.Revive() })
	}
}

// note prints a line for every stream.
func (d *demo) note() {
	now := make(map[string]volume)
	for _, s := range d.daemon.relay.Streams() {
		name := s.StreamID
		if s.Direction == dispatch.Pull {
			name = d.daemon.cfg.PullApp + "/" + name
		}
		before := d.before[name]
		now[name] = volume{in: s.BytesIn, out: s.BytesOut + s.BytesPlayed}
		lost := "       –"
		if name == demoKey {
			lost = fmt.Sprintf("%8d", d.audit.Report().Missing)
			d.dropped = s.Dropped
		}
		fmt.Fprintf(d.out, "%s  %-12s %-12s node %-21s in %5d kbit/s  out %5d kbit/s  lost %s  re-dispatches %d\n",
			d.clock(), name, s.State, cmp.Or(s.Node, "–"),
			kbits(s.BytesIn-before.in), kbits(now[name].out-before.out), lost, s.Dispatches-min(s.Dispatches, 1))
	}
	d.before = now
}

func (d *demo) clock() string {
	t := time.Since(d.begun).Round(time.Second)
	return fmt.Sprintf("%02d:%02d", int(t.Minutes()), int(t.Seconds())%60)
}

// sum prints the summary. Its error says that something was lost.
func (d *demo) sum() error {
	r := d.audit.Report()
	missing := uint64(r.Missing + r.Pending)
	fmt.Fprintf(d.out, "\n%d messages sent, %d arrived, %d lost, %d arrived again after a switch; %d node deaths, %d sessions\n",
		r.Sent, r.Arrived, missing, r.Repeated, d.deaths, r.Sessions)
	for _, v := range append(r.Violations, d.sim.Violations()...) {
		fmt.Fprintf(d.out, "violation: %s\n", v)
	}
	switch {
	case len(r.Violations)+len(d.sim.Violations()) > 0:
		return errors.New("what arrived is not what was sent")
	case missing > d.dropped:
		return fmt.Errorf("%d messages lost, %d of them to the bounds of the backlog", missing, d.dropped)
	case missing > 0:
		fmt.Fprintf(d.out, "All of the loss is media that was over the bounds of the backlog (ZEGORELAY_BACKLOG, _BACKLOG_BYTES).\n")
	}
	return nil
}

func kbits(bytesInATick uint64) uint64 { return bytesInATick * 8 / 1000 }
