package rtmp

import (
	"errors"
	"net"
	"net/url"
	"strings"
)

// Target is where an Upstream publishes: the parts of an RTMP URL as they go
// over the wire.
type Target struct {
	Secure bool   // rtmps
	Host   string // host name or address, for the certificate
	Addr   string // host:port
	TCURL  string // all of the URL up to the stream name
	App    string // path of TCURL
	Name   string // stream name with its query
}

// ParseTarget splits a URL at the last slash before any query: left of it is
// tcUrl, right of it the stream name. Nothing is rewritten. The default port is
// 1935, for rtmps 443. Its errors don't quote the URL, which may hold a key.
func ParseTarget(rawURL string) (Target, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return Target{}, errors.New("RTMP URL: not a URL")
	}
	if u.Scheme != "rtmp" && u.Scheme != "rtmps" {
		return Target{}, errors.New("RTMP URL: the scheme is neither rtmp nor rtmps")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"rtmp": "1935", "rtmps": "443"}[u.Scheme]
	}
	path, query, hasQuery := strings.Cut(rawURL, "?")
	tcURL, name, _ := cutLast(path, "/")
	app, ok := strings.CutPrefix(tcURL, u.Scheme+"://"+u.Host+"/")
	if !ok || app == "" || name == "" {
		return Target{}, errors.New("RTMP URL: not of the form rtmp://host/app/name")
	}
	if hasQuery {
		name += "?" + query
	}
	return Target{
		Secure: u.Scheme == "rtmps",
		Host:   u.Hostname(),
		Addr:   net.JoinHostPort(u.Hostname(), port),
		TCURL:  tcURL,
		App:    app,
		Name:   name,
	}, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
