package admin

import "net/http"

func newMetrics(s *Server) http.Handler { return http.NotFoundHandler() }
