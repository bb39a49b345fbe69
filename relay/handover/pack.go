package handover

import (
	"os"
	"time"
)

// Pack puts files into one: a unix socket to which they are all under way, and whose far
// end is closed. Whoever keeps that one descriptor keeps all of them open, and needs to
// know nothing of them. files stay the caller's, who must not close them meanwhile; the
// socket is the caller's, too.
//
// It fails if the socket doesn't take all of them in time, and where the system refuses:
// no more may be under way for a user than a process of theirs may have open
// (RLIMIT_NOFILE).
func Pack(files []*os.File, most time.Duration) (*os.File, error) { return pack(files, most) }

// Unpack takes out what Pack has put in, in its order. It works once, for all that have
// the socket: for a second one there is nothing left, which is an error. More than most
// files are refused. They are the caller's; on an error there are none, and those that
// were in there are closed once nobody has the socket any more. The socket stays the
// caller's.
func Unpack(socket *os.File, most int, patience time.Duration) ([]*os.File, error) {
	return unpack(socket, most, patience)
}
