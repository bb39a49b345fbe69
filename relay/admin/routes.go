package admin

import (
	_ "embed"
	"io"
	"net"
	"net/http"
)

const (
	pathPage   = "/"
	pathHealth = "/healthz"
	pathReady  = "/readyz"
)

//go:embed openapi.yaml
var openAPI []byte

// route is a pattern of http.ServeMux and what answers it.
type route struct {
	pattern string
	answer  http.HandlerFunc
}

// routes lists everything that is served. openapi.yaml describes each.
func (s *Server) routes(a *access) []route {
	return []route{
		// Alive: the process answers.
		{"GET /healthz", say("ok\n", "text/plain; charset=utf-8")},
		// Ready: the listeners are up and the configuration is valid, which is so
		// as soon as this is served. Whether ZEGO can be reached is not part of it:
		// an orchestrator would restart a relay that holds good streams.
		{"GET /readyz", say("ready\n", "text/plain; charset=utf-8")},
		{"GET /metrics", s.metrics.ServeHTTP},

		{"GET /{$}", s.index},
		{"GET /assets/{name}", s.asset},
		{"GET /preview/{file}", s.preview.serve},

		{"GET /api/v1/openapi.yaml", say(string(openAPI), "application/yaml; charset=utf-8")},
		{"GET /api/v1/info", s.info(!a.local)},
		{"GET /api/v1/streams", s.streams},
		{"GET /api/v1/streams/{name}", s.stream},
		{"GET /api/v1/events", s.feed.serve},
		{"POST /api/v1/streams/{name}/kick", a.write(s.command("kick", s.o.Relay.Kick))},
		{"POST /api/v1/streams/{name}/redispatch", a.write(s.command("redispatch", s.o.Relay.Redispatch))},
	}
}

// handler answers what comes in at an address.
func (s *Server) handler(addr net.Addr) http.Handler {
	a := newAccess(addr, s.token)
	mux := http.NewServeMux()
	for _, r := range s.routes(a) {
		mux.HandleFunc(r.pattern, r.answer)
	}
	return a.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse, pattern := mux.Handler(r); pattern == "" {
			writeUnrouted(w, r, refuse)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

// writeUnrouted answers a request that no route takes. refuse is the mux's own answer,
// of which only the status and Allow are wanted.
func writeUnrouted(w http.ResponseWriter, r *http.Request, refuse http.Handler) {
	verdict := &headOnly{header: make(http.Header)}
	refuse.ServeHTTP(verdict, r)
	if verdict.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", verdict.header.Get("Allow"))
		(&problem{verdict.status, "method_not_allowed", "use " + verdict.header.Get("Allow")}).write(w)
		return
	}
	(&problem{http.StatusNotFound, "not_found", "nothing is served here: see /api/v1/openapi.yaml"}).write(w)
}

// headOnly is a ResponseWriter that keeps the head.
type headOnly struct {
	header http.Header
	status int
}

func (h *headOnly) Header() http.Header         { return h.header }
func (h *headOnly) WriteHeader(status int)      { h.status = status }
func (h *headOnly) Write(b []byte) (int, error) { return len(b), nil }

// say answers with the same text always.
func say(text, mediaType string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		_, _ = io.WriteString(w, text)
	}
}
