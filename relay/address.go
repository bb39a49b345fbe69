package relay

import (
	"fmt"
	"strings"

	"zegorelay/dispatch"
	"zegorelay/relay/rtmp"
)

const maxStreamID = 256

// address is the stream that a URL of ours names. Push: what is published here,
// for encoders and for players. Pull: what ZEGO has, for players.
type address struct {
	direction dispatch.Direction
	id        string // ZEGO's StreamId
}

// addressOf reads what a client asks for. Encoders with one field put the key
// behind the application, and what follows a question mark is not part of the
// key. The problem, if there is one, is a sentence for the client.
func (s *Server) addressOf(session *rtmp.Session) (a address, problem string) {
	app, name := session.App, session.Name
	key, _, _ := strings.Cut(name, "?")
	for _, ours := range []string{s.o.App, s.o.PullApp} {
		if behind, ok := strings.CutPrefix(app, ours+"/"); ok && key == "" {
			app, key = ours, behind
		}
	}
	switch isPlay := session.Action == rtmp.Play; {
	case app == s.o.PullApp && isPlay:
		a = address{dispatch.Pull, key}
	case app == s.o.App:
		a = address{dispatch.Push, strings.NewReplacer("{app}", app, "{key}", key).Replace(s.o.StreamID)}
	case isPlay:
		return a, fmt.Sprintf("unknown application %s: play rtmp://HOST/%s/STREAM_ID from ZEGO, or rtmp://HOST/%s/KEY for what is published here",
			quoted(app), s.o.PullApp, s.o.App)
	case app == s.o.PullApp:
		return a, fmt.Sprintf("%s is for playing: publish to rtmp://HOST/%s with your stream key", quoted(app), s.o.App)
	default:
		return a, fmt.Sprintf("unknown application %s: publish to rtmp://HOST/%s with your stream key", quoted(app), s.o.App)
	}
	switch {
	case key == "" && a.direction == dispatch.Pull:
		return a, fmt.Sprintf("no StreamId: play rtmp://HOST/%s/STREAM_ID", s.o.PullApp)
	case key == "":
		return a, fmt.Sprintf("no stream key: use rtmp://HOST/%s/KEY, or fill in the stream key", s.o.App)
	case !isStreamID(a.id):
		return a, fmt.Sprintf("the stream key %s can't be a ZEGO StreamId: use 1 to %d letters, digits, - and _ only",
			quoted(key), maxStreamID)
	}
	return a, ""
}

// isStreamID holds id against ZEGO's rule.
func isStreamID(id string) bool {
	if id == "" || len(id) > maxStreamID {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// quoted makes a peer's word fit for a sentence: escaped, and cut.
func quoted(word string) string {
	const most = 64
	if len(word) > most {
		return fmt.Sprintf("%q…", word[:most])
	}
	return fmt.Sprintf("%q", word)
}
