package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/coreos/go-systemd/v22/activation"

	"zegorelay/config"
)

// What listening sockets are for. systemd's socket units call them by these names
// (FileDescriptorName=).
const (
	rtmpSocket  = "rtmp"
	rtmpsSocket = "rtmps"
	httpSocket  = "http"
)

// inherited are listening sockets that whoever started us has opened, by name.
type inherited map[string][]net.Listener

// inheritSockets takes them over (sd_listen_fds(3)), and the variables that tell of
// them out of the environment. A socket that is of no use is an error, which matches
// config.Problems: nobody would accept from it, and encoders would wait for ever.
func inheritSockets() (inherited, error) {
	all := make(inherited)
	var problems config.Problems
	for _, file := range activation.Files(true) {
		name := file.Name()
		complain := func(what, do string) {
			problems = append(problems, config.Problem{Variable: "the inherited socket " + name, What: what, Do: do})
		}
		ln, err := net.FileListener(file)
		switch {
		case name != rtmpSocket && name != rtmpsSocket && name != httpSocket:
			complain("has a name that means nothing here", "write FileDescriptorName=rtmp, rtmps or http into its socket unit")
		case err != nil || ln.Addr().Network() != "tcp" || !isListening(file):
			complain("doesn't listen for TCP", "write ListenStream= with a port, and Accept=no, into its socket unit")
		default:
			all[name] = append(all[name], ln)
			ln = nil
		}
		if ln != nil {
			_ = ln.Close()
		}
		_ = file.Close() // the listener has its own
	}
	if len(problems) > 0 {
		all.close()
		return nil, problems
	}
	return all, nil
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

// listen opens all listeners. Inherited ones take the place of addresses.
func (d *daemon) listen(sockets inherited) error {
	if err := sockets.fit(d.cfg); err != nil {
		return err
	}
	var err error
	if d.encoders, err = d.open("RTMP", sockets[rtmpSocket], d.cfg.RTMPListen); err != nil {
		return err
	}
	if err := d.listenTLS(sockets[rtmpsSocket]); err != nil {
		return err
	}
	if d.cfg.HTTPListen == "" && len(sockets[httpSocket]) == 0 {
		return nil
	}
	web, err := d.open("HTTP", sockets[httpSocket], d.cfg.HTTPListen)
	if err != nil {
		return err
	}
	d.http = web[0]
	d.log.Info().Str(logPage, d.pageURL()).Str(logMetrics, "/metrics").Msg("page and metrics are served")
	return nil
}

// listenTLS opens the listeners for RTMPS, if there are to be any.
func (d *daemon) listenTLS(sockets []net.Listener) error {
	if d.cfg.RTMPSListen == "" {
		return nil
	}
	cert, err := newCertificate(d.cfg.TLSCert, d.cfg.TLSKey, d.log)
	if err != nil {
		return err
	}
	plain, err := d.open("RTMPS", sockets, d.cfg.RTMPSListen)
	for _, ln := range plain {
		d.encoders = append(d.encoders, secureListener{ln, tls.NewListener(ln, &tls.Config{
			GetCertificate: cert.get,
			MinVersion:     tls.VersionTLS12,
		})})
	}
	return err
}

// open returns inherited sockets for a protocol, or else one at an address.
func (d *daemon) open(protocol string, sockets []net.Listener, addr string) ([]net.Listener, error) {
	for _, ln := range sockets {
		d.log.Info().Stringer(logListen, ln.Addr()).Bool(logInherited, true).Msg("listening for " + protocol)
	}
	if len(sockets) > 0 {
		return sockets, nil
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("ZEGORELAY_%s_LISTEN: %w", protocol, err)
	}
	d.log.Info().Stringer(logListen, ln.Addr()).Msg("listening for " + protocol)
	return []net.Listener{ln}, nil
}

// close closes the listeners of a daemon that never ran.
func (d *daemon) close() error {
	var err error
	for _, ln := range d.encoders {
		err = errors.Join(err, ln.Close())
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
