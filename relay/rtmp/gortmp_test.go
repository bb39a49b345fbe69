//go:build !race

package rtmp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/sirupsen/logrus"
	gortmp "github.com/yutopp/go-rtmp"
	"github.com/yutopp/go-rtmp/message"
)

// go-rtmp's own client and server are peers that we did not write. They break
// on extended timestamps and zero-length messages, so those stay away here, and
// they race with themselves, so these tests run without the race detector.

func quietLogger() logrus.FieldLogger {
	l := logrus.New()
	l.SetOutput(io.Discard)
	return l
}

func TestGoRTMPClientPublishesToUs(t *testing.T) {
	ln := listen(t)
	frames := [][]byte{payload(5, 1), payload(127, 2), payload(5000, 3), payload(70_000, 4)}
	served := accept(t, ln, func(s *Session) error {
		if s.App != "live" || s.Name != "cam1" {
			t.Errorf("got app %q, name %q", s.App, s.Name)
		}
		if err := s.Start(); err != nil {
			return err
		}
		for i, want := range frames {
			got, err := s.Read()
			if err != nil {
				return err
			}
			checkSame(t, got, Message{Type: TypeVideo, Timestamp: uint32(40 * i), StreamID: 1, Payload: want})
		}
		_, err := s.Read()
		return err
	})

	c, err := gortmp.Dial("rtmp", ln.Addr().String(), &gortmp.ConnConfig{Logger: quietLogger()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Connect(&message.NetConnectionConnect{Command: message.NetConnectionConnectCommand{App: "live"}})
	if err != nil {
		t.Fatal(err)
	}
	st, err := c.CreateStream(&message.NetConnectionCreateStream{}, 4096)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Publish(&message.NetStreamPublish{PublishingName: "cam1", PublishingType: "live"}); err != nil {
		t.Fatal(err)
	}
	for i, p := range frames {
		if err := st.Write(6, uint32(40*i), &message.VideoMessage{Payload: bytes.NewReader(p)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.DeleteStream(&message.NetStreamDeleteStream{StreamID: st.StreamID()}); err != nil {
		t.Fatal(err)
	}
	if err := <-served; !errors.Is(err, ErrUnpublished) {
		t.Errorf("got %v, want %v", err, ErrUnpublished)
	}
}

// witness is a go-rtmp server's handler that keeps what it is given.
type witness struct {
	gortmp.DefaultHandler
	app      string
	name     string
	media    []Message
	metadata [][]byte
	gone     chan struct{}
}

func (w *witness) OnConnect(_ uint32, cmd *message.NetConnectionConnect) error {
	w.app = cmd.Command.App
	return nil
}

func (w *witness) OnPublish(_ *gortmp.StreamContext, _ uint32, cmd *message.NetStreamPublish) error {
	w.name = cmd.PublishingName
	return nil
}

func (w *witness) OnSetDataFrame(_ uint32, data *message.NetStreamSetDataFrame) error {
	w.metadata = append(w.metadata, data.Payload)
	return nil
}

func (w *witness) keep(typ Type, ts uint32, r io.Reader) error {
	p, err := io.ReadAll(r)
	w.media = append(w.media, Message{Type: typ, Timestamp: ts, Payload: p})
	return err
}

func (w *witness) OnAudio(ts uint32, r io.Reader) error { return w.keep(TypeAudio, ts, r) }
func (w *witness) OnVideo(ts uint32, r io.Reader) error { return w.keep(TypeVideo, ts, r) }
func (w *witness) OnClose()                             { close(w.gone) }

func TestWePublishToGoRTMPServer(t *testing.T) {
	ln := listen(t)
	w := &witness{gone: make(chan struct{})}
	srv := gortmp.NewServer(&gortmp.ServerConfig{OnConnect: func(nc net.Conn) (io.ReadWriteCloser, *gortmp.ConnConfig) {
		return nc, &gortmp.ConnConfig{Handler: w, Logger: quietLogger()}
	}})
	served := make(chan struct{})
	go func() { defer close(served); _ = srv.Serve(ln) }()
	defer func() { srv.Close(); <-served }()

	u, err := Dialer{}.Publish(testContext(t), target(t, ln, "cam1"))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	over := make(chan error, 1)
	go func() { over <- u.Serve() }()

	media := testMedia()
	media = media[:len(media)-1] // the last one is of no bytes
	for _, m := range media {
		u.Queue(m)
		if err := u.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.Unpublish(); err != nil {
		t.Fatal(err)
	}
	<-w.gone
	if w.app != "1540531164" || w.name != "cam1" {
		t.Errorf("got app %q, name %q", w.app, w.name)
	}
	if len(w.metadata) != 1 || !bytes.HasSuffix(media[0].Payload, w.metadata[0]) {
		t.Errorf("got metadata %x", w.metadata)
	}
	media = media[1:]
	if len(w.media) != len(media) {
		t.Fatalf("got %d messages, want %d", len(w.media), len(media))
	}
	for i, want := range media {
		checkSame(t, w.media[i], want)
	}
	<-over
}
