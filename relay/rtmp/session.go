package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/yutopp/go-rtmp/message"
)

const (
	// publishStreamID is the message stream that createStream answers. One
	// connection carries one stream.
	publishStreamID = 1

	// windowForClients is what we ask clients to acknowledge by. We don't need
	// it; some wait for the message.
	windowForClients = 2_500_000

	// refusalPatience is how long a refused client may take to read why.
	refusalPatience = time.Second

	// lingerPatience is how long a client may take to close after its goodbye.
	lingerPatience = time.Second
)

// Action is what a client asks for once it is connected.
type Action int

// The two things that a client can want.
const (
	Publish Action = iota + 1
	Play
)

// Session is a client's connection from the moment it has said what it wants.
// Nothing is answered yet: call Start or Refuse. App, Name, TCURL and Client
// are the peer's words, unchecked.
type Session struct {
	Action Action
	App    string // RTMP application, without query
	Name   string // stream name as sent, with its query if it has one
	TCURL  string
	Client string // flashVer: what the client calls itself
	User   string // whose password the client knows; empty: it was not asked

	c        *conn
	streamID uint32 // message stream of the publish or play
}

// Accept serves the handshake and the commands that lead up to publish or play.
// It blocks until then or until ctx ends, and closes nc when it returns an
// error. Timeouts hold from its return on.
func Accept(ctx context.Context, nc net.Conn, limits Limits, timeouts Timeouts) (*Session, error) {
	return (*Gate)(nil).Accept(ctx, nc, limits, timeouts)
}

// Accept is the function Accept for clients that may have to log in. Its errors match
// ErrLoginAsked or ErrWrongLogin for those that were turned back.
func (g *Gate) Accept(ctx context.Context, nc net.Conn, limits Limits, timeouts Timeouts) (*Session, error) {
	limits = limits.withDefaults()
	s := &Session{c: newConn(nc, limits)}
	begun := time.Now()
	err := within(ctx, limits.HandshakeTime, ErrSlowHandshake, nc, func() error { return acceptHandshake(s.c.in, nc) })
	if err == nil {
		err = within(ctx, limits.PublishTime-time.Since(begun), errSlowPublish, nc, func() error { return s.negotiate(ctx, g) })
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	s.c.setTimeouts(timeouts)
	endHalfOpen(nc, timeouts.Read)
	return s, nil
}

var errSlowPublish = errors.New("it took too long to say what it wants")

// within runs f, which does I/O on nc, for at most d.
func within(ctx context.Context, d time.Duration, cause error, nc net.Conn, f func() error) error {
	ctx, done := context.WithTimeoutCause(ctx, d, cause)
	defer done()
	defer context.AfterFunc(ctx, func() { _ = nc.Close() })()
	return causeOf(ctx, f())
}

// negotiate answers commands until the one that says what the client wants.
func (s *Session) negotiate(ctx context.Context, g *Gate) error {
	for s.Action == 0 {
		m, err := s.c.read()
		if err != nil {
			return err
		}
		if m.Type != TypeCommand && m.Type != TypeCommandAMF3 {
			continue // media before publish belongs to nothing
		}
		cmd, err := parseCommand(m, s.c.in.limits)
		if err != nil {
			return err
		}
		if err := s.answer(ctx, g, m.StreamID, cmd); err != nil {
			return err
		}
	}
	return nil
}

// answer serves one command before publish or play (§7.2.1, §7.2.2).
func (s *Session) answer(ctx context.Context, g *Gate, streamID uint32, cmd command) error {
	switch cmd.name {
	case "connect":
		return s.connect(ctx, g, cmd)
	case "createStream":
		return s.c.send(commandMessage(0, "_result", cmd.transaction, nil, publishStreamID))
	case "getStreamLength":
		return s.c.send(lengthOfLive(cmd))
	case "releaseStream", "_checkbw":
		return s.c.send(commandMessage(0, "_result", cmd.transaction, nil, nil))
	case "FCPublish":
		// Hardware encoders wait for the onFCPublish, others for the _result.
		return s.c.send(
			commandMessage(0, "onFCPublish", 0, nil, statusInfo{Level: "status", Code: CodePublishStart}),
			commandMessage(0, "_result", cmd.transaction, nil, nil),
		)
	case "FCSubscribe":
		return s.c.send(commandMessage(0, "onFCSubscribe", 0, nil, statusInfo{Level: "status", Code: CodePlayStart}))
	case "publish", "play":
		s.Action, s.Name, s.streamID = Publish, cmd.string(1), streamID
		if cmd.name == "play" {
			s.Action = Play
		}
		return nil
	default:
		return nil
	}
}

func (s *Session) connect(ctx context.Context, g *Gate, cmd command) (err error) {
	props := cmd.object(0)
	app, query, _ := strings.Cut(props.string("app"), "?")
	s.App = strings.Trim(app, "/")
	s.TCURL, s.Client = props.string("tcUrl"), props.string("flashVer")
	if s.User, err = g.enter(ctx, s.c, cmd.transaction, s.App, query); err != nil {
		return err
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	out := s.c.out
	out.Queue(controlMessage(&message.WinAckSize{Size: windowForClients}))
	out.Queue(controlMessage(&message.SetPeerBandwidth{Size: windowForClients, Limit: message.LimitTypeDynamic}))
	out.SetChunkSize(outChunkSize)
	out.Queue(commandMessage(0, "_result", cmd.transaction,
		connectProperties{
			FMSVersion:   "FMS/3,5,7,7009",
			Capabilities: 31,
			Mode:         1,
			FourCCs:      []string{"*"},
			VideoFourCCs: anyFourCC{canForward},
			AudioFourCCs: anyFourCC{canForward},
			CapsEx:       capsMultitrack | capsModEx,
		},
		statusInfo{
			Level:       "status",
			Code:        "NetConnection.Connect.Success",
			Description: "Connection succeeded.",
		}))
	return s.c.flush()
}

// What we can do with E-RTMP: pass everything on. No client needs to know.
const (
	canForward     = 4    // FourCcInfoMask
	capsMultitrack = 0x02 // CapsExMask
	capsModEx      = 0x04
)

// connectProperties is the first half of the answer to connect (§7.2.1.1), with
// what E-RTMP adds.
type connectProperties struct {
	FMSVersion   string    `amf0:"fmsVer"`
	Capabilities int       `amf0:"capabilities"`
	Mode         int       `amf0:"mode"`
	FourCCs      []string  `amf0:"fourCcList"`
	VideoFourCCs anyFourCC `amf0:"videoFourCcInfoMap"`
	AudioFourCCs anyFourCC `amf0:"audioFourCcInfoMap"`
	CapsEx       int       `amf0:"capsEx"`
}

type anyFourCC struct {
	Any int `amf0:"*"`
}

// statusInfo is the information object of onStatus (§7.2.2).
type statusInfo struct {
	Level       string `amf0:"level"`
	Code        string `amf0:"code"`
	Description string `amf0:"description"`
}

// Start accepts the publish. The client's silence counts from here on: until
// now it waited for us.
func (s *Session) Start() error {
	s.c.setTimeouts(s.c.timeouts)
	begin := message.UserCtrlEventStreamBegin{StreamID: s.streamID}
	return s.c.send(
		controlMessage(&message.UserCtrl{Event: &begin}),
		s.status("status", CodePublishStart, "Publishing."))
}

// Refuse says no, with a code that encoders know and a sentence that a person
// can act on, and closes the connection. It blocks for at most a second.
func (s *Session) Refuse(code, description string) {
	if s.Say("error", code, description) != nil {
		_ = s.c.nc.Close()
		return
	}
	s.c.finish(refusalPatience)
}

// Read returns the next audio, video or data message of the published stream.
// It blocks until there is one. Its errors match ErrUnpublished for a goodbye,
// ErrPeerClosed, ErrProtocol, ErrTooBig, or os.ErrDeadlineExceeded after the
// read timeout.
func (s *Session) Read() (Message, error) {
	for {
		m, err := s.c.read()
		switch {
		case err != nil:
			return Message{}, err
		case m.IsMedia():
			return m, nil
		case m.Type != TypeCommand && m.Type != TypeCommandAMF3:
			continue
		}
		cmd, err := parseCommand(m, s.c.in.limits)
		if err != nil {
			return Message{}, err
		}
		if s.isGoodbye(m.StreamID, cmd) {
			return Message{}, ErrUnpublished
		}
	}
}

// UsePool has the memory of what is read come from a pool, payloads of messages
// included, and go back there while nothing is to be read.
func (s *Session) UsePool(p *Pool) { s.c.in.pool = p }

// BeforeWait has f called whenever Read is about to look for more input, after it
// has returned all messages that were there: what is done for many at once is done
// then.
func (s *Session) BeforeWait(f func()) { s.c.beforeWait = f }

// Resume goes on with Read after a time without: only from here on the client may
// be silent again.
func (s *Session) Resume() { s.c.setTimeouts(s.c.timeouts) }

// isGoodbye reports whether cmd ends this stream, and not one that is another's
// or nobody's. GStreamer's rtmp2sink gives deleteStream a name.
func (s *Session) isGoodbye(streamID uint32, cmd command) bool {
	switch cmd.name {
	case "FCUnpublish":
		return cmd.string(1) == s.Name
	case "closeStream":
		return streamID == s.streamID
	case "deleteStream":
		id, isNumber := cmd.number(1)
		return isNumber && uint32(id) == s.streamID || !isNumber && cmd.string(1) == s.Name
	default:
		return false
	}
}

// Linger gives a client that has said goodbye the time to close, and closes.
// GStreamer takes a server that is quicker for one that failed. It blocks for
// at most a second.
func (s *Session) Linger() {
	if s.c.setReadDeadline(time.Now().Add(lingerPatience)) == nil {
		_, _ = io.Copy(io.Discard, s.c.nc)
	}
	_ = s.c.nc.Close()
}

// IsSecure reports whether the connection is RTMPS.
func (s *Session) IsSecure() bool {
	_, isTLS := s.c.nc.(*tls.Conn)
	return isTLS
}

// Conn is the session's connection: for who closes it, and nothing else.
func (s *Session) Conn() net.Conn { return s.c.nc }

// RemoteAddr is the peer's address.
func (s *Session) RemoteAddr() net.Addr { return s.c.nc.RemoteAddr() }

// Close closes the connection. A blocked Read returns.
func (s *Session) Close() error { return s.c.nc.Close() }
