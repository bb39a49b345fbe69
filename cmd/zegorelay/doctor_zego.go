package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"zegorelay/cmd/zegorelay/testcard"
	"zegorelay/config"
	"zegorelay/dispatch"
	"zegorelay/relay/rtmp"
)

// What doctor looks at on the way to ZEGO.

// skewWarning and skewFailure are how far the clock may be off: signatures are
// refused from ten minutes on.
const (
	skewWarning = time.Minute
	skewFailure = 10 * time.Minute
)

// endpoints looks whether one of the API's hosts can be reached, step by step.
func (x *examination) endpoints(ctx context.Context, cfg *config.Config) (reached bool) {
	for _, u := range cfg.APIURL {
		if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err == nil && proxy != nil {
			x.note("API", fine, "", "%s is asked through the proxy %s", u.Host, proxy.Host)
			reached = true
			continue
		}
		reached = x.endpoint(ctx, u, cfg.DispatchTimeout) || reached
	}
	return reached
}

func (x *examination) endpoint(ctx context.Context, u *url.URL, timeout time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(ctx, u.Hostname())
	if err != nil {
		x.note("DNS", failure, "check this machine's name servers, and ZEGORELAY_API_URL", "%s can't be resolved: %s", u.Hostname(), reasonOf(err))
		return false
	}
	if net.ParseIP(u.Hostname()) == nil {
		x.note("DNS", fine, "", "%s is %s", u.Hostname(), strings.Join(addrs, ", "))
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	addr := net.JoinHostPort(u.Hostname(), port)
	begun := time.Now()
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		x.note("API", failure, "let this machine connect to it: look at firewall and route, or set HTTPS_PROXY", "no TCP connection to %s: %s", addr, reasonOf(err))
		return false
	}
	defer nc.Close()
	roundTrip := time.Since(begun)
	if u.Scheme == "https" {
		if err := tls.Client(nc, &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}).HandshakeContext(ctx); err != nil {
			x.note("TLS", failure, "look for a proxy that breaks TLS open, at this machine's clock and its root certificates", "%s: %s", addr, reasonOf(err))
			return false
		}
		x.note("TLS", fine, "", "%s is who it claims to be", u.Hostname())
	}
	x.note("API", fine, "", "%s answers TCP within %v", addr, roundTrip.Round(time.Millisecond/10))
	return true
}

// dispatch asks for a node, as a publish would.
func (x *examination) dispatch(ctx context.Context, zego *dispatch.Zego) ([]dispatch.Node, bool) {
	answer, err := zego.Dispatch(ctx, dispatch.Request{StreamID: x.streamID, Direction: dispatch.Push, Urgency: dispatch.Other})
	var z *dispatch.Error
	switch {
	case errors.As(err, &z):
		x.note("dispatch", failure, z.Advice(), "%v", z)
		return nil, false
	case err != nil:
		x.note("dispatch", failure, "", "%v", err)
		return nil, false
	}
	x.note("dispatch", fine, "", "%d nodes for %s within %v (RequestId %s)",
		len(answer.Nodes), x.streamID, answer.Took.Round(time.Millisecond), answer.RequestID)
	return answer.Nodes, true
}

// clock tells what the call has shown of this machine's clock.
func (x *examination) clock(zego *dispatch.Zego) {
	skew, ok := zego.Skew()
	const next = "set the clock, and keep it set: timedatectl set-ntp true"
	switch off := skew.Abs(); {
	case !ok:
	case off >= skewFailure:
		x.note("clock", failure, next, "this machine's clock is %v off: signatures are refused from 10 minutes on", off)
	case off >= skewWarning:
		x.note("clock", warning, next, "this machine's clock is %v off", off)
	default:
		x.note("clock", fine, "", "right within %v", max(off, time.Second))
	}
}

// nodes looks whether the nodes of an answer can be reached, and publishes to
// the first that can, if that is asked for.
func (x *examination) nodes(ctx context.Context, cfg *config.Config, nodes []dispatch.Node) {
	dialer := rtmp.Dialer{Dial: (&net.Dialer{Control: dispatch.NodePolicy{Allow: cfg.NodeAllow}.Control}).DialContext}
	for _, node := range nodes {
		target, err := rtmp.ParseTarget(node.URL())
		if err != nil {
			x.note("node", failure, "ask ZEGO's support", "%s: %v", node, err)
			continue
		}
		upstream, took, err := reach(ctx, dialer, target, cfg.ConnectTimeout)
		if err != nil {
			next := "let this machine connect to any public address, TCP port 1935: ZEGO names other nodes every time"
			if errors.Is(err, dispatch.ErrNotPublic) {
				next = "ask who answers for ZEGO here: no node has such an address"
			}
			x.note("node", failure, next, "%s: %s", node, reasonOf(err))
			continue
		}
		_ = upstream.Close()
		x.note("node", fine, "", "%s speaks RTMP; connecting took %v", node, took.Round(time.Millisecond/10))
		if x.publishFor > 0 {
			x.publish(ctx, dialer, node)
			return
		}
	}
}

// reach connects without publishing.
func reach(ctx context.Context, dialer rtmp.Dialer, target rtmp.Target, timeout time.Duration) (*rtmp.Upstream, time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %v", timeout))
	defer cancel()
	begun := time.Now()
	upstream, err := dialer.Connect(ctx, target)
	return upstream, time.Since(begun), err
}

// publish sends the test card for a while.
func (x *examination) publish(ctx context.Context, dialer rtmp.Dialer, node dispatch.Node) {
	ctx, cancel := context.WithTimeout(ctx, x.publishFor)
	defer cancel()
	var sent atomic.Int64
	err := testcard.Publish(ctx, dialer, node.URL(), func(rtmp.Message) { sent.Add(1) })
	if err != nil {
		x.note("publish", failure, "see whether somebody publishes "+x.streamID+" already; else ask ZEGO's support", "%s: %v", node, err)
		return
	}
	x.note("publish", fine, "", "%s took %d messages of %s in %v", node, sent.Load(), x.streamID, x.publishFor)
}

// reasonOf is an error without what people have read before it.
func reasonOf(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.Err
	}
	return err.Error()
}
