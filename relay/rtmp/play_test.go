package rtmp

import (
	"errors"
	"strings"
	"testing"
)

// serveMedia plays media to a player and waits for its goodbye.
func serveMedia(media []Message) func(s *Session) error {
	return func(s *Session) error {
		left := make(chan error, 1)
		go func() { left <- s.Hold() }()
		s.StartPlay()
		for _, m := range media {
			s.Queue(m)
		}
		if err := s.Flush(); err != nil {
			return err
		}
		return <-left
	}
}

func TestPlay(t *testing.T) {
	ln := listen(t)
	media := testMedia()
	served := accept(t, ln, serveMedia(media))
	up, err := Dialer{}.Connect(testContext(t), target(t, ln, "cam1"))
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	if err := up.Play(testContext(t)); err != nil {
		t.Fatal(err)
	}
	for i, want := range media {
		got, err := up.Read()
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if want.Type == TypeData {
			want.Payload = withoutSetDataFrame(want.Payload)
		}
		want.StreamID = 1
		checkSame(t, got, want)
	}
	up.Unplay()
	if err := <-served; !errors.Is(err, ErrUnplayed) {
		t.Errorf("the server sees %v", err)
	}
}

// What a player asks for in between is answered, and changes nothing.
func TestPlayerCommands(t *testing.T) {
	ln := listen(t)
	served := accept(t, ln, serveMedia(nil))
	up, err := Dialer{}.Connect(testContext(t), target(t, ln, "cam1"))
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	if err := up.c.send(commandMessage(0, "FCSubscribe", 9, nil, "cam1")); err != nil {
		t.Fatal(err)
	}
	if got, err := up.readCommand(); err != nil || got.name != "onFCSubscribe" {
		t.Errorf("FCSubscribe: %+v, %v", got, err)
	}
	if err := up.Play(testContext(t)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ask  Message
		want string // of the answer: its name, or its code
	}{
		{commandMessage(1, "pause", 10, nil, true, 0), codePauseNotify},
		{commandMessage(1, "pause", 11, nil, false, 0), codeUnpauseNotify},
		{commandMessage(1, "seek", 12, nil, 1000), codeSeekFailed},
		{commandMessage(0, "getStreamLength", 13, nil, "cam1"), "_result"},
		{commandMessage(1, "deleteStream", 0, nil, 2), ""}, // another's
	} {
		if err := up.c.send(c.ask); err != nil {
			t.Fatal(err)
		}
		if c.want == "" {
			continue
		}
		got, err := up.readCommand()
		if err != nil || got.name != c.want && got.status().Code != c.want {
			t.Errorf("got %+v, %v, want %s", got, err, c.want)
		}
	}
	if err := up.c.send(commandMessage(0, "deleteStream", 0, nil, 1)); err != nil {
		t.Fatal(err)
	}
	if err := <-served; !errors.Is(err, ErrUnplayed) {
		t.Errorf("the server sees %v", err)
	}
}

func TestPlayEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(s *Session)
		code string
	}{
		"ended":   {(*Session).EndPlay, codePlayUnpublished},
		"refused": {func(s *Session) { s.Refuse(CodePlayNotFound, "not here") }, CodePlayNotFound},
		"EOF":     {func(s *Session) { _ = s.SayEOF() }, "StreamEOF"},
		"failed":  {func(s *Session) { _ = s.Say("error", CodePlayFailed, "no") }, CodePlayFailed},
	} {
		t.Run(name, func(t *testing.T) {
			ln := listen(t)
			accept(t, ln, func(s *Session) error {
				s.StartPlay()
				c.end(s)
				return s.Hold()
			})
			up, err := Dialer{}.Connect(testContext(t), target(t, ln, "cam1"))
			if err != nil {
				t.Fatal(err)
			}
			defer up.Close()
			if err := up.Play(testContext(t)); err != nil {
				t.Fatal(err)
			}
			_, err = up.Read()
			var status *StatusError
			if !errors.As(err, &status) || status.Code != c.code {
				t.Errorf("the player sees %v", err)
			}
		})
	}
}

// Not every server says Play.Start: media is as good, and none of it is lost.
func TestMediaInsteadOfPlayStart(t *testing.T) {
	ln := listen(t)
	media := testMedia()[1:3]
	accept(t, ln, func(s *Session) error {
		for _, m := range media {
			m.StreamID = 1
			if err := s.c.send(m); err != nil {
				return err
			}
		}
		return s.Hold()
	})
	up, err := Dialer{}.Connect(testContext(t), target(t, ln, "cam1"))
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	if err := up.Play(testContext(t)); err != nil {
		t.Fatal(err)
	}
	for _, want := range media {
		got, err := up.Read()
		want.StreamID = 1
		if err != nil {
			t.Fatal(err)
		}
		checkSame(t, got, want)
	}
}

func TestPlayRefused(t *testing.T) {
	ln := listen(t)
	accept(t, ln, func(s *Session) error {
		s.Refuse(CodePlayNotFound, "nobody publishes it")
		return nil
	})
	up, err := Dialer{}.Connect(testContext(t), target(t, ln, "cam1"))
	if err != nil {
		t.Fatal(err)
	}
	err = up.Play(testContext(t))
	if err == nil || !strings.Contains(err.Error(), "play refused: NetStream.Play.StreamNotFound (nobody publishes it)") {
		t.Errorf("got %v", err)
	}
}
