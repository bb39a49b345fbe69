package rtmp

import (
	"net/url"
	"strings"
)

// Elsewhere is the URL, stream name included, at which the peer wants the stream
// that was published to t: a redirect that came with a refused connect, or
// E-RTMP's ReconnectRequest. It is the peer's word and to be checked like any
// node's URL, and may hold a key. False: the peer didn't name a place, or would
// have us leave TLS.
func (e *StatusError) Elsewhere(t Target) (rawURL string, ok bool) {
	if e.elsewhere == nil {
		return "", false
	}
	here, err := url.Parse(t.TCURL)
	if err != nil {
		return "", false
	}
	there, err := here.Parse(e.elsewhere())
	if err != nil || t.Secure && there.Scheme != "rtmps" {
		return "", false
	}
	// Some name the stream, too; a query of the tcUrl would end up in its name.
	there.RawQuery, there.Fragment = "", ""
	tcURL := strings.TrimSuffix(there.String(), "/")
	return strings.TrimSuffix(tcURL, "/"+t.Name) + "/" + t.Name, true
}
