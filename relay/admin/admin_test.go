package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	srv := NewServer()
	for request, want := range map[string]int{
		"GET /healthz":   http.StatusOK,
		"GET /readyz":    http.StatusOK,
		"POST /readyz":   http.StatusMethodNotAllowed,
		"GET /elsewhere": http.StatusNotFound,
	} {
		method, path, _ := strings.Cut(request, " ")
		w := httptest.NewRecorder()
		srv.Handler.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		if w.Code != want {
			t.Errorf("%s: got %d, want %d", request, w.Code, want)
		}
	}
}
