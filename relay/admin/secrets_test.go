package admin

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestNoAnswerHoldsASecret(t *testing.T) {
	var log bytes.Buffer
	f := newFake()
	o := Options{
		Relay: f, Log: zerolog.New(&log), Token: fixed(testToken), Skew: nil,
		WebhookURL: fixed(hookURL), WebhookSecret: fixed(hookSecret),
	}
	printed := fmt.Sprintf("%v %+v %#v", o, o, o)
	for _, addr := range []string{"loopback", "outside"} {
		s := NewServer(o)
		h := s.handler(loopback())
		if addr == "outside" {
			h = s.handler(outside())
		}
		for _, r := range s.routes(newAccess(loopback(), testToken)) {
			method, path, _ := strings.Cut(r.pattern, " ")
			path = strings.NewReplacer("{name}", "cam1", "{file}", "cam1.flv", "{$}", "").Replace(path)
			if strings.HasSuffix(path, "/events") {
				printed += string(message("streams", s.streamsMessage()))
				continue
			}
			for _, authorization := range []string{bearer, bearer + "x", basic("x", testToken), ""} {
				// Also one that carries a stream key's query: no answer repeats it.
				w := ask(h, method, path+"?token=marker7-query", "Authorization", authorization, "Content-Type", asJSON)
				printed += fmt.Sprint(w.Header(), w.Body)
			}
		}
		for _, path := range []string{"/marker8-path", "/api/v1/streams/marker8-path", "/assets/marker8-path", "/preview/marker8-path.flv"} {
			w := ask(h, "GET", path, "Authorization", bearer)
			printed += fmt.Sprint(w.Header(), w.Body)
		}
	}
	printed += log.String()
	if at := strings.Index(printed, "marker"); at >= 0 {
		t.Errorf("a secret is in: …%s…", printed[max(0, at-200):min(len(printed), at+100)])
	}
}
