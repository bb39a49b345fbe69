package rtmp

import (
	"bufio"
	"io"

	"github.com/yutopp/go-rtmp/handshake"
)

// handshakeBytes is what the handshake takes of each direction: C0, C1 and C2.
const handshakeBytes = 1 + 2*packetBytes

// acceptHandshake answers a client's handshake (§5.2), simple or with digests.
// All of the answer goes out at once, as soon as C1 is there. The echo in C2 is
// not insisted on: what clients put there varies.
func acceptHandshake(in *Reader, out io.Writer) error {
	version, err := in.peek(1)
	if err != nil {
		return peerError(err)
	}
	if version[0] != 3 {
		return protocolErrorf("the first byte is 0x%02x, RTMP begins with 0x03", version[0])
	}
	c0c1, err := in.peek(1 + packetBytes)
	if err != nil {
		return peerError(err)
	}
	if digest, base := findDigest(c0c1[1:]); digest != nil {
		return acceptDigest(in, out, answerDigest(digest, base))
	}
	return shakeHands(in, out, handshake.HandshakeWithClient)
}

func acceptDigest(in *Reader, out io.Writer, answer []byte) error {
	if _, err := out.Write(answer); err != nil {
		return peerError(err)
	}
	_, err := io.CopyN(io.Discard, in, handshakeBytes)
	in.received = 0
	return peerError(err)
}

// dialHandshake opens the handshake with a server.
func dialHandshake(in *Reader, out io.Writer) error {
	return shakeHands(in, out, handshake.HandshakeWithServer)
}

type handshakeFunc func(io.Reader, io.Writer, *handshake.Config) error

// shakeHands runs go-rtmp's handshake with its seven small writes gathered into
// the turns of the protocol: what is written goes out when an answer is waited
// for.
func shakeHands(in *Reader, out io.Writer, shake handshakeFunc) error {
	turns := turnIO{in: in, out: bufio.NewWriterSize(out, handshakeBytes)}
	err := shake(turns, turns.out, &handshake.Config{SkipHandshakeVerification: true})
	if err == nil {
		err = turns.out.Flush()
	}
	in.received = 0 // acknowledgements count from the first chunk on
	return peerError(err)
}

// turnIO flushes what is to be said before it waits.
type turnIO struct {
	in  *Reader
	out *bufio.Writer
}

func (t turnIO) Read(p []byte) (int, error) {
	if t.in.start == t.in.end {
		if err := t.out.Flush(); err != nil {
			return 0, err
		}
	}
	return t.in.Read(p)
}
