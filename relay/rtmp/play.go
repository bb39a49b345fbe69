package rtmp

import (
	"fmt"
	"time"

	"github.com/yutopp/go-rtmp/message"
)

// Playing from both ends (§7.2.2.1): a Session serves a player, an Upstream plays
// from a node.

// Hold waits for what a player says, and answers it, until it leaves. It blocks
// until then and returns why, never nil: ErrUnplayed for a goodbye. A player may be
// silent for as long as it likes, and live media can't be paused or sought: the
// first is granted and changes nothing, the second refused.
//
// It is the first call on a session whose Action is Play. Beside it, another
// goroutine calls the others.
func (s *Session) Hold() error {
	s.c.setReadTimeout(0)
	if err := s.c.setReadDeadline(time.Time{}); err != nil {
		return err
	}
	for {
		m, err := s.c.read()
		if err != nil {
			return err
		}
		if m.Type != TypeCommand && m.Type != TypeCommandAMF3 {
			continue
		}
		cmd, err := parseCommand(m, s.c.in.limits)
		if err != nil {
			return err
		}
		if s.isGoodbye(m.StreamID, cmd) {
			return ErrUnplayed
		}
		if err := s.answerPlayer(cmd); err != nil {
			return err
		}
	}
}

// answerPlayer serves a command of somebody who plays (§7.2.2).
func (s *Session) answerPlayer(cmd command) error {
	switch cmd.name {
	case "pause":
		code := codeUnpauseNotify
		if paused, _ := cmd.arg(1).(bool); paused {
			code = codePauseNotify
		}
		return s.Say("status", code, "This is live: it goes on.")
	case "seek":
		return s.Say("error", codeSeekFailed, "This is live: there is nothing to seek in.")
	case "getStreamLength":
		return s.c.send(lengthOfLive(cmd))
	case "_checkbw":
		return s.c.send(commandMessage(0, "_result", cmd.transaction, nil, nil))
	default:
		return nil
	}
}

// lengthOfLive answers getStreamLength, for which players want a number: a live
// stream has none.
func lengthOfLive(cmd command) Message {
	return commandMessage(0, "_result", cmd.transaction, nil, 0)
}

// StartPlay accepts the play (§7.2.2.1). What Queue and Flush send comes behind
// it. It does no I/O: the answer goes out with the first Flush.
func (s *Session) StartPlay() {
	boundUnsent(s.c.nc)
	begin := message.UserCtrlEventStreamBegin{StreamID: s.streamID}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	for _, m := range []Message{
		controlMessage(&message.UserCtrl{Event: &begin}),
		s.status("status", codePlayReset, "Playing and resetting."),
		s.status("status", CodePlayStart, "Started playing."),
		{Type: TypeData, StreamID: s.streamID, Payload: sampleAccess()},
	} {
		s.c.out.Queue(m)
	}
}

// sampleAccess is the message that lets a player look into the media: some wait
// for it.
func sampleAccess() []byte {
	const allowed = "\x01\x01" // AMF0: true
	return []byte(amfSampleAccess + allowed + allowed)
}

// Queue appends m, on the played message stream, to what Flush sends. It keeps
// m.Payload until then and does no I/O. Metadata goes as players know it, without
// what publishers put in front of it.
func (s *Session) Queue(m Message) {
	m.StreamID = s.streamID
	if m.Type == TypeData {
		m.Payload = withoutSetDataFrame(m.Payload)
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.out.Queue(m)
}

// Flush writes what is queued in one system call where the connection allows.
// After the write timeout its error matches os.ErrDeadlineExceeded.
func (s *Session) Flush() error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.c.flush()
}

// Hurry has whatever is being written, and what will be, done within a second:
// the player may have stopped to take anything. It doesn't block.
func (s *Session) Hurry() { _ = s.c.nc.SetWriteDeadline(time.Now().Add(refusalPatience)) }

// EndPlay says that the stream has ended, and closes. It blocks for at most
// two seconds. Hold returns.
func (s *Session) EndPlay() {
	s.c.setWriteTimeout(refusalPatience)
	eof := message.UserCtrlEventStreamEOF{StreamID: s.streamID}
	err := s.c.send(
		s.status("status", codePlayUnpublished, "The stream has ended."),
		s.status("status", codePlayStop, "Stopped playing."),
		controlMessage(&message.UserCtrl{Event: &eof}),
	)
	if err != nil {
		_ = s.c.nc.Close()
		return
	}
	s.c.finish(refusalPatience)
}

// wantsLive is the start of a play that takes a live stream, or a recorded one of
// that name: -2 in the specification, a thousand times that on the wire.
const wantsLive = -2000

// bufferTime is how much a player says that it holds, in milliseconds. Nodes
// send a live stream as it comes, whatever it says.
const bufferTime = 3000

func (u *Upstream) play() error {
	if err := u.createStream(); err != nil {
		return err
	}
	err := u.c.send(
		commandMessage(u.streamID, "play", transactionPlay, nil, u.name, wantsLive),
		controlMessage(&message.UserCtrl{Event: &message.UserCtrlEventSetBufferLength{StreamID: u.streamID, LengthMs: bufferTime}}),
	)
	if err != nil {
		return fmt.Errorf("play: %w", err)
	}
	return u.awaitPlay()
}

// awaitPlay reads until Play.Start. Media is as good: not every server says it.
func (u *Upstream) awaitPlay() error {
	for {
		m, err := u.c.read()
		switch {
		case err != nil:
			return fmt.Errorf("play: %w", err)
		case m.IsMedia() && !m.isAside():
			u.c.parts = append([]Message{m}, u.c.parts...) // for Read
			return nil
		case m.Type != TypeCommand && m.Type != TypeCommandAMF3:
			continue
		}
		cmd, err := parseCommand(m, u.c.in.limits)
		if err != nil {
			return fmt.Errorf("play: %w", err)
		}
		if refusal := refusalIn(cmd); refusal != nil {
			refusal.Command = "play"
			return refusal
		}
		if cmd.name == "onStatus" && cmd.status().Code == CodePlayStart {
			return nil
		}
	}
}

// Unplay is the goodbye of a session that plays. It doesn't wait for a node that
// takes nothing.
func (u *Upstream) Unplay() {
	_ = u.c.nc.SetWriteDeadline(time.Now().Add(refusalPatience))
	_ = u.c.send(commandMessage(0, "deleteStream", 0, nil, u.streamID))
	_ = u.c.nc.Close()
}
