package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"

	"zegorelay/relay/rtmp"
)

const (
	// sourceChunk is the chunk size of OBS.
	sourceChunk = 4096

	// sourceWindow is the Acknowledgement window that OBS asks for.
	sourceWindow = 2_500_000

	fps        = 25
	gop        = 2 * fps
	keyWeight  = 8 // a keyframe is as long as so many other pictures
	soundBytes = 372
	soundEvery = time.Second * 1024 / 44100

	metadata    = "\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09"
	avcHeader   = "\x17\x00\x00\x00\x00\x01\x42\x00\x1e\xff\xe1\x00\x04\x67\x42\x00\x1e\x01\x00\x04\x68\xce\x06\xe2"
	aacHeader   = "\xaf\x00\x12\x10"
	keyframe    = "\x17\x01\x00\x00\x00"
	interframe  = "\x27\x01\x00\x00\x00"
	soundframe  = "\xaf\x01"
	dialTimeout = 10 * time.Second
)

// stream is one source's stream: it publishes to a relay as OBS does.
type stream struct {
	number  uint32
	b       *bench
	nc      net.Conn
	out     *rtmp.Writer
	sizes   [2]int // of a keyframe, of another picture
	scratch [][]byte

	sent     uint64 // messages
	pictures int
	sounds   int
}

// sizesOf are those of pictures at a bit rate, sound included, and with keyframes of
// so many bytes, if that is not 0.
func sizesOf(bitsPerSecond, key int) [2]int {
	perGOP := (bitsPerSecond/8 - int(time.Second/soundEvery)*soundBytes) * gop / fps
	if key > 0 {
		return [2]int{key, (perGOP - key) / (gop - 1)}
	}
	inter := perGOP / (gop - 1 + keyWeight)
	return [2]int{keyWeight * inter, max(inter, pictureHead+labelSize)}
}

// publish connects a stream to a relay. wrap may slow its connection down.
func (b *bench) publish(number int, url string, sizes [2]int, wrap func(net.Conn) net.Conn) (*stream, error) {
	s := &stream{number: uint32(number), b: b, sizes: sizes}
	target, err := rtmp.ParseTarget(url)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		s.nc = nc
		return nc, err
	}
	up, err := rtmp.Dialer{Dial: dial}.Publish(ctx, target)
	if err != nil {
		return nil, fmt.Errorf("publish to the relay: %w", err)
	}
	go func() { _ = up.Serve() }()
	if wrap != nil {
		s.out = rtmp.NewWriter(wrap(s.nc))
	} else {
		s.out = rtmp.NewWriter(s.nc)
	}
	s.out.SetChunkSize(sourceChunk)
	s.out.Queue(rtmp.Message{Type: rtmp.TypeWindowAckSize, Payload: binary.BigEndian.AppendUint32(nil, sourceWindow)})
	for _, m := range []rtmp.Message{
		{Type: rtmp.TypeData, Payload: []byte(metadata)},
		{Type: rtmp.TypeVideo, Payload: []byte(avcHeader)},
		{Type: rtmp.TypeAudio, Payload: []byte(aacHeader)},
	} {
		m.StreamID = 1
		s.out.Queue(m)
	}
	return s, s.out.Flush()
}

func (s *stream) close() { _ = s.nc.Close() }

// queue adds the next message of a type at a time in ms.
func (s *stream) queue(t rtmp.Type, head string, size int, timestamp uint32, slot int) {
	for len(s.scratch) <= slot {
		s.scratch = append(s.scratch, nil)
	}
	l := label{stream: s.number, number: s.sent, sent: s.b.now(), time: timestamp}
	s.scratch[slot] = s.b.filler.write(s.scratch[slot], head, l, size)
	s.out.Queue(rtmp.Message{Type: t, Timestamp: timestamp, StreamID: 1, Payload: s.scratch[slot]})
	s.sent++
}

func (s *stream) queuePicture(slot int) {
	head, size := interframe, s.sizes[1]
	if s.pictures%gop == 0 {
		head, size = keyframe, s.sizes[0]
	}
	s.queue(rtmp.TypeVideo, head, size, uint32(s.pictures*1000/fps), slot)
	s.pictures++
}

func (s *stream) queueSound(slot int) {
	s.queue(rtmp.TypeAudio, soundframe, soundBytes, uint32(time.Duration(s.sounds)*soundEvery/time.Millisecond), slot)
	s.sounds++
}

// flood sends as fast as the relay takes it, until ctx ends.
func (s *stream) flood(ctx context.Context) error {
	for ctx.Err() == nil {
		slot := 0
		for range 8 {
			s.queuePicture(slot)
			s.queueSound(slot + 1)
			slot += 2
		}
		if err := s.out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// due is when the stream's next message is, since it began.
func (s *stream) due() time.Duration {
	return min(time.Duration(s.pictures)*time.Second/fps, time.Duration(s.sounds)*soundEvery)
}

// step sends the message that is due.
func (s *stream) step() error {
	if time.Duration(s.pictures)*time.Second/fps <= time.Duration(s.sounds)*soundEvery {
		s.queuePicture(0)
	} else {
		s.queueSound(0)
	}
	return s.out.Flush()
}

// drivers is how many goroutines send the streams of a load.
const drivers = 8

// drive sends streams in their own time, each from its own moment on, until ctx
// ends: one write a message, as encoders do. Streams come in on joins.
func drive(ctx context.Context, joins <-chan *stream) {
	var work sync.WaitGroup
	for range drivers {
		work.Go(func() { driveSome(ctx, joins) })
	}
	work.Wait()
}

func driveSome(ctx context.Context, joins <-chan *stream) {
	type place struct {
		s     *stream
		begun time.Time
	}
	var places []place
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case s := <-joins:
			if s != nil {
				places = append(places, place{s, time.Now()})
			}
		case now := <-tick.C:
			for _, p := range places {
				for p.s.due() <= now.Sub(p.begun) {
					// A relay that gives a stream up goes on with the others; what it
					// is sent no more is lost.
					_ = p.s.step()
				}
			}
		case <-ctx.Done():
			return
		}
	}
}
