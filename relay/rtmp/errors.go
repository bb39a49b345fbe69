package rtmp

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

var (
	// ErrPeerClosed says that the peer closed the connection in order. A bare
	// io.EOF never leaves this package: to a queue it would read as "drained".
	ErrPeerClosed = errors.New("the peer closed the connection")

	// ErrUnpublished is the encoder's goodbye: FCUnpublish, closeStream or
	// deleteStream for the stream it publishes.
	ErrUnpublished = errors.New("the encoder ended the stream")

	// ErrUnplayed is the player's goodbye: closeStream or deleteStream.
	ErrUnplayed = errors.New("the player has left")

	// ErrProtocol matches every error about bytes that are not RTMP.
	ErrProtocol = errors.New("not valid RTMP")

	// ErrDial says that a node was not connected to.
	ErrDial = errors.New("dial")

	// ErrHandshake says that a node was connected to, and didn't speak RTMP.
	ErrHandshake = errors.New("handshake")

	// ErrSlowHandshake ends a client that doesn't come to the point.
	ErrSlowHandshake = errors.New("the handshake took too long")

	// ErrTooBig matches every error about a peer that went over a limit.
	ErrTooBig = errors.New("over a limit")
)

// Status codes that this program sends or acts on (§7.2.2).
const (
	CodePublishStart   = "NetStream.Publish.Start"
	CodePublishDenied  = "NetStream.Publish.Denied"
	CodePublishBadName = "NetStream.Publish.BadName"
	CodePlayStart      = "NetStream.Play.Start"
	CodePlayFailed     = "NetStream.Play.Failed"
	CodePlayNotFound   = "NetStream.Play.StreamNotFound"

	codeUnpublished     = "NetStream.Unpublish.Success"
	codeUnpublishNotify = "NetStream.Unpublish.Notify"
	codePlayReset       = "NetStream.Play.Reset"
	codePlayStop        = "NetStream.Play.Stop"
	codePlayComplete    = "NetStream.Play.Complete"
	codePlayUnpublished = "NetStream.Play.UnpublishNotify"
	codePauseNotify     = "NetStream.Pause.Notify"
	codeUnpauseNotify   = "NetStream.Unpause.Notify"
	codeSeekFailed      = "NetStream.Seek.Failed"

	// E-RTMP: the peer asks its client to go on elsewhere.
	codeReconnectRequest = "NetConnection.Connect.ReconnectRequest"
)

// StatusError is a refusal or an end in the peer's own words: onStatus with
// level "error", an _error answer, or a status that ends the stream.
type StatusError struct {
	Command     string // what it answers: connect, createStream, publish; empty when it came unasked
	Code        string // such as NetStream.Publish.BadName
	Description string // the peer's text, at most 200 bytes, escaped

	elsewhere secretURL // where the peer wants its client to go, if it does
}

// secretURL may hold a key: it prints as nothing.
type secretURL func() string

func (e *StatusError) Error() string {
	var b strings.Builder
	if e.Command != "" {
		b.WriteString(e.Command + " refused: ")
	}
	b.WriteString(e.Code)
	if e.Description != "" {
		fmt.Fprintf(&b, " (%s)", e.Description)
	}
	return b.String()
}

// peerError turns the end of the input into ErrPeerClosed and leaves every
// other error as it is.
func peerError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrPeerClosed
	}
	return err
}

func protocolErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

func limitErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrTooBig, fmt.Sprintf(format, args...))
}

// printable makes text from a peer fit for a log line: escaped and cut.
func printable(s string) string {
	const most = 200
	cut := len(s) > most
	if cut {
		s = s[:most]
	}
	s = strconv.Quote(s)
	s = s[1 : len(s)-1]
	if cut {
		s += "…"
	}
	return s
}
