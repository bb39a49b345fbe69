package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"zegorelay/config"
)

// What listening sockets are for. systemd's socket units call them by these names
// (FileDescriptorName=).
const (
	rtmpSocket  = "rtmp"
	rtmpsSocket = "rtmps"
	httpSocket  = "http"
)

// socket is a listening socket that was there before this daemon.
type socket struct {
	net.Listener
	lent bool // whoever started us keeps it, and gives it to the next process, too
}

// inherited are listening sockets that others have opened, by name.
type inherited map[string][]socket

// inheritSockets takes over what whoever started us has opened (sd_listen_fds(3)). A
// socket that is of no use is an error, which matches config.Problems: nobody would
// accept from it, and encoders would wait for ever.
func inheritSockets(files []*os.File) (inherited, error) {
	all := make(inherited)
	var problems config.Problems
	for _, file := range files {
		name := file.Name()
		complain := func(what, do string) {
			problems = append(problems, config.Problem{Variable: "the inherited socket " + name, What: what, Do: do})
		}
		ln, err := listenerOf(file)
		switch {
		case name != rtmpSocket && name != rtmpsSocket && name != httpSocket:
			complain("has a name that means nothing here", "write FileDescriptorName=rtmp, rtmps or http into its socket unit")
		case err != nil:
			complain("doesn't listen for TCP", "write ListenStream= with a port, and Accept=no, into its socket unit")
		default:
			all[name] = append(all[name], socket{Listener: ln, lent: true})
			ln = nil
		}
		if ln != nil {
			_ = ln.Close()
		}
	}
	if len(problems) > 0 {
		all.close()
		return nil, problems
	}
	return all, nil
}

// listenerOf is a descriptor as a listener for TCP. The file is closed in any case: a
// listener has its own.
func listenerOf(file *os.File) (net.Listener, error) {
	defer file.Close()
	listens := isListening(file)
	ln, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	if ln.Addr().Network() != "tcp" || !listens {
		return nil, errors.Join(errors.New("the descriptor doesn't listen for TCP"), ln.Close())
	}
	return ln, nil
}

// fit says what of the sockets the configuration can't serve.
func (i inherited) fit(cfg *config.Config) error {
	var problems config.Problems
	complain := func(name, what, do string) {
		problems = append(problems, config.Problem{Variable: "the inherited socket " + name, What: what, Do: do})
	}
	if len(i[rtmpsSocket]) > 0 && cfg.RTMPSListen == "" {
		complain(rtmpsSocket, "has no certificate", "set ZEGORELAY_RTMPS_LISTEN to its address, ZEGORELAY_TLS_CERT and ZEGORELAY_TLS_KEY")
	}
	if len(i[httpSocket]) > 1 {
		complain(httpSocket, "is there twice", "write one ListenStream= into its socket unit")
	}
	for _, ln := range i[httpSocket] {
		addr, _ := ln.Addr().(*net.TCPAddr)
		if cfg.HTTPToken.Reveal() == "" && (addr == nil || !addr.IP.IsLoopback()) {
			complain(httpSocket, fmt.Sprintf("is %v, which others can reach, and there is no token", ln.Addr()),
				"set ZEGORELAY_HTTP_TOKEN or ZEGORELAY_HTTP_TOKEN_FILE, or write ListenStream=127.0.0.1:8935")
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// close closes them; those that somebody else has closed don't matter.
func (i inherited) close() {
	for _, listeners := range i {
		for _, ln := range listeners {
			_ = ln.Close()
		}
	}
}

// door is a listener, and what it is for.
type door struct {
	socket
	protocol string // by the names of sockets
	asked    string // the address of the configuration, also if a socket takes its place
}

// listen opens all listeners. Inherited ones take the place of addresses.
func (d *daemon) listen(sockets inherited) error {
	if err := sockets.fit(d.cfg); err != nil {
		return err
	}
	d.doors, d.encoders, d.http = nil, nil, nil
	plain, err := d.open(rtmpSocket, sockets)
	if err != nil {
		return err
	}
	for _, s := range plain {
		d.encoders = append(d.encoders, s.Listener)
	}
	if err := d.listenTLS(sockets); err != nil {
		return err
	}
	if d.cfg.HTTPListen == "" && len(sockets[httpSocket]) == 0 {
		return nil
	}
	web, err := d.open(httpSocket, sockets)
	if err != nil {
		return err
	}
	d.http = web[0].Listener
	d.log.Info().Str(logPage, d.pageURL()).Str(logMetrics, "/metrics").Msg("page and metrics are served")
	return nil
}

// listenTLS opens the listeners for RTMPS, if there are to be any.
func (d *daemon) listenTLS(sockets inherited) error {
	if d.cfg.RTMPSListen == "" {
		return nil
	}
	cert, err := newCertificate(d.cfg.TLSCert, d.cfg.TLSKey, d.log)
	if err != nil {
		return err
	}
	plain, err := d.open(rtmpsSocket, sockets)
	for _, ln := range plain {
		d.encoders = append(d.encoders, secureListener{ln.Listener, tls.NewListener(ln.Listener, &tls.Config{
			GetCertificate: cert.get,
			MinVersion:     tls.VersionTLS12,
		})})
	}
	return err
}

// open returns the inherited sockets for a protocol, or else one at the address of the
// configuration.
func (d *daemon) open(protocol string, sockets inherited) ([]socket, error) {
	name, asked := strings.ToUpper(protocol), askedFor(d.cfg, protocol)
	all := sockets[protocol]
	if len(all) == 0 {
		ln, err := net.Listen("tcp", asked)
		if err != nil {
			return nil, fmt.Errorf("ZEGORELAY_%s_LISTEN: %w", name, err)
		}
		all = []socket{{Listener: ln}}
		d.log.Info().Stringer(logListen, ln.Addr()).Msg("listening for " + name)
	} else {
		for _, s := range all {
			d.log.Info().Stringer(logListen, s.Addr()).Bool(logInherited, true).Msg("listening for " + name)
		}
	}
	for _, s := range all {
		d.doors = append(d.doors, door{socket: s, protocol: protocol, asked: asked})
	}
	return all, nil
}

// askedFor is the address that the configuration has for a protocol; empty: none.
func askedFor(cfg *config.Config, protocol string) string {
	return map[string]string{
		rtmpSocket: cfg.RTMPListen, rtmpsSocket: cfg.RTMPSListen, httpSocket: cfg.HTTPListen,
	}[protocol]
}

// close closes the listeners of a daemon that never ran.
func (d *daemon) close() error {
	var err error
	for _, door := range d.doors {
		err = errors.Join(err, door.Close())
	}
	return err
}

// secureListener is a listener for TLS that a deadline can wake, as the watchdog
// does: tls.NewListener hides that of what it is made of.
type secureListener struct {
	net.Listener
	tls net.Listener
}

// Accept returns a connection that hasn't shaken hands yet.
func (l secureListener) Accept() (net.Conn, error) { return l.tls.Accept() }

// SetDeadline ends a wait for a connection.
func (l secureListener) SetDeadline(t time.Time) error {
	if plain, ok := l.Listener.(interface{ SetDeadline(t time.Time) error }); ok {
		return plain.SetDeadline(t)
	}
	return errors.ErrUnsupported
}
