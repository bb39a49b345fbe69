package relay_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"zegorelay/dispatch"
	"zegorelay/dispatch/zegosim"
	"zegorelay/relay"
	"zegorelay/relay/rtmp"
)

const (
	appID  = 1234567890
	secret = "00112233445566778899aabbccddeeff"

	// patience is how long a test waits for what must come.
	patience = 10 * time.Second
)

// rig is a whole relay on loopback: ZEGO's stand-in, the dispatcher, the server
// and its log.
type rig struct {
	t       *testing.T
	sim     *zegosim.Sim
	addr    string
	log     *logBuffer
	srv     *relay.Server
	options relay.Options
	stop    func() // ends the server as SIGTERM would, and waits for it
	lns     []net.Listener
	wait    func() // for the server's end

	mu     sync.Mutex
	audits map[string]*zegosim.Audit // by StreamId
	events []zegosim.Event           // messages that nodes got
}

// audit is that of a stream.
func (r *rig) audit(streamID string) *zegosim.Audit {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.audits[streamID] == nil {
		r.audits[streamID] = zegosim.NewAudit()
	}
	return r.audits[streamID]
}

// keep keeps what a node got.
func (r *rig) keep(e zegosim.Event) {
	if e.Kind == zegosim.MessageReceived {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, e)
	}
}

// setup is what a test wants otherwise than usual.
type setup struct {
	appID  uint32
	secret string
	api    string // URL of the API
	linger time.Duration
	tune   func(*relay.Options)

	second  zegosim.SecondStyle // how nodes refuse a second publisher
	nodes   int                 // [2]
	observe func(zegosim.Event) // instead of keeping what nodes got
}

func newRig(t *testing.T, s setup) *rig {
	t.Helper()
	r := &rig{t: t, audits: make(map[string]*zegosim.Audit), log: &logBuffer{changed: make(chan struct{})}}
	var err error
	r.sim, err = zegosim.Start(zegosim.Options{AppID: appID, Secret: secret, Nodes: max(s.nodes, 2), Linger: s.linger, Second: s.second,
		Observe: func(e zegosim.Event) {
			if e.Kind == zegosim.MessageReceived {
				r.audit(e.StreamID).Received(e.Session, e.Message)
			}
			if s.observe == nil {
				r.keep(e)
			} else {
				s.observe(e)
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.sim.Close() })
	if s.appID == 0 {
		s.appID = appID
	}
	if s.secret == "" {
		s.secret = secret
	}
	if s.api == "" {
		s.api = r.sim.URL()
	}
	api, err := url.Parse(s.api)
	if err != nil {
		t.Fatal(err)
	}
	zego := dispatch.NewZego(dispatch.Options{
		Signer:    dispatch.NewSigner(s.appID, s.secret),
		Endpoints: []*url.URL{api},
		Timeout:   500 * time.Millisecond,
		Rate:      1000,
	})
	policy := dispatch.NodePolicy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	o := relay.Options{
		Dispatch:       zego.Dispatch,
		Nodes:          rtmp.Dialer{Dial: (&net.Dialer{Control: policy.Control}).DialContext},
		Log:            zerolog.New(r.log).Level(zerolog.DebugLevel),
		ConnectTimeout: 500 * time.Millisecond,
		StallTimeout:   800 * time.Millisecond,
		RetryMin:       20 * time.Millisecond,
		RetryMax:       100 * time.Millisecond,
		DrainTimeout:   2 * time.Second,
	}
	if s.tune != nil {
		s.tune(&o)
	}
	r.options = o
	r.listenAnew()
	return r
}

// listenAnew starts a server with the options as they are now, on a port of its
// own.
func (r *rig) listenAnew() {
	r.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	r.listen(ln)
}

// listen starts a server on listeners; it is the one that the rig looks at from then
// on.
func (r *rig) listen(lns ...net.Listener) { r.run(relay.New(r.options), lns...) }

// run runs a server, which is the rig's from then on.
func (r *rig) run(srv *relay.Server, lns ...net.Listener) {
	r.t.Helper()
	r.mu.Lock()
	r.srv, r.lns = srv, lns
	r.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx, lns...) }()
	r.wait = sync.OnceFunc(func() {
		select {
		case err := <-done:
			if err != nil {
				r.t.Errorf("the server ended with %v", err)
			}
		case <-time.After(patience):
			r.t.Error("the server doesn't end")
		}
	})
	wait := r.wait
	r.stop = func() { cancel(); wait() }
	r.t.Cleanup(r.stop)
}

// logBuffer keeps log lines and tells when one comes.
type logBuffer struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.changed)
	b.changed = make(chan struct{})
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// find returns the first line that has all parts.
func (b *logBuffer) find(parts ...string) (line string, changed chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
lines:
	for line := range strings.Lines(b.text.String()) {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue lines
			}
		}
		return line, nil
	}
	return "", b.changed
}

// waitLog waits for a log line with all parts.
func (r *rig) waitLog(parts ...string) {
	r.t.Helper()
	timeout := time.After(patience)
	for {
		line, changed := r.log.find(parts...)
		if line != "" {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			r.t.Fatalf("no log line with %q in\n%s", parts, r.log.String())
		}
	}
}

// waitFor waits until ok, which is asked again and again.
func (r *rig) waitFor(what string, ok func() bool) {
	r.t.Helper()
	timeout := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			r.t.Fatalf("in vain waited for: %s\nlog:\n%s", what, r.log.String())
		}
	}
}

// server is the one that runs, for goroutines beside one that may have another go on.
func (r *rig) server() *relay.Server {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.srv
}

// status is the state of the stream cam1.
func (r *rig) status() relay.Status { return r.streamStatus("cam1") }

func (r *rig) streamStatus(id string) relay.Status {
	for _, s := range r.server().Streams() {
		if s.StreamID == id {
			return s
		}
	}
	return relay.Status{State: relay.Closed}
}

// received is what nodes got in the nth session of a stream.
func (r *rig) received(id string, nth int) []rtmp.Message {
	numbers := make(map[int]bool)
	for _, s := range r.sim.Sessions() {
		numbers[s.Number] = s.StreamID == id && s.Nth == nth
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var got []rtmp.Message
	for _, e := range r.events {
		if numbers[e.Session] {
			got = append(got, e.Message)
		}
	}
	return got
}

// times are those of the frames in the first session of a stream.
func (r *rig) times(id string) []uint32 {
	var times []uint32
	for _, m := range r.received(id, 1) {
		if k := m.Inspect().Kind; k == rtmp.Frame || k == rtmp.Keyframe {
			times = append(times, m.Timestamp)
		}
	}
	return times
}

// killNode kills the node that cam1 is on.
func (r *rig) killNode() *zegosim.Node {
	r.t.Helper()
	node := r.sim.NodeAt(r.status().Node)
	if node == nil {
		r.t.Fatalf("cam1 is on no node: %+v", r.status())
	}
	node.Kill()
	return node
}

// dial publishes key and returns the encoder's session, or what the encoder
// sees.
func (r *rig) dial(key string) (*rtmp.Upstream, error) { return r.dialFrom("127.0.0.1", key) }

func (r *rig) dialFrom(ip, key string) (*rtmp.Upstream, error) {
	r.t.Helper()
	app, name := "live", key
	if dir, base := path.Split(key); dir != "" {
		app, name = path.Join(app, dir), base
	}
	target := rtmp.Target{Addr: r.addr, TCURL: "rtmp://" + r.addr + "/" + app, App: app, Name: name}
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	local := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	return rtmp.Dialer{Dial: local.DialContext}.Publish(ctx, target)
}

// elsewhere publishes a stream to ZEGO past the relay.
func (r *rig) elsewhere(id string) *rtmp.Upstream {
	r.t.Helper()
	answer, err := r.options.Dispatch(r.t.Context(), dispatch.Request{StreamID: id, Direction: dispatch.Push})
	if err != nil {
		r.t.Fatal(err)
	}
	target, err := rtmp.ParseTarget(answer.Nodes[0].URL())
	if err != nil {
		r.t.Fatal(err)
	}
	up, err := rtmp.Dialer{}.Publish(r.t.Context(), target)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { up.Close() })
	go func() { _ = up.Serve() }()
	return up
}

// encoder is a made-up encoder: numbered frames at 50 a second, a keyframe
// every second, as fast as it is told to. Who is far ahead of real time may be made
// to wait: a short step makes frames that can be sent at once.
type encoder struct {
	r     *rig
	key   string
	audit *zegosim.Audit
	up    *rtmp.Upstream
	over  chan error // why its session ended
	n     int
	size  int // bytes of a frame
	step  int // ms from one to the next
	sent  int // messages
}

// publish starts an encoder on cam1.
func (r *rig) publish() *encoder { return r.publishAs("cam1") }

func (r *rig) publishAs(key string) *encoder {
	r.t.Helper()
	up, err := r.dial(key)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.encoder(key, up)
}

// encoder begins to send on a session that is up.
func (r *rig) encoder(key string, up *rtmp.Upstream) *encoder {
	e := &encoder{r: r, key: key, audit: r.audit(key), size: 500, step: 20}
	e.attach(up)
	e.headers()
	return e
}

// attach lets the encoder send on a session.
func (e *encoder) attach(up *rtmp.Upstream) {
	over := make(chan error, 1)
	e.up, e.over = up, over
	go func() { over <- up.Serve() }()
	e.r.t.Cleanup(func() { up.Close() })
}

var metadata = rtmp.Message{
	Type:    rtmp.TypeData,
	Payload: rtmp.SetDataFrame([]byte("\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09")),
}

func (e *encoder) headers() {
	e.r.t.Helper()
	for _, m := range usualHeaders() {
		e.send(m)
	}
}

func usualHeaders() []rtmp.Message {
	return []rtmp.Message{
		metadata,
		{Type: rtmp.TypeVideo, Payload: []byte("\x17\x00\x00\x00\x00\x01\x42")},
		{Type: rtmp.TypeAudio, Payload: []byte("\xaf\x00\x12\x10")},
	}
}

func (e *encoder) send(m rtmp.Message) {
	e.r.t.Helper()
	if err := e.try(m); err != nil {
		e.r.t.Fatalf("the encoder was disturbed: %v", err)
	}
}

// try is send for goroutines that must not end the test.
func (e *encoder) try(messages ...rtmp.Message) error {
	for _, m := range messages {
		e.audit.Sent(m)
		e.sent++
		e.up.Queue(m)
	}
	return e.up.Flush()
}

// frames sends n pairs of video and audio.
func (e *encoder) frames(n int) {
	e.r.t.Helper()
	for range n {
		for _, m := range e.frame() {
			e.send(m)
		}
	}
}

// frame is the next pair of video and audio.
func (e *encoder) frame() []rtmp.Message {
	n := e.n
	e.n++
	return []rtmp.Message{
		picture(n, n%50 == 0, e.size, e.sent, e.step),
		{Type: rtmp.TypeAudio, Timestamp: uint32(n * e.step), Payload: fmt.Appendf([]byte("\xaf\x01"), "%d %d", n, e.sent)},
	}
}

// picture is frame n, of a size, with a mark that tells it apart.
func picture(n int, isKey bool, size, mark, step int) rtmp.Message {
	head := "\x27\x01\x00\x00\x00"
	if isKey {
		head = "\x17\x01\x00\x00\x00"
	}
	fill := bytes.Repeat([]byte{byte(n)}, size)
	return rtmp.Message{Type: rtmp.TypeVideo, Timestamp: uint32(n * step), Payload: fmt.Appendf([]byte(head), "%d %d %s", n, mark, fill)}
}

// goodbye ends the stream in order and waits until the relay is done with it.
func (e *encoder) goodbye() {
	e.r.t.Helper()
	if err := e.up.Unpublish(); err != nil {
		e.r.t.Errorf("goodbye: %v", err)
	}
	e.r.waitFor("the end of "+e.key, func() bool {
		for _, s := range e.r.server().Streams() {
			if s.StreamID == e.key {
				return false
			}
		}
		return true
	})
}

// checkAll holds what arrived against what was sent.
func (r *rig) checkAll() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, audit := range r.audits {
		report := audit.Report()
		if report.Missing+report.Pending > 0 || report.Sent == 0 {
			r.t.Errorf("%s: of %d messages %d arrived, %d are missing and %d pending", id, report.Sent, report.Arrived, report.Missing, report.Pending)
		}
		for _, v := range report.Violations {
			r.t.Errorf("%s: %s", id, v)
		}
	}
	for _, v := range r.sim.Violations() {
		r.t.Error(v)
	}
}
