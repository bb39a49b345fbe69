package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"zegorelay/relay/rtmp"
)

// load is what relays are put under.
type load struct {
	name    string
	streams int
	bits    int // a second, of one stream; 0: as fast as it goes
	players int // of the one stream, from the relay itself
	link    int // bits a second of the encoder's link and the node's; 0: no bound
	key     int // bytes of a keyframe; 0: eight times another picture
}

var loads = []load{ //nolint:gochecknoglobals // a table
	{name: "idle"},
	{name: "1xfull", streams: 1},
	{name: "100x4", streams: 100, bits: 4e6},
	{name: "1x1", streams: 1, bits: 1e6},
	{name: "10x1", streams: 10, bits: 1e6},
	{name: "100x1", streams: 100, bits: 1e6},
	{name: "400x1", streams: 400, bits: 1e6},
	{name: "1000x1", streams: 1000, bits: 1e6},
	{name: "keyframes", streams: 1, bits: 4e6, link: 10e6, key: 250_000},
	{name: "players", streams: 1, bits: 2e6, players: 200},
}

// result is what one run has shown.
type result struct {
	relay    string
	load     string
	usage    usage // in the window; pss at its end
	bytes    uint64
	messages uint64
	faults   uint64
	missing  uint64
	syscalls uint64        // a message, in hundredths; 0: not known
	took     time.Duration // the window
	p50, p99 time.Duration
}

const (
	joinEvery  = time.Second / 38 // ZEGO lets 40 begin a second
	settleTime = 2 * time.Second
	drainTime  = 3 * time.Second
)

// run puts one relay under one load, and measures for a window.
func (b *bench) run(name string, l load) (r result, err error) {
	to, err := b.newSink()
	if err != nil {
		return r, err
	}
	defer to.close()
	if l.link > 0 {
		to.wrap = func(nc net.Conn) net.Conn { return &slowReader{link{Conn: nc, bits: l.link}} }
	}
	go to.serve()
	relay, err := b.start(name, to)
	if err != nil {
		return r, err
	}
	defer relay.stop()

	streams, stop, err := b.begin(relay, l)
	if err != nil {
		return r, err
	}
	at := to
	if l.players > 0 {
		if at, err = b.watch(relay, l.players); err != nil {
			return r, err
		}
		defer at.close()
	}
	<-time.After(settleTime)
	r, err = b.window(relay, at, l)
	if err := errors.Join(err, stop()); err != nil {
		return r, fmt.Errorf("%s, %s: %w\n%s", name, l.name, err, tail(relay.said.bytes()))
	}
	if l.players == 0 {
		for end := time.Now().Add(drainTime); at.missing(streams) > 0 && time.Now().Before(end); {
			<-time.After(50 * time.Millisecond)
		}
		r.missing = at.missing(streams)
	}
	r.faults = at.faults.Load()
	for _, s := range streams {
		s.close()
	}
	return r, nil
}

func tail(said []byte) []byte { return said[max(0, len(said)-2000):] }

// begin has the streams of a load sent. stop ends that, and leaves them connected.
func (b *bench) begin(to *relay, l load) (streams []*stream, stop func() error, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	joins := make(chan *stream)
	sent := make(chan error, 1)
	if l.bits > 0 {
		go func() {
			drive(ctx, joins)
			sent <- nil
		}()
	}
	for i := range l.streams {
		bits := l.bits
		if bits == 0 {
			bits = 8e6
		}
		var wrap func(net.Conn) net.Conn
		if l.link > 0 {
			wrap = func(nc net.Conn) net.Conn { return &slowWriter{link{Conn: nc, bits: l.link}} }
		}
		s, err := b.publish(i, to.url(i), sizesOf(bits, l.key), wrap)
		if err != nil {
			cancel()
			return nil, nil, err
		}
		streams = append(streams, s)
		if l.bits == 0 {
			go func() { sent <- s.flood(ctx) }()
			continue
		}
		joins <- s
		<-time.After(joinEvery)
	}
	return streams, func() error {
		cancel()
		if l.streams == 0 {
			return nil
		}
		return <-sent
	}, nil
}

// window measures for as long as the bench was told.
func (b *bench) window(relay *relay, at *sink, l load) (r result, err error) {
	begun := time.Now()
	before, err := relay.usage()
	if err != nil {
		return r, err
	}
	bytes, messages := at.bytes.Load(), at.messages.Load()
	end := at.measure()
	<-time.After(b.length)
	after, err := relay.usage()
	if err != nil {
		return r, err
	}
	r = result{
		relay: relay.name, load: l.name, took: time.Since(begun),
		usage: usage{
			cpu: after.cpu - before.cpu, switches: after.switches - before.switches,
			pss: after.pss, backlog: after.backlog, gcs: after.gcs - before.gcs,
		},
		bytes: at.bytes.Load() - bytes, messages: at.messages.Load() - messages,
	}
	r.p50, r.p99 = end()
	messages = at.messages.Load()
	if n, ok := syscalls(relay.pid, 2*time.Second); ok && l.streams > 0 {
		r.syscalls = 100 * n / max(at.messages.Load()-messages, 1)
	}
	return r, nil
}

// watch has players play the first stream from a relay. Their sink is one.
func (b *bench) watch(from *relay, players int) (*sink, error) {
	at, err := b.newSink()
	if err != nil {
		return nil, err
	}
	target, err := rtmp.ParseTarget(from.url(0))
	if err != nil {
		return nil, err
	}
	for range players {
		ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil {
				at.conns.Store(nc, true)
			}
			return nc, err
		}
		up, err := rtmp.Dialer{Dial: dial}.Connect(ctx, target)
		if err == nil {
			err = up.Play(ctx)
		}
		cancel()
		if err != nil {
			at.close()
			return nil, fmt.Errorf("play from %s: %w", from.name, err)
		}
		go at.take(up.Read)
	}
	return at, nil
}

// linkPiece is how many bytes a link passes at a time.
const linkPiece = 1448

// link is a connection of so many bits a second. Pauses don't add up: it makes up
// for a timer that was late.
type link struct {
	net.Conn
	bits int
	free time.Time // when it has passed all that it was given
}

// pass waits until n bytes more are through.
func (l *link) pass(n int) {
	now := time.Now()
	if l.free.Before(now.Add(-linkSlack)) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(n) * 8 * time.Second / time.Duration(l.bits))
	<-time.After(time.Until(l.free))
}

// linkSlack is how late a timer may be without the link losing by it.
const linkSlack = 5 * time.Millisecond

// slowWriter is the near end of a link, slowReader the far end.
type (
	slowWriter struct{ link }
	slowReader struct{ link }
)

func (w *slowWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		var m int
		m, err = w.Conn.Write(p[:min(len(p), linkPiece)])
		n, p = n+m, p[m:]
		w.pass(m)
	}
	return n, err
}

func (r *slowReader) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p[:min(len(p), linkPiece)])
	r.pass(n)
	return n, err
}
