package admin

import (
	"net/http"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	h := NewServer(Options{Relay: newFake()}).handler(loopback())
	for request, want := range map[string]int{
		"GET /healthz":   http.StatusOK,
		"GET /readyz":    http.StatusOK,
		"POST /readyz":   http.StatusMethodNotAllowed,
		"GET /elsewhere": http.StatusNotFound,
	} {
		method, path, _ := strings.Cut(request, " ")
		if w := ask(h, method, path); w.Code != want {
			t.Errorf("%s: got %d, want %d", request, w.Code, want)
		}
	}
}
