package dispatch

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// maxNodeURL is longer than any node's URL.
const maxNodeURL = 2048

// Node is one RTMP node for one stream. Printed, it is host:port: its URL names
// the stream and may carry a token.
type Node struct {
	host string
	url  func() string
}

// ParseNode checks a URL from an answer before anything is dialled. Its errors
// don't quote it.
func ParseNode(rawURL string) (Node, error) {
	if len(rawURL) > maxNodeURL {
		return Node{}, fmt.Errorf("node URL: %d bytes long", len(rawURL))
	}
	odd := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
	if i := strings.IndexFunc(rawURL, odd); i >= 0 {
		return Node{}, fmt.Errorf("node URL: a blank or control character at byte %d", i)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return Node{}, fmt.Errorf("node URL: %d bytes that are no URL", len(rawURL))
	}
	port := u.Port()
	switch {
	case u.Scheme != "rtmp" && u.Scheme != "rtmps":
		return Node{}, errors.New("node URL: the scheme is neither rtmp nor rtmps")
	case u.User != nil:
		return Node{}, errors.New("node URL: it holds a user name")
	case u.Hostname() == "":
		return Node{}, errors.New("node URL: no host")
	case !isHost(u.Hostname()):
		return Node{}, errors.New("node URL: the host is neither a name nor an address")
	case port == "" && u.Scheme == "rtmps":
		port = "443"
	case port == "":
		port = "1935"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return Node{}, errors.New("node URL: the port is not one")
	}
	app, name := cutLast(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	if app == "" || name == "" {
		return Node{}, errors.New("node URL: the path is not of the form /app/stream")
	}
	return Node{
		host: net.JoinHostPort(u.Hostname(), port),
		url:  func() string { return rawURL },
	}, nil
}

// URL is the node's address in clear, exactly as ZEGO gave it.
func (n Node) URL() string {
	if n.url == nil {
		return ""
	}
	return n.url()
}

// Host is the host and port to connect to.
func (n Node) Host() string { return n.host }

// String returns Host.
func (n Node) String() string { return n.host }

// Format prints Host whatever the verb, also where fmt would look inside.
func (n Node) Format(f fmt.State, verb rune) { fmt.Fprintf(f, fmt.FormatString(f, verb), n.host) }

// MarshalText gives Host, in JSON too.
func (n Node) MarshalText() ([]byte, error) { return []byte(n.host), nil }

// isHost reports whether s can stand in a log and be looked up: an IP address
// without a zone, or a name of letters, digits, dots, hyphens and underscores.
// url.Parse lets through what turns a terminal's text around.
func isHost(s string) bool {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Zone() == ""
	}
	const most = 253 // RFC 1035, in text
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".-_", r)
	}
	return s != "" && len(s) <= most && !strings.ContainsFunc(s, odd)
}

func cutLast(s, sep string) (before, after string) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return "", s
	}
	return s[:i], s[i+len(sep):]
}
