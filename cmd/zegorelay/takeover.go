package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"zegorelay/config"
	"zegorelay/relay/handover"
)

// Two processes talk about a hand-over by a unix socket of which the kernel says who is
// at the other end. Lines end with \n.
//
//	new: zegorelay take over 1      the version of this conversation
//	old: yes 10s                    after at most so long comes the next line
//	old: here                       and what handover.Send sends: the state first, then all
//	                                connections and listeners
//	new: mine                       I have all that I need to run: you end
//
// Either says no and why in its place, or hangs up. Only one may go on. The old one waits
// claimTimeout for the last line, then closes its ear and reads what had come before:
// "mine" was there, and it ends; or it was not, and the new one can't say it any more.
const (
	request = "zegorelay take over 1"
	yes     = "yes "
	here    = "here"
	no      = "no: "
	mine    = "mine"

	// requestTimeout is for the first lines, and the last.
	requestTimeout = 2 * time.Second
	claimTimeout   = 10 * time.Second

	// findTimeout is how long somebody who can be taken over is sought, findAgain how
	// often.
	findTimeout = time.Second
	findAgain   = 50 * time.Millisecond

	// mostLine is the longest line that is read.
	mostLine = 300

	// mostFiles bounds what the process before hands over.
	mostFiles = 1 << 20
)

// meetingPoint is where the daemon of this user with an RTMP address is found. It is no
// file (an abstract name): none stays behind.
func meetingPoint(cfg *config.Config) *net.UnixAddr {
	return &net.UnixAddr{Name: fmt.Sprintf("@zegorelay/%d/%s", os.Getuid(), cfg.RTMPListen), Net: "unix"}
}

// receiveHeirs receives processes that want to go on with what this one does, until ctx
// ends.
func (d *daemon) receiveHeirs(ctx context.Context, heirs chan<- heir) {
	if !d.isOnAir {
		return
	}
	ln, err := meet(meetingPoint(d.cfg))
	if err != nil {
		if !errors.Is(err, errors.ErrUnsupported) {
			d.log.Warn().Err(err).Msg("no other process can take over from this one (run --take-over)")
		}
		return
	}
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	defer ln.Close()
	var refused refusals
	for {
		conn, err := ln.AcceptUnix()
		if err != nil {
			if ctx.Err() != nil || !isTransient(ctx, err) {
				return
			}
			continue
		}
		h, err := d.receiveHeir(ctx, conn)
		if err != nil {
			refused.log(d.log, err)
			refuse(conn, err)
			continue
		}
		select {
		case heirs <- h:
		case <-ctx.Done():
			h.refuse(errors.New("it ends"))
		}
	}
}

// isTransient waits a moment after an error that passes: no descriptor left.
func isTransient(ctx context.Context, err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	select {
	case <-time.After(time.Second):
		return true
	case <-ctx.Done():
		return false
	}
}

// refusals are those of callers. Anybody can call, and say nothing, all day long.
type refusals struct {
	times  int // since the last line
	logged time.Time
}

// log says so, once a minute at most.
func (r *refusals) log(log zerolog.Logger, why error) {
	r.times++
	if !r.logged.IsZero() && time.Since(r.logged) < time.Minute {
		return
	}
	log.Warn().Err(why).Int(logTimes, r.times).Msg("a process asked to take over, and was refused")
	r.times, r.logged = 0, time.Now()
}

// receiveHeir hears what somebody wants. Who says nothing until ctx ends is not waited for.
func (d *daemon) receiveHeir(ctx context.Context, conn *net.UnixConn) (*successor, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	pid, err := peer(conn)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return nil, err
	}
	line, err := readLine(conn, nil)
	if err != nil {
		return nil, err
	}
	if line != request {
		return nil, fmt.Errorf("it said %q, which this version doesn't know", line)
	}
	if !stop() {
		return nil, errors.New("this process ends")
	}
	d.log.Info().Int(logPID, pid).Msg("another process takes over")
	return &successor{conn: conn, pid: pid, drain: d.cfg.ShutdownTimeout}, nil
}

// refuse says no and hangs up.
func refuse(conn *net.UnixConn, why error) {
	_ = conn.SetWriteDeadline(time.Now().Add(requestTimeout))
	reason := strings.ReplaceAll(why.Error(), "\n", "; ")
	_, _ = io.WriteString(conn, no+reason[:min(len(reason), mostLine-len(no)-1)]+"\n")
	_ = conn.Close()
}

// successor is a process that takes over, as an heir.
type successor struct {
	conn  *net.UnixConn
	pid   int
	drain time.Duration // how long the end of what can't be handed over may take
}

func (s *successor) refuse(why error) { refuse(s.conn, why) }

func (s *successor) accept() {
	_, _ = io.WriteString(s.conn, yes+s.drain.String()+"\n") // who is gone will be noticed
}

// inherit gives it everything, also the listeners that the service manager has.
func (s *successor) inherit(e *estate) error {
	state, err := e.sealed(e.doors)
	if err != nil {
		return err
	}
	defer state.Close()
	if err := s.conn.SetDeadline(time.Now().Add(claimTimeout)); err != nil {
		return err
	}
	_, err = io.WriteString(s.conn, here+"\n")
	if err == nil {
		files := append([]*os.File{state}, e.connections()...)
		err = handover.Send(s.conn, append(files, listeners(e.doors)...))
	}
	if err != nil {
		return fmt.Errorf("send process %d all connections: %w", s.pid, err)
	}
	return s.settle()
}

// settle waits until it is certain who goes on.
func (s *successor) settle() error {
	var heard []byte
	line, err := readLine(s.conn, &heard)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// From here on it can't say any more that it goes on.
		err = errors.Join(s.conn.CloseRead(), s.conn.SetReadDeadline(time.Now().Add(requestTimeout)))
		if err == nil {
			line, err = readLine(s.conn, &heard)
		}
		if err != nil {
			err = fmt.Errorf("it didn't say that it has what it needs, for %v", claimTimeout)
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("process %d was to take over: %w", s.pid, err)
	case line != mine:
		return fmt.Errorf("process %d was to take over: it said %q", s.pid, line)
	}
	_ = s.conn.Close()
	return nil
}

// claim is a hand-over, as the new process sees it.
type claim struct {
	conn *net.UnixConn
	log  zerolog.Logger
	left *legacy
}

// askToTakeOver asks the process that runs for everything. It doesn't end before isMine.
func askToTakeOver(ctx context.Context, cfg *config.Config, log zerolog.Logger) (*claim, error) {
	if cfg.RTMPSListen != "" { // whatever can be wrong with us is found out before
		if _, err := newCertificate(cfg.TLSCert, cfg.TLSKey, log); err != nil {
			return nil, err
		}
	}
	conn, err := find(ctx, meetingPoint(cfg))
	if err != nil {
		return nil, fmt.Errorf("no zegorelay of this user (uid %d) that runs with ZEGORELAY_RTMP_LISTEN=%s can be taken over: "+
			"start without --take-over, or as the user and with the address of the one that runs: %w", os.Getuid(), cfg.RTMPListen, err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	c := &claim{conn: conn, log: log}
	if err := c.ask(cfg); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("take over from the zegorelay that runs: %w", err)
	}
	return c, nil
}

// find goes to the process that waits at an address. One that has just begun, or goes on
// after a hand-over that failed, isn't there for a moment.
func find(ctx context.Context, at *net.UnixAddr) (*net.UnixConn, error) {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	for {
		conn, err := visit(at)
		if err == nil || errors.Is(err, errors.ErrUnsupported) {
			return conn, err
		}
		select {
		case <-time.After(findAgain):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (c *claim) ask(cfg *config.Config) error {
	pid, err := peer(c.conn)
	if err != nil {
		return err
	}
	if err := c.conn.SetDeadline(time.Now().Add(2 * requestTimeout)); err != nil {
		return err
	}
	if _, err := io.WriteString(c.conn, request+"\n"); err != nil {
		return err
	}
	after, err := c.hear(yes)
	if err != nil {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	drain, err := time.ParseDuration(after)
	if err != nil {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	if err := c.conn.SetDeadline(time.Now().Add(drain + claimTimeout)); err != nil {
		return err
	}
	if _, err := c.hear(here); err != nil {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	if err := c.receive(cfg); err != nil {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	c.log.Info().Int(logPID, pid).Int(logConnections, len(c.left.bundle.Files)).Msg("received the connections of the process that ran before")
	return nil
}

// hear reads a line that begins so, and returns its rest.
func (c *claim) hear(word string) (rest string, err error) {
	line, err := readLine(c.conn, nil)
	if err != nil {
		return "", err
	}
	rest, ok := strings.CutPrefix(line, word)
	if !ok {
		return "", fmt.Errorf("it said %q", line)
	}
	return rest, nil
}

// receive takes what it sends.
func (c *claim) receive(cfg *config.Config) error {
	files, err := handover.Receive(c.conn, mostFiles)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.New("it sent nothing")
	}
	defer files[0].Close()
	c.left, err = newLegacy(cfg, c.log, files[0], files[1:])
	return err
}

// isMine says that we go on. After an error the old process does; also if we have been
// asked to end meanwhile.
func (c *claim) isMine(ctx context.Context) error {
	if ctx.Err() != nil {
		return errors.New("it was asked to end before it had taken over: the process that runs goes on")
	}
	if err := c.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return err
	}
	if _, err := io.WriteString(c.conn, mine+"\n"); err == nil {
		return nil // it reads this in any case
	}
	// It has closed its ear, and says no; or it has died, and says nothing.
	line, err := readLine(c.conn, nil)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		c.log.Warn().Msg("the process that ran before has died meanwhile: this one goes on")
		return nil
	}
	if err != nil {
		return fmt.Errorf("the process that runs goes on: %w", err)
	}
	return fmt.Errorf("the process that runs goes on: it said %q", line)
}

func (c *claim) close() { _ = c.conn.Close() }

// readLine reads a line, byte by byte: what comes behind it may have descriptors with it.
// What has been heard before, and is heard, is kept in heard.
func readLine(conn *net.UnixConn, heard *[]byte) (string, error) {
	if heard == nil {
		heard = new([]byte)
	}
	for b := make([]byte, 1); len(*heard) < mostLine; {
		n, err := conn.Read(b)
		if n == 0 {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
		if b[0] == '\n' {
			return string(*heard), nil
		}
		*heard = append(*heard, b[0])
	}
	return "", errors.New("the line is too long")
}
