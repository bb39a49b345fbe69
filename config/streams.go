package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/rs/zerolog"
)

const (
	maxStreamsFile = 4 << 20 // bytes
	leastKey       = 8       // characters; of one that is the StreamId as well, which is no secret, one
	mostKey        = 256
	leastPassword  = 8
	mostPassword   = 128
)

// Stream is an entry of the streams file: one stream that may be published, by whom,
// and what holds for it otherwise than for the rest.
type Stream struct {
	Name     string // what operators call it
	StreamID string // ZEGO's
	App      string // RTMP application
	Key      Secret
	Allow    []netip.Prefix // addresses that may publish it; none: any

	User     string // who must also say the password; empty: nobody
	Password Secret

	Conflict     string         // empty: as for all
	Grace        *time.Duration // nil: as for all
	Backlog      time.Duration  // 0: as for all
	BacklogBytes int64          // 0: as for all

	line int
}

var (
	goodStreamID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)
	goodName     = regexp.MustCompile(`^[A-Za-z0-9._-]{1,256}$`)
	goodKey      = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`)
	goodPassword = regexp.MustCompile(`^[!-~]+$`)
)

// readStreams reads the streams file, if there is one.
func (c *Config) readStreams(p *parser, file string) {
	if file == "" {
		return
	}
	// What systemd has put into its directory has the mode that systemd gives it.
	isCredential := p.credentials != "" && filepath.Dir(file) == filepath.Clean(p.credentials)
	text, ok := p.secretFile(file, "list of streams", maxStreamsFile, !isCredential)
	if !ok {
		return
	}
	f := &streamsFile{file: file, defaultApp: c.App, p: p}
	before := len(p.problems)
	f.read(text)
	if len(p.problems) == before && len(f.streams) == 0 {
		p.problems.add(file, "lists no stream, so that nobody could publish", "add one: zegorelay genkey --name NAME prints an entry")
	}
	f.checkAll(c.PullApp)
	c.StreamsFile, c.Streams = file, f.streams
	if f.logLevel != nil {
		c.LogLevel = *f.logLevel
	}
}

// streamsFile is a streams file while it is read.
type streamsFile struct {
	file       string
	defaultApp string
	p          *parser

	streams  []Stream
	logLevel *zerolog.Level // nil: not said
}

// problem says what is wrong in a line. Keys and passwords are never quoted.
func (f *streamsFile) problem(line int, what, do string) {
	f.p.problems.add(fmt.Sprintf("%s:%d", f.file, line), what, do)
}

// parsed has text read as a variable of the environment would be, and what is wrong
// with it told as of the line.
func parsed[T any](f *streamsFile, line int, parse func(p *parser) T) T {
	var of parser
	value := parse(&of)
	for _, problem := range of.problems {
		f.problem(line, problem.Variable[len(prefix):]+" "+problem.What, problem.Do)
	}
	return value
}

// set takes one field of an entry.
func (f *streamsFile) set(s *Stream, line int, field, text string) {
	switch field {
	case "name":
		s.Name = text
	case "key":
		s.Key = NewSecret(text)
	case "stream_id":
		s.StreamID = text
	case "app":
		s.App = parsed(f, line, func(p *parser) string { return p.app(field, text) })
	case "allow":
		s.Allow = append(s.Allow, parsed(f, line, func(p *parser) []netip.Prefix { return p.networks(field, text) })...)
	case "user":
		s.User = text
	case "password":
		s.Password = NewSecret(text)
	case "conflict":
		s.Conflict = parsed(f, line, func(p *parser) string { return p.oneOf(field, text, "auto", "takeover", "reject") })
	case "grace":
		grace := parsed(f, line, func(p *parser) time.Duration { return p.grace(field, text) })
		s.Grace = &grace
	case "backlog":
		s.Backlog = parsed(f, line, func(p *parser) time.Duration { return p.backlog(field, text) })
	case "backlog_bytes":
		s.BacklogBytes = parsed(f, line, func(p *parser) int64 { return p.backlogBytes(field, text) })
	}
}

// fields are the names of an entry's fields.
func fields() []string {
	return []string{"name", "key", "stream_id", "app", "allow", "user", "password",
		"conflict", "grace", "backlog", "backlog_bytes"}
}

// complete fills in what an entry leaves out, and holds it against the rules for one.
func (f *streamsFile) complete(s *Stream) {
	s.Name, s.StreamID = cmp.Or(s.Name, s.StreamID), cmp.Or(s.StreamID, s.Name)
	s.App = cmp.Or(s.App, f.defaultApp)
	key := s.Key.Reveal()
	switch {
	case s.StreamID == "":
		f.problem(s.line, "is an entry without stream_id", "add the StreamId that ZEGO's players know")
	case !goodStreamID.MatchString(s.StreamID):
		f.problem(s.line, fmt.Sprintf("has a stream_id of %d characters that can't be a ZEGO StreamId", len(s.StreamID)), "use 1 to 256 letters, digits, - and _ only")
	case !goodName.MatchString(s.Name):
		f.problem(s.line, fmt.Sprintf("has a name of %d characters with some that it can't have", len(s.Name)), "use letters, digits, dots, - and _ only")
	}
	const remedy = "make one with: zegorelay genkey"
	switch {
	case key == "":
		f.problem(s.line, "is an entry without key", remedy)
	case !goodKey.MatchString(key) || len(key) > mostKey:
		f.problem(s.line, "has a key that not every encoder can send", "use letters, digits, dots, -, _ and ~ only, 256 at most; "+remedy)
	case len(key) < leastKey && key != s.StreamID:
		f.problem(s.line, fmt.Sprintf("has a key of %d characters, too few to be safe from guessing", len(key)), remedy)
	}
	f.checkLogin(s)
}

func (f *streamsFile) checkLogin(s *Stream) {
	password := s.Password.Reveal()
	switch {
	case s.User == "" && password == "":
	case s.User == "" || password == "":
		f.problem(s.line, "has one of user and password", "give both, or neither")
	case !goodName.MatchString(s.User):
		f.problem(s.line, fmt.Sprintf("has a user of %d characters with some that it can't have", len(s.User)), "use letters, digits, dots, - and _ only")
	case len(password) < leastPassword || len(password) > mostPassword || !goodPassword.MatchString(password):
		f.problem(s.line, "has a password that is too short, too long, or not plain ASCII",
			fmt.Sprintf("use %d to %d letters, digits and signs, without spaces", leastPassword, mostPassword))
	}
}

// checkAll holds the entries against each other.
func (f *streamsFile) checkAll(pullApp string) {
	names, ids, keys := make(map[string]int), make(map[string]int), make(map[string]int)
	once := func(seen map[string]int, s Stream, what, value, do string) {
		if first, ok := seen[value]; ok && value != "" {
			f.problem(s.line, fmt.Sprintf("has the same %s as the entry of line %d", what, first), do)
		} else {
			seen[value] = s.line
		}
	}
	type login struct{ user, password string }
	users, apps := make(map[string]login), make(map[string]Stream)
	for _, s := range f.streams {
		once(names, s, "name", s.Name, "give each a name of its own")
		once(ids, s, "stream_id", s.StreamID, "ZEGO takes one publisher of a StreamId: give each its own")
		once(keys, s, "key", s.Key.Reveal(), "make another with: zegorelay genkey")
		if s.App == pullApp && pullApp != "" {
			f.problem(s.line, "has the app "+s.App+", which is for playing", "use another, or set PULL_APP")
		}
		of := login{s.User, s.Password.Reveal()}
		if had, ok := users[s.User]; ok && s.User != "" && had != of {
			f.problem(s.line, "gives the user "+s.User+" another password", "use one, or two users")
		}
		users[s.User] = of
		if other, ok := apps[s.App]; ok && (other.User == "") != (s.User == "") {
			f.problem(s.line, fmt.Sprintf("shares the app %s with the entry of line %d, and only one of them has a user", s.App, other.line),
				"give those with a user an app of their own: encoders log in before they say their key")
		} else if !ok {
			apps[s.App] = s
		}
	}
	for _, s := range f.streams {
		if line, ok := ids[s.Name]; ok && line != s.line {
			f.problem(s.line, fmt.Sprintf("has a name that is the stream_id of line %d", line), "give it another name")
		}
	}
}

// CheckStream says whether an entry of the streams file may have a name and a StreamId.
func CheckStream(name, streamID string) error {
	switch {
	case !goodName.MatchString(name):
		return fmt.Errorf("the name %q has more than letters, digits, dots, - and _", name)
	case !goodStreamID.MatchString(streamID):
		return fmt.Errorf("%q can't be a ZEGO StreamId: give one of 1 to 256 letters, digits, - and _ by --stream-id", streamID)
	}
	return nil
}

// Equal reports whether two entries say the same.
func (s Stream) Equal(other Stream) bool {
	isGrace := s.Grace == other.Grace || s.Grace != nil && other.Grace != nil && *s.Grace == *other.Grace
	return isGrace && slices.Equal(s.Allow, other.Allow) &&
		s.Name == other.Name && s.StreamID == other.StreamID && s.App == other.App &&
		s.Key.Reveal() == other.Key.Reveal() && s.User == other.User && s.Password.Reveal() == other.Password.Reveal() &&
		s.Conflict == other.Conflict && s.Backlog == other.Backlog && s.BacklogBytes == other.BacklogBytes
}
