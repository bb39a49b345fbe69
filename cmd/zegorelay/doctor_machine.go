package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"zegorelay/config"
)

// What doctor looks at on this machine.

// expiresSoon is when a certificate that still holds is worth a warning.
const expiresSoon = 14 * 24 * time.Hour

// ports looks whether the listeners can be had. A port that a running zegorelay
// of this configuration has is well.
func (x *examination) ports(ctx context.Context, cfg *config.Config) {
	running := healthcheckCommand{}.Run(ctx) == nil
	for _, p := range []struct{ variable, addr string }{
		{"RTMP_LISTEN", cfg.RTMPListen}, {"RTMPS_LISTEN", cfg.RTMPSListen}, {"HTTP_LISTEN", cfg.HTTPListen},
	} {
		if p.addr == "" {
			continue
		}
		ln, err := net.Listen("tcp", p.addr)
		switch {
		case err == nil:
			_ = ln.Close()
			x.note("ports", fine, "", "%s is free", p.addr)
		case running && errors.Is(err, syscall.EADDRINUSE):
			x.note("ports", fine, "", "%s is in use, and a zegorelay with this configuration runs and is ready", p.addr)
		case errors.Is(err, syscall.EADDRINUSE):
			x.note("ports", failure, "stop the other program, or change ZEGORELAY_"+p.variable, "%s is in use by another program", p.addr)
		default:
			x.note("ports", failure, "change ZEGORELAY_"+p.variable, "%v", err)
		}
	}
}

// certificate looks at the files for RTMPS.
func (x *examination) certificate(cfg *config.Config) {
	if cfg.RTMPSListen == "" {
		return
	}
	pair, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey)
	if err != nil {
		x.note("certificate", failure, "check ZEGORELAY_TLS_CERT and ZEGORELAY_TLS_KEY", "%v", err)
		return
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	switch left := time.Until(leaf.NotAfter); {
	case err != nil:
		x.note("certificate", failure, "check ZEGORELAY_TLS_CERT", "%v", err)
	case left < 0:
		x.note("certificate", failure, "renew it: encoders refuse it", "it has expired on %s", leaf.NotAfter.Format(time.DateOnly))
	case left < expiresSoon:
		x.note("certificate", warning, "renew it", "it expires on %s", leaf.NotAfter.Format(time.DateOnly))
	case len(leaf.DNSNames) == 0:
		x.note("certificate", warning, "get one for a name: OBS takes no other", "it is for no DNS name")
	default:
		x.note("certificate", fine, "", "for %s, until %s", strings.Join(leaf.DNSNames, ", "), leaf.NotAfter.Format(time.DateOnly))
	}
}

// descriptors looks whether as many connections as are allowed can be had: two
// for a stream.
func (x *examination) descriptors(cfg *config.Config) {
	most, ok := mostDescriptors()
	if !ok {
		return
	}
	needed := neededDescriptors(cfg)
	if most < needed {
		x.note("descriptors", warning, "raise the limit (LimitNOFILE= in the unit, ulimit -n), or lower ZEGORELAY_MAX_CONNECTIONS",
			"%d file descriptors are allowed, %d connections and %d streams need %d", most, cfg.MaxConnections, cfg.MaxStreams, needed)
		return
	}
	x.note("descriptors", fine, "", "%d are allowed, %d needed", most, needed)
}

// hardening looks at what a process under systemd may do. Elsewhere it is the
// operator's business.
func (x *examination) hardening() {
	if os.Getenv("INVOCATION_ID") == "" {
		return
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return
	}
	field := func(name string) string {
		_, after, _ := strings.Cut(string(status), "\n"+name+":")
		value, _, _ := strings.Cut(strings.TrimSpace(after), "\n")
		return value
	}
	var lacks []string
	if os.Getuid() == 0 {
		lacks = append(lacks, "it runs as root (DynamicUser=yes)")
	}
	if field("NoNewPrivs") != "1" {
		lacks = append(lacks, "it may gain privileges (NoNewPrivileges=yes)")
	}
	if strings.Trim(field("CapBnd"), "0") != "" {
		lacks = append(lacks, "it has capabilities (CapabilityBoundingSet=)")
	}
	if field("Seccomp") != "2" {
		lacks = append(lacks, "it may make every system call (SystemCallFilter=@system-service)")
	}
	if len(lacks) > 0 {
		x.note("hardening", warning, "use the unit that comes with zegorelay", "%s", fmt.Sprint(strings.Join(lacks, ", ")))
		return
	}
	x.note("hardening", fine, "", "the unit is hardened")
}
