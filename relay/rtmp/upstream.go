package rtmp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/yutopp/go-rtmp/message"
)

const (
	// windowForNodes is the Acknowledgement window that we ask a node for at first:
	// small, so that we soon know what it has received. windowLeast and windowMost are
	// the bounds of what it is asked for once the rate of the stream is known.
	windowForNodes = 32 << 10
	windowLeast    = 4 << 10
	windowMost     = 1 << 20

	// goodbyePatience is how long a node may take to close after our goodbye. If
	// we closed first, an Acknowledgement of its would meet a closed port, and the
	// reset could take what it has not read yet.
	goodbyePatience = 1500 * time.Millisecond

	// abandonPatience is how long a goodbye may take to be written for which nobody
	// waits.
	abandonPatience = 200 * time.Millisecond
)

// Transactions of the commands that we wait for.
const (
	transactionConnect      = 1
	transactionRelease      = 2
	transactionFCPublish    = 3
	transactionCreateStream = 4
	transactionPublish      = 5
	transactionPlay         = 7
)

// Upstream is a session with a node, made by a Dialer: one that publishes there,
// or plays from there. Once it publishes, one goroutine calls Serve, another
// Queue, Flush and Unpublish. Once it plays, one calls Read.
type Upstream struct {
	c        *conn
	begun    time.Time // when it was dialled
	name     string
	streamID uint32
	window   atomic.Int64 // that the node was asked for
}

// Publish claims the stream at a node that is connected to (§7.2.2.6). It blocks
// until the node has said NetStream.Publish.Start, or ctx ends, and closes the
// connection when it returns an error. A refusal matches *StatusError.
func (u *Upstream) Publish(ctx context.Context) error { return u.claim(ctx, u.publish) }

// Play asks a node that is connected to for the stream (§7.2.2.1). It blocks until
// the node has said NetStream.Play.Start, or sends media, or ctx ends, and closes
// the connection when it returns an error. A refusal matches *StatusError.
func (u *Upstream) Play(ctx context.Context) error { return u.claim(ctx, u.play) }

func (u *Upstream) claim(ctx context.Context, ask func() error) error {
	defer u.c.closeWith(ctx)()
	err := ask()
	if err != nil {
		_ = u.c.nc.Close()
	}
	return causeOf(ctx, err)
}

func (u *Upstream) publish() error {
	// Nobody has to answer the first two; FMS-like servers want to see them.
	err := u.createStream(
		commandMessage(0, "releaseStream", transactionRelease, nil, u.name),
		commandMessage(0, "FCPublish", transactionFCPublish, nil, u.name),
	)
	if err != nil {
		return err
	}
	if err := u.c.send(commandMessage(u.streamID, "publish", transactionPublish, nil, u.name, "live")); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	_, err = u.await("publish", func(c command) bool {
		return c.name == "onStatus" && c.status().Code == CodePublishStart
	})
	return err
}

// createStream makes the message stream of the session (§7.2.1.3). What is sent
// before goes in the same write.
func (u *Upstream) createStream(before ...Message) error {
	if err := u.c.send(append(before, commandMessage(0, "createStream", transactionCreateStream, nil))...); err != nil {
		return fmt.Errorf("createStream: %w", err)
	}
	created, err := u.await("createStream", func(c command) bool {
		return c.name == "_result" && c.transaction == transactionCreateStream
	})
	if err != nil {
		return err
	}
	id, ok := created.number(1)
	if !ok {
		return fmt.Errorf("createStream: %w", protocolErrorf("an answer without a stream id"))
	}
	u.streamID = uint32(id)
	return nil
}

// await reads until a command that is the answer to the one named, or a
// refusal of it.
func (u *Upstream) await(to string, isAnswer func(command) bool) (command, error) {
	for {
		cmd, err := u.readCommand()
		if err != nil {
			return command{}, fmt.Errorf("%s: %w", to, err)
		}
		if refusal := refusalIn(cmd); refusal != nil {
			refusal.Command = to
			return command{}, u.hushed(refusal)
		}
		if isAnswer(cmd) {
			return cmd, nil
		}
	}
}

// refusalIn is the StatusError in cmd, nil if it is none. An _error to
// releaseStream or FCPublish means only that the node doesn't know them.
func refusalIn(cmd command) *StatusError {
	status := cmd.status()
	switch cmd.name {
	case "_error":
		if cmd.transaction == transactionRelease || cmd.transaction == transactionFCPublish {
			return nil
		}
		return &status
	case "onStatus":
		if cmd.object(0).string("level") == "error" || cmd.object(1).string("level") == "error" {
			return &status
		}
	case "close":
		return &StatusError{Code: "close"}
	}
	return nil
}

// hushed leaves out of a node's words the query behind the stream's name, which is a
// secret: servers like to repeat the name.
func (u *Upstream) hushed(s *StatusError) *StatusError {
	_, query, _ := strings.Cut(u.name, "?")
	for _, secret := range []string{query, printable(query)} {
		if secret != "" {
			s.Code = strings.ReplaceAll(s.Code, secret, "…")
			s.Description = strings.ReplaceAll(s.Description, secret, "…")
		}
	}
	return s
}

// readCommand reads until a command; all else that a node sends is ignored.
func (u *Upstream) readCommand() (command, error) {
	for {
		m, err := u.c.read()
		if err != nil {
			return command{}, err
		}
		if m.Type == TypeCommand || m.Type == TypeCommandAMF3 {
			return parseCommand(m, u.c.in.limits)
		}
	}
}

// Serve reads what the node sends for as long as the session lives: it answers
// pings, notes acknowledgements, and returns why the session is over, never
// nil. It blocks until then or until Close.
func (u *Upstream) Serve() error {
	for {
		if _, err := u.Read(); err != nil {
			return err
		}
	}
}

// Read is Serve up to the next audio, video or data message of the stream, which
// it returns.
func (u *Upstream) Read() (Message, error) {
	for {
		m, err := u.c.read()
		switch {
		case err != nil:
			return Message{}, err
		case m.IsMedia() && !m.isAside():
			return m, nil
		case m.Type != TypeCommand && m.Type != TypeCommandAMF3:
			continue
		}
		cmd, err := parseCommand(m, u.c.in.limits)
		if err != nil {
			return Message{}, err
		}
		if refusal := refusalIn(cmd); refusal != nil {
			return Message{}, u.hushed(refusal)
		}
		if status := cmd.status(); cmd.name == "onStatus" && isEnd(status.Code) {
			return Message{}, u.hushed(&status)
		}
	}
}

// UsePool has the memory of what is read come from a pool, payloads of messages
// included, and go back there while nothing is to be read.
func (u *Upstream) UsePool(p *Pool) { u.c.in.pool = p }

// BeforeWait has f called whenever Read is about to look for more input, after it
// has returned all messages that were there.
func (u *Upstream) BeforeWait(f func()) { u.c.beforeWait = f }

// IsUnpublished reports whether err is a node's word that the stream is not
// published any more: its answer to Unpublish, or its own doing.
func IsUnpublished(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && (status.Code == codeUnpublished || status.Code == codeUnpublishNotify)
}

// isEnd knows the codes by which a server ends a stream without calling it an
// error.
func isEnd(code string) bool {
	switch code {
	case codeUnpublished, codeUnpublishNotify,
		codePlayUnpublished, codePlayStop, codePlayComplete,
		"NetConnection.Connect.Closed", "NetConnection.Connect.AppShutdown",
		codeReconnectRequest:
		return true
	default:
		return false
	}
}

// SetWriteTimeout bounds how long a Flush may wait for the node to take bytes:
// for where Progress knows nothing.
func (u *Upstream) SetWriteTimeout(d time.Duration) {
	u.c.setTimeouts(Timeouts{Write: d})
}

// Queue appends messages, media on the published message stream, to what Flush
// sends. It keeps their payloads until then and does no I/O. It returns the position
// in the outgoing bytes at which the last one ends, to be held against Delivered.
func (u *Upstream) Queue(messages ...Message) (end uint64) {
	u.c.mu.Lock()
	defer u.c.mu.Unlock()
	return u.queue(messages)
}

func (u *Upstream) queue(messages []Message) (end uint64) {
	for _, m := range messages {
		if m.IsMedia() {
			m.StreamID = u.streamID
		}
		u.c.out.Queue(m)
	}
	return u.c.out.Queued()
}

// Window is the message, to be queued, that asks the node for an Acknowledgement
// every so many bytes (§5.4.4), in powers of two and within bounds. It is false if
// that is what the node was asked for last.
func (u *Upstream) Window(bytes int) (Message, bool) {
	window := int64(windowLeast)
	for window < int64(bytes) && window < windowMost {
		window *= 2
	}
	if u.window.Swap(window) == window {
		return Message{}, false
	}
	return controlMessage(&message.WinAckSize{Size: int32(window)}), true
}

// Flush writes what is queued in one system call where the connection allows.
// After the write timeout its error matches os.ErrDeadlineExceeded.
func (u *Upstream) Flush() error {
	u.c.mu.Lock()
	defer u.c.mu.Unlock()
	return u.c.flush()
}

// TrySend is Queue and Flush without waiting: it queues what next gives and writes
// of it what the kernel takes at once. Done reports whether that was all; the rest,
// and any error, are for the next Flush. If somebody is writing it does nothing, and
// next is not called.
func (u *Upstream) TrySend(next func() []Message) (end uint64, done bool) {
	if !u.c.mu.TryLock() {
		return 0, false
	}
	defer u.c.mu.Unlock()
	end = u.queue(next())
	return end, u.c.tryFlush()
}

// Unpublish is the goodbye: FCUnpublish, deleteStream, and our side of the
// connection closed. The node's answer, its close, ends Serve; if it doesn't
// come soon, so does the read deadline that is set here. Its error says that the
// goodbye could not be sent.
func (u *Upstream) Unpublish() error {
	err := u.c.send(
		commandMessage(0, "FCUnpublish", transactionPublish+1, nil, u.name),
		commandMessage(0, "deleteStream", 0, nil, u.streamID),
	)
	// These two fail where the node was quicker to close: then all is said.
	if half, ok := u.c.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = u.c.setReadDeadline(time.Now().Add(goodbyePatience))
	return err
}

// Abandon is a goodbye that waits for nothing, and closes. Blocked calls return.
func (u *Upstream) Abandon() {
	_ = u.c.nc.SetWriteDeadline(time.Now().Add(abandonPatience))
	_ = u.Unpublish()
	_ = u.c.nc.Close()
}

// Close closes the connection. Blocked calls return.
func (u *Upstream) Close() error { return u.c.nc.Close() }
