package rtmp

import (
	"errors"
	"os"
	"time"
)

// ErrPaused ends the calls of a session that is paused: the connection stands, and
// nothing of either direction is lost.
var ErrPaused = errors.New("the session is paused")

// Pause has whoever reads from the session or writes to it stop with an error that
// matches ErrPaused: between two messages, if there comes such a moment until by,
// else within one. It doesn't wait for that, and may be called beside any other
// call. It reports false, and does nothing, for a connection that nobody else could
// go on with, such as RTMPS.
func (s *Session) Pause(by time.Time) bool { return s.c.pause(by) }

// Pause is what it is for a Session.
func (u *Upstream) Pause(by time.Time) bool { return u.c.pause(by) }

func (c *conn) pause(by time.Time) bool {
	if !c.canPause() {
		return false
	}
	c.stopBy.Store(&by)
	// Both only fail on a closed connection, which says so itself. Who reads is woken
	// now, and sees whether it is between two messages.
	_ = c.nc.SetWriteDeadline(by)
	_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	return true
}

// canPause reports whether what a write doesn't get rid of is known: with TLS it is
// not, nor are its keys.
func (c *conn) canPause() bool { return c.out.tryWritev != nil }

// beforeRead runs before every read from the connection.
func (c *conn) beforeRead() error {
	if c.beforeWait != nil {
		c.beforeWait()
	}
	if c.stopBy.Load() != nil && c.in.isBetween() {
		return ErrPaused
	}
	return nil
}

// afterReadFailure judges an error of a read. A connection that is to be paused in
// the middle of a message waits for the rest of it, but not for long: it goes on
// reading if there is no error left.
func (c *conn) afterReadFailure(err error) error {
	by := c.stopBy.Load()
	switch {
	case by == nil || !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case c.in.isBetween() || time.Until(*by) <= 0:
		return ErrPaused
	}
	return c.nc.SetReadDeadline(*by)
}

// afterFailure judges an error of a write.
func (c *conn) afterFailure(err error) error {
	if c.stopBy.Load() != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrPaused
	}
	return err
}
