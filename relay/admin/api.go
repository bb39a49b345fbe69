package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"runtime"
	"time"

	"zegorelay/relay"
)

// info says what this relay is. forRead: reading needs the token, too.
func (s *Server) info(forRead bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		v := infoView{
			Version: s.o.Version, Revision: s.o.Revision, GoVersion: runtime.Version(),
			StartedAt: stamp(s.started), UptimeMs: time.Since(s.started).Milliseconds(),
			RTMP:   rtmpView{s.o.PublishURL, s.o.PlayURL, s.o.App, s.o.PullApp},
			Token:  tokenView{IsSet: s.token != "", ForRead: forRead},
			Totals: viewOfTotals(s.o.Relay.Totals()),
		}
		if skew, ok := s.skew(); ok {
			ms := skew.Milliseconds()
			v.ClockSkew = &ms
		}
		writeJSON(w, http.StatusOK, v)
	}
}

func (s *Server) skew() (time.Duration, bool) {
	if s.o.Skew == nil {
		return 0, false
	}
	return s.o.Skew()
}

func (s *Server) streams(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, viewOfStreams(s.o.Relay.Streams(), time.Now()))
}

// streamsMessage is the same for the feed.
func (s *Server) streamsMessage() any { return viewOfStreams(s.o.Relay.Streams(), time.Now()) }

func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	st, p := find(s.o.Relay, r.PathValue("name"), r.URL.Query().Get("direction"))
	if p != nil {
		p.write(w)
		return
	}
	writeJSON(w, http.StatusOK, viewOfStream(&st, time.Now()))
}

// find is the stream of a name, and of a direction if one is said. A problem says why
// it can't be only that one.
func find(from Relay, name, direction string) (relay.Status, *problem) {
	switch relay.Direction(direction) {
	case "", relay.Push, relay.Pull:
	default:
		return relay.Status{}, &problem{http.StatusBadRequest, "bad_direction", "direction is push or pull"}
	}
	var found []relay.Status
	for _, st := range from.Streams() {
		if st.Name == name && (direction == "" || string(st.Direction) == direction) {
			found = append(found, st)
		}
	}
	switch {
	case len(found) == 0:
		return relay.Status{}, noStream()
	case len(found) > 1 && direction == "":
		return relay.Status{}, &problem{http.StatusConflict, "ambiguous",
			"it is both published and played: add ?direction=push or ?direction=pull"}
	}
	return found[0], nil
}

func noStream() *problem {
	return &problem{http.StatusNotFound, "no_stream", "no stream of that name is here now: see /api/v1/streams"}
}

// command does something to a stream.
func (s *Server) command(action string, do func(name string, direction relay.Direction) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p := bodyProblem(r.Body); p != nil {
			p.write(w)
			return
		}
		st, p := find(s.o.Relay, r.PathValue("name"), r.URL.Query().Get("direction"))
		if p != nil {
			p.write(w)
			return
		}
		if err := do(st.Name, st.Direction); err != nil {
			if p = noStream(); !errors.Is(err, relay.ErrNoStream) {
				p = &problem{http.StatusConflict, "not_done", err.Error()}
			}
			p.write(w)
			return
		}
		writeJSON(w, http.StatusOK, doneView{action, st.Name, string(st.Direction)})
	}
}

// bodyProblem says what is wrong with the body of a write: it has nothing to say, so it
// is empty or an object.
func bodyProblem(body io.Reader) *problem {
	text, err := io.ReadAll(body)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return &problem{http.StatusRequestEntityTooLarge, "too_large", "send an empty body, or {}"}
	}
	var object map[string]any
	if err != nil || len(text) > 0 && json.Unmarshal(text, &object) != nil {
		return &problem{http.StatusBadRequest, "bad_body", "send an empty body, or {}"}
	}
	return nil
}
