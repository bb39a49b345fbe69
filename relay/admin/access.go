package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
)

const (
	// httpPort is the port that a Host without one means.
	httpPort = "80"

	// contentPolicy lets the page load what is served here and nothing else; blob: is
	// how a preview gets from a script into a video.
	contentPolicy = "default-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; " +
		"object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

	// maxBody is for the body of a write, which has nothing to say.
	maxBody = 64 << 10
)

// access says who may do what.
//
// Loopback is no boundary: the browser on this machine sends there whatever any web page
// tells it to. A page elsewhere shows itself by Origin or Sec-Fetch-Site; one that had its
// own name point to 127.0.0.1 shows itself by Host, and by nothing else. There are no CORS
// headers at all, GET changes nothing, and what does change something needs the token.
type access struct {
	local  bool     // nobody but this machine can connect
	hosts  []string // that a Host may name while local
	port   string
	token  [sha256.Size]byte // its hash: one length whatever is compared
	hasOne bool
}

func newAccess(addr net.Addr, token string) *access {
	a := &access{token: sha256.Sum256([]byte(token)), hasOne: token != ""}
	tcp, ok := addr.(*net.TCPAddr)
	if ok && tcp.IP.IsLoopback() {
		_, a.port, _ = net.SplitHostPort(addr.String())
		a.local, a.hosts = true, []string{"127.0.0.1", "localhost", "::1", tcp.IP.String()}
	}
	return a
}

// guard answers what next must not see.
func (a *access) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY") // for what doesn't know frame-ancestors
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if p := a.refusal(r); p != nil {
			p.write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refusal is why nothing is answered to r; nil if there is no reason.
func (a *access) refusal(r *http.Request) *problem {
	switch {
	case a.local && !a.knows(r.Host):
		return &problem{http.StatusMisdirectedRequest, "unknown_host",
			"this is served as 127.0.0.1:" + a.port + " and localhost:" + a.port + " only: use one of these"}
	case isForeign(r):
		return &problem{http.StatusForbidden, "foreign_origin", "another site's page may not ask this"}
	case a.local || r.URL.Path == pathHealth || r.URL.Path == pathReady:
		return nil
	case !a.hasOne:
		return noToken()
	case !a.hasToken(r):
		return wrongToken()
	}
	return nil
}

// knows says whether a Host names this server.
func (a *access) knows(host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.Trim(host, "[]"), httpPort
	}
	return port == a.port && slices.Contains(a.hosts, strings.ToLower(name))
}

// isForeign says whether a browser sent r for another site's page. Following a link to
// the status page is no page's asking: it can't read what the operator then sees.
func isForeign(r *http.Request) bool {
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "none" && site != "same-origin" && !isVisit(r) {
			return true
		}
	}
	for _, origin := range r.Header.Values("Origin") {
		if origin != "http://"+r.Host && origin != "https://"+r.Host {
			return true
		}
	}
	return false
}

func isVisit(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path == pathPage &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// hasToken looks for the token as a bearer's, or as the password of whatever name: for
// that browsers ask by themselves.
func (a *access) hasToken(r *http.Request) bool {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		_, given, _ = r.BasicAuth()
	}
	hash := sha256.Sum256([]byte(given))
	return a.hasOne && subtle.ConstantTimeCompare(hash[:], a.token[:]) == 1
}

// write guards a handler that changes something.
func (a *access) write(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var p *problem
		media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		switch {
		case !a.hasOne:
			p = noToken()
		case !a.hasToken(r):
			p = wrongToken()
		case media != "application/json": // which no form of another site's can send
			p = &problem{http.StatusUnsupportedMediaType, "not_json", "send Content-Type: application/json"}
		}
		if p != nil {
			p.write(w)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next(w, r)
	}
}

func noToken() *problem {
	return &problem{http.StatusForbidden, "no_token",
		"this needs a token, and there is none: set ZEGORELAY_HTTP_TOKEN and restart zegorelay"}
}

func wrongToken() *problem {
	return &problem{http.StatusUnauthorized, "unauthorized",
		"send the value of ZEGORELAY_HTTP_TOKEN as Authorization: Bearer, or as the password of any user"}
}
