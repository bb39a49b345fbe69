// Package admin is what the operator, or a machine on the operator's behalf,
// sees of a running relay over HTTP. So far that is whether it is alive and
// whether it takes encoders.
package admin

import (
	"io"
	"net/http"
	"time"
)

// NewServer returns the HTTP server, which serves nothing until its Serve is
// called.
func NewServer() *http.Server {
	mux := http.NewServeMux()
	// Alive: the process answers.
	mux.HandleFunc("GET /healthz", say("ok"))
	// Ready: the listeners are up and the configuration is valid, which is so
	// as soon as this is served. Whether ZEGO can be reached is not part of it:
	// an orchestrator would restart a relay that holds good streams.
	mux.HandleFunc("GET /readyz", say("ready"))
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    16 << 10,
	}
}

func say(word string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = io.WriteString(w, word+"\n")
	}
}
