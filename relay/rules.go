package relay

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/netip"
	"slices"
	"time"
)

// Rule is one stream that may be published: by whom, and what holds for it otherwise
// than for the rest. Secrets are funcs, so that nothing that prints a Rule prints them.
type Rule struct {
	Name     string         // what operators call it
	StreamID string         // ZEGO's
	App      string         // RTMP application [Options.App]
	Key      func() string  // that the encoder has to know
	Allow    []netip.Prefix // addresses that may publish it [any]

	User     string        // who must also know the password [nobody]
	Password func() string // used with User only

	Conflict     Conflict       // [that of Options]
	Grace        *time.Duration // [that of Options]
	Backlog      time.Duration  // [that of Options]
	BacklogBytes int            // [that of Options]
}

// allows reports whether the rule lets an address publish.
func (r *Rule) allows(addr netip.Addr) bool {
	return len(r.Allow) == 0 || contains(r.Allow, addr)
}

// over is o with what the rule says otherwise. There may be no rule.
func (r *Rule) over(o Options) Options {
	if r == nil {
		return o
	}
	o.App = r.App
	if r.Conflict != "" {
		o.Conflict = r.Conflict
	}
	if r.Grace != nil {
		o.Grace = *r.Grace
	}
	if r.Backlog > 0 {
		o.Backlog = r.Backlog
	}
	if r.BacklogBytes > 0 {
		o.BacklogBytes = r.BacklogBytes
	}
	return o
}

// rulebook is the list of all streams that may be published. It doesn't change; another
// takes its place. A nil one is no list: every StreamId may be published.
type rulebook struct {
	rules   []Rule
	hashes  [][sha256.Size]byte // of the keys: one length whatever is compared
	byID    map[string]*Rule
	apps    []string                 // for publishing
	private map[string]bool          // apps that need a user
	users   map[string]func() string // their passwords
}

func newRulebook(rules []Rule, app string) *rulebook {
	b := &rulebook{
		rules:   slices.Clone(rules),
		byID:    make(map[string]*Rule, len(rules)),
		private: make(map[string]bool),
		users:   make(map[string]func() string),
	}
	for i := range b.rules {
		r := &b.rules[i]
		setDefault(&r.App, app)
		b.hashes = append(b.hashes, sha256.Sum256([]byte(r.Key())))
		b.byID[r.StreamID] = r
		if !slices.Contains(b.apps, r.App) {
			b.apps = append(b.apps, r.App)
		}
		if r.User != "" {
			b.private[r.App], b.users[r.User] = true, r.Password
		}
	}
	return b
}

// find returns the rule of a key, nil if there is none. It takes as long for every key:
// who guesses learns nothing from the time.
func (b *rulebook) find(app, key string) *Rule {
	hash := sha256.Sum256([]byte(key))
	found := -1
	for i := range b.hashes {
		same := subtle.ConstantTimeCompare(hash[:], b.hashes[i][:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 || b.rules[found].App != app {
		return nil
	}
	return &b.rules[found]
}

// ruleOf returns the rule of a StreamId, nil if there is none.
func (b *rulebook) ruleOf(id string) *Rule {
	if b == nil {
		return nil
	}
	return b.byID[id]
}

// nameOf is what operators call the stream of an id.
func (b *rulebook) nameOf(id string) string {
	if r := b.ruleOf(id); r != nil {
		return r.Name
	}
	return id
}

// lists reports whether a StreamId may be published.
func (b *rulebook) lists(id string) bool { return b == nil || b.byID[id] != nil }

// publishApps are the applications that encoders may name, the usual one first.
func (b *rulebook) publishApps(usual string) []string {
	all := []string{usual}
	if b != nil {
		all = append(all, slices.DeleteFunc(slices.Clone(b.apps), func(app string) bool { return app == usual })...)
	}
	return all
}

// needsLogin reports whether clients of an application must say who they are before they
// say their key.
func (s *Server) needsLogin(app string) bool {
	book := s.rules.Load()
	return book != nil && book.private[placeOf(false, app, "", append(book.publishApps(s.o.App), s.o.PullApp)).app]
}

// password returns that of a user, if there is such a user.
func (b *rulebook) password(user string) (password string, isKnown bool) {
	if b == nil || b.users[user] == nil {
		return "", false
	}
	return b.users[user](), true
}

var errUnlisted = errors.New("the stream was taken out of ZEGORELAY_STREAMS_FILE")

// SetRules lets only the streams of a list be published, by their keys, from now on.
// Streams that are under way and still listed go on undisturbed, even if their keys have
// changed; those that are not end as if their encoders had: what they sent is delivered,
// and their nodes are told goodbye. It doesn't wait for that. It may be called at any time.
func (s *Server) SetRules(rules []Rule) {
	book := newRulebook(rules, s.o.App)
	for _, p := range s.adopt(book) {
		p.unlist()
	}
}

// adopt puts a rulebook in force, and returns the streams that are not in it. Those that
// come into the table later look for themselves.
func (s *Server) adopt(book *rulebook) (unlisted []*push) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules.Store(book)
	for id, p := range s.streams.pushes {
		p.rename(book.nameOf(id))
		if !book.lists(id) {
			unlisted = append(unlisted, p)
		}
	}
	for id, p := range s.streams.pulls {
		p.rename(book.nameOf(id))
	}
	return unlisted
}

// unlist ends a stream that may not be published any more.
func (p *push) unlist() {
	p.seat.mu.Lock()
	holder := p.seat.holder
	if holder == nil {
		p.endLocked()
	} else {
		holder.cause.CompareAndSwap(nil, &errUnlisted)
	}
	p.seat.mu.Unlock()
	p.log.Warn().Msg("the stream ends: " + errUnlisted.Error())
	if holder != nil {
		_ = holder.session.Close()
	}
}

// contains reports whether an address is in one of some networks.
func contains(networks []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// permit decides by the list whether who is at addr may publish what key says. Who may
// play is not the list's business, but players need the key.
func (b *rulebook) permit(app, key, user string, addr netip.Addr, isPlay bool) (*Rule, *refusal) {
	r := b.find(app, key)
	switch {
	case r == nil:
		// Not a letter of it: it may be a good one with a slip.
		return nil, denied(rejectBadKey, "unknown stream key of %d characters: it is not in ZEGORELAY_STREAMS_FILE, for application %s", len(key), quoted(app))
	case !isPlay && !r.allows(addr):
		return nil, denied(rejectAuth, "%s may not publish %s: its allow in ZEGORELAY_STREAMS_FILE says who may", addr, r.Name).of(r.StreamID)
	case r.User != "" && r.User != user:
		return nil, denied(rejectAuth, "%s needs a user and a password: its entry in ZEGORELAY_STREAMS_FILE says which", r.Name).of(r.StreamID)
	}
	return r, nil
}
