package dispatch

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
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
	if i := strings.IndexFunc(rawURL, func(r rune) bool { return r <= ' ' || r == 0x7F }); i >= 0 {
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

func cutLast(s, sep string) (before, after string) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return "", s
	}
	return s[:i], s[i+len(sep):]
}
