package relay

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"zegorelay/dispatch"
	"zegorelay/relay/rtmp"
)

const (
	maxStreamID = 256
	leastKey    = 8 // characters of a key that is a secret
)

// instance is what Flash servers called the only instance of an application. Encoders
// made for them put it behind the application.
const instance = "_definst_"

// address is the stream that a URL of ours names. Push: what is published here,
// for encoders and for players. Pull: what ZEGO has, for players.
type address struct {
	direction dispatch.Direction
	id        string // ZEGO's StreamId
}

// place is what a client's URL comes to: the application, of ours if it is one, and the
// key or StreamId.
type place struct {
	app, key string
}

// placeOf reads what a client calls its application and its stream. Devices with one
// field for all of it cut it at different places; what follows a question mark is not
// part of the key. Of the applications that are ours the first is the usual one.
func placeOf(isPlay bool, app, name string, ours []string) place {
	key, _, _ := strings.Cut(name, "?")
	key = strings.TrimPrefix(key, instance+"/")
	if !slices.Contains(ours, app) {
		app = strings.TrimSuffix(strings.Replace(app, "/"+instance+"/", "/", 1), "/"+instance)
	}
	if slices.Contains(ours, app) {
		return place{app, key}
	}
	// A query may have been cut off the application and sent for a name.
	isNameless := key == "" || strings.Contains(key, "=")
	longestFirst := slices.SortedFunc(slices.Values(ours), func(a, b string) int { return len(b) - len(a) })
	for _, one := range longestFirst { // of which one may be below another
		if behind, ok := strings.CutPrefix(app, one+"/"); ok && isNameless {
			return place{one, behind}
		}
		if behind, ok := strings.CutPrefix(key, one+"/"); ok && app == "" {
			return place{one, behind}
		}
	}
	switch {
	case app == "" && !isNameless:
		return place{ours[0], key} // rtmp://HOST with a key in another field
	case app != "" && isNameless && !isPlay && !strings.Contains(app, "/"):
		return place{ours[0], app} // rtmp://HOST/KEY
	}
	return place{app, key}
}

// wanted decides which stream a client asks for, and whether it may publish it, or play
// what is published. The error is a *refusal, or why ctx ended.
func (s *Server) wanted(ctx context.Context, session *rtmp.Session) (a address, err error) {
	book := s.rules.Load()
	isPlay := session.Action == rtmp.Play
	at := placeOf(isPlay, session.App, session.Name, append(book.publishApps(s.o.App), s.o.PullApp))
	if problem := s.problemOf(at, isPlay, book); problem != "" {
		return a, denied(rejectBadKey, "%s", problem)
	}
	if at.app == s.o.PullApp {
		return address{dispatch.Pull, at.key}, nil
	}
	if book == nil {
		id := strings.NewReplacer("{app}", at.app, "{key}", at.key).Replace(s.o.StreamID)
		if !isStreamID(id) {
			return a, notAnID(at.key)
		}
		return address{dispatch.Push, id}, nil
	}
	addr := addrOf(session.RemoteAddr())
	if err := s.guesses.wait(ctx, addr); err != nil {
		return a, err
	}
	rule, refused := book.permit(at.app, at.key, session.User, addr, isPlay)
	if refused != nil {
		if refused.kind == rejectBadKey {
			s.guesses.failed(addr)
		}
		return a, refused
	}
	return address{dispatch.Push, rule.StreamID}, nil
}

// problemOf is what is wrong with a place whatever keys there are, in a sentence for the
// client.
func (s *Server) problemOf(at place, isPlay bool, book *rulebook) string {
	isOurs := slices.Contains(book.publishApps(s.o.App), at.app)
	isPull := at.app == s.o.PullApp
	switch {
	case isPull && isPlay && at.key == "":
		return fmt.Sprintf("no StreamId: play rtmp://HOST/%s/STREAM_ID", s.o.PullApp)
	case isPull && isPlay && !isStreamID(at.key):
		return notAnID(at.key).reason
	case isPull && isPlay:
		return ""
	case isOurs && at.key == "":
		return fmt.Sprintf("no stream key: use rtmp://HOST/%s/KEY, or fill in the stream key", at.app)
	case isOurs:
		return ""
	case isPlay:
		return fmt.Sprintf("unknown application %s: play rtmp://HOST/%s/STREAM_ID from ZEGO, or rtmp://HOST/%s/KEY for what is published here",
			at.said(book), s.o.PullApp, s.o.App)
	case isPull:
		return fmt.Sprintf("%s is for playing: publish to rtmp://HOST/%s with your stream key", quoted(at.app), s.o.App)
	default:
		return fmt.Sprintf("unknown application %s: publish to rtmp://HOST/%s with your stream key", at.said(book), s.o.App)
	}
}

// said is a client's application as it may be repeated to it, and in the log. With a list
// keys are secrets, and some clients put theirs there; what is short is none.
func (at place) said(book *rulebook) string {
	switch first, _, _ := strings.Cut(at.app, "/"); {
	case book == nil:
		return quoted(at.app)
	case len(first) < leastKey && at.key != "":
		return quoted(first)
	default:
		return fmt.Sprintf("of %d characters", len(at.app))
	}
}

func notAnID(key string) *refusal {
	return denied(rejectBadKey, "the stream key %s can't be a ZEGO StreamId: use 1 to %d letters, digits, - and _ only",
		quoted(key), maxStreamID)
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
