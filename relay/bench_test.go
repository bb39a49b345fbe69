package relay_test

import (
	"context"
	"fmt"
	"net"
	"testing"

	"zegorelay/dispatch"
	"zegorelay/relay"
	"zegorelay/relay/rtmp"
)

// One message through the whole relay over loopback, from the encoder's write until
// the node has it: one at a time, as encoders in real time send them, and as fast
// as it goes, as a file is sent.
func BenchmarkForward(b *testing.B) {
	for _, size := range []int{400, 16_000} {
		for _, ahead := range []int{1, 256} {
			b.Run(fmt.Sprintf("bytes=%d/ahead=%d", size, ahead), func(b *testing.B) { benchForward(b, size, ahead) })
		}
	}
}

func benchForward(b *testing.B, size, ahead int) {
	arrived := make(chan struct{}, ahead)
	encoder := benchRelay(b, func() { arrived <- struct{}{} })
	frame := make([]byte, size)
	copy(frame, "\x27\x01\x00\x00\x00")
	send := func(m rtmp.Message) {
		encoder.Queue(m)
		if err := encoder.Flush(); err != nil {
			b.Fatal(err)
		}
	}
	send(rtmp.Message{Type: rtmp.TypeVideo, Payload: []byte("\x17\x00\x00\x00\x00head")})
	send(rtmp.Message{Type: rtmp.TypeVideo, Payload: []byte("\x17\x01\x00\x00\x00key")})
	<-arrived
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	sent, time := 0, uint32(0)
	for got := 0; got < b.N; got++ {
		for sent < b.N && sent-got < ahead {
			m := rtmp.Message{Type: rtmp.TypeVideo, Timestamp: time, Payload: frame}
			if sent%50 == 49 {
				m.Payload = append([]byte("\x17\x01\x00\x00\x00"), frame[5:]...)
			}
			send(m)
			sent++
			time++ // far slower than real time: it is no file
		}
		<-arrived
	}
}

// benchRelay is a relay between the encoder that it returns and a node that calls
// arrived for every frame.
func benchRelay(b *testing.B, arrived func()) *rtmp.Upstream {
	node, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { node.Close() })
	go serveNode(node, arrived)
	at, err := dispatch.ParseNode("rtmp://" + node.Addr().String() + "/1/bench")
	if err != nil {
		b.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := relay.New(relay.Options{Dispatch: func(context.Context, dispatch.Request) (dispatch.Answer, error) {
		return dispatch.Answer{Nodes: []dispatch.Node{at}}, nil
	}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx, ln) }()
	b.Cleanup(func() { cancel(); <-done })

	target, err := rtmp.ParseTarget("rtmp://" + ln.Addr().String() + "/live/bench")
	if err != nil {
		b.Fatal(err)
	}
	encoder, err := rtmp.Dialer{}.Publish(ctx, target)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { encoder.Close() })
	go func() { _ = encoder.Serve() }()
	return encoder
}

// serveNode is a node for one publisher after the other.
func serveNode(ln net.Listener, arrived func()) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		session, err := rtmp.Accept(context.Background(), nc, rtmp.Limits{}, rtmp.Timeouts{})
		if err == nil {
			err = session.Start()
		}
		for err == nil {
			var m rtmp.Message
			if m, err = session.Read(); err == nil && m.Inspect().Kind <= rtmp.Keyframe {
				arrived()
			}
		}
		_ = nc.Close()
	}
}
