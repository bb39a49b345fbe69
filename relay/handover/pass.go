package handover

import (
	"net"
	"os"
)

// Send passes files through a connection: the other end gets descriptors of its own
// for the same connections, listeners and files in memory. files stay the caller's,
// who must not close them meanwhile. It blocks until all are under way, which is not
// yet received; a deadline is the caller's to set. After an error the connection is of
// no more use. Where the system can't do it, the error matches errors.ErrUnsupported.
func Send(conn *net.UnixConn, files []*os.File) error { return send(conn, files) }

// Receive takes what one Send passes, in its order; a program that is executed doesn't
// inherit it. It blocks until all is there; a deadline is the caller's to set. More
// than most are refused. The files are the caller's; on an error there are none, what
// came has been closed, and the connection is of no more use.
func Receive(conn *net.UnixConn, most int) ([]*os.File, error) { return receive(conn, most) }
