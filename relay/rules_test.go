package relay_test

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"zegorelay/dispatch"
	"zegorelay/relay"
	"zegorelay/relay/rtmp"
)

// rule is a rule with a key that must not show up anywhere.
func rule(name, id, key string) relay.Rule {
	return relay.Rule{Name: name, StreamID: id, Key: func() string { return key }}
}

// listed is a rig with a list.
func listed(t *testing.T, rules ...relay.Rule) *rig {
	t.Helper()
	return newRig(t, setup{tune: func(o *relay.Options) {
		o.Rules = rules
		o.PlayAllow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}})
}

// connect publishes, or plays, with an application and a name as they are.
func (r *rig) connect(app, name string, isPlay bool) (*rtmp.Upstream, error) {
	r.t.Helper()
	target := rtmp.Target{Addr: r.addr, TCURL: "'rtmp://elsewhere/", App: app, Name: name} // Neko sends such a tcUrl
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	dialer := rtmp.Dialer{Dial: (&net.Dialer{}).DialContext}
	up, err := dialer.Connect(ctx, target)
	if err != nil {
		return nil, err
	}
	r.t.Cleanup(func() { up.Close() })
	if isPlay {
		return up, up.Play(ctx)
	}
	return up, up.Publish(ctx)
}

// refusedWith is what a client that is refused is told.
func refusedWith(t *testing.T, err error, code string, parts ...string) {
	t.Helper()
	var status *rtmp.StatusError
	if !errors.As(err, &status) || status.Code != code {
		t.Errorf("got %v, want %s", err, code)
		return
	}
	for _, part := range parts {
		if !strings.Contains(status.Description, part) {
			t.Errorf("got %v, want %q in it", status, part)
		}
	}
}

func TestOnlyListedKeysPublish(t *testing.T) {
	door := rule("front-door", "cam1", "marker3-key-1")
	door.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	r := listed(t, door, rule("yard", "cam2", "marker3-key-2"))
	for _, key := range []string{"cam1", "front-door", "marker3-key-9", "marker3-key-", "marker3/key", "x?marker3-key-1"} {
		_, err := r.dialFrom("127.0.0.2", key)
		refusedWith(t, err, rtmp.CodePublishDenied)
	}
	_, err := r.dialFrom("127.0.0.3", "marker3-key-9")
	refusedWith(t, err, rtmp.CodePublishDenied, "unknown stream key of 13 characters: it is not in ZEGORELAY_STREAMS_FILE")
	_, err = r.dialFrom("127.0.0.3", "marker3-key-1")
	refusedWith(t, err, rtmp.CodePublishDenied, "127.0.0.3 may not publish front-door")
	if n := len(r.sim.Requests()); n != 0 {
		t.Errorf("ZEGO was asked %d times", n)
	}
	up, err := r.connect("live", "marker3-key-1?token=x", false)
	if err != nil {
		t.Fatal(err)
	}
	e := r.encoder("cam1", up)
	e.frames(100)
	r.waitFor("the node", r.isHealth(relay.OK))
	if st := r.status(); st.Name != "front-door" || st.StreamID != "cam1" {
		t.Errorf("it is called %s, %s", st.Name, st.StreamID)
	}
	// Players need the key, too.
	_, err = r.connect("live", "cam1", true)
	refusedWith(t, err, rtmp.CodePlayFailed, "unknown stream key")
	_, err = r.connect("live", "marker3-key-2", true)
	refusedWith(t, err, rtmp.CodePlayNotFound, "yard is not being published here")
	if _, err = r.connect("live", "marker3-key-1", true); err != nil {
		t.Errorf("a player with the key: %v", err)
	}
	if err := r.srv.Kick("cam1", dispatch.Push); !errors.Is(err, relay.ErrNoStream) {
		t.Errorf("the StreamId is not its name: %v", err)
	}
	if err := r.srv.Redispatch("front-door", dispatch.Push); err != nil {
		t.Error(err)
	}
	e.frames(100)
	e.goodbye()
	r.checkAll()
	r.waitLog("publish refused", "unknown stream key")
	if strings.Contains(r.log.String(), "marker3") {
		t.Errorf("a key is in the log:\n%s", r.log)
	}
	if rejects := r.srv.Totals().Rejects; rejects["bad_key"] < 7 || rejects["auth"] != 1 {
		t.Errorf("counted %v", rejects)
	}
}

// With a list keys are secrets, wherever a client puts them.
func TestNoKeyIsRepeated(t *testing.T) {
	r := listed(t, rule("cam", "cam1", "marker3-key-1"))
	for _, c := range []struct {
		app, name string
		isPlay    bool
	}{
		{"liev/marker3-key-1", "", false}, {"marker3-key-1", "", true}, {"liev/marker3-key-1", "x", false}, {"marker3-key-1", "x", false},
		{"live/marker3-key-2", "", false}, {"marker3-key-2", "", false}, {"", "marker3-key-2", false},
		{"pull", "marker3-key-1", false}, {"pull/marker3", "", false},
	} {
		_, err := r.connect(c.app, c.name, c.isPlay)
		if err == nil || strings.Contains(err.Error(), "marker3") {
			t.Errorf("%v: the client sees %v", c, err)
		}
	}
	r.waitLog("refused")
	if strings.Contains(r.log.String(), "marker3") {
		t.Errorf("a key is in the log:\n%s", r.log)
	}
}

// One stream may have an application, a conflict policy and a grace of its own.
func TestARuleGoesBeforeTheOptions(t *testing.T) {
	grace := time.Minute
	own := rule("own", "cam1", "marker3-key-1")
	own.App, own.Conflict, own.Grace = "studio", relay.Reject, &grace
	r := listed(t, own, rule("usual", "cam2", "marker3-key-2"))
	_, err := r.connect("live", "marker3-key-1", false)
	refusedWith(t, err, rtmp.CodePublishDenied, "unknown stream key", `live`)
	up, err := r.connect("studio", "marker3-key-1", false)
	if err != nil {
		t.Fatal(err)
	}
	e := r.encoder("cam1", up)
	e.frames(3)
	r.waitFor("the node", r.isHealth(relay.OK))
	if st := r.status(); st.App != "studio" {
		t.Errorf("its application is %s", st.App)
	}
	_, err = r.connect("studio/marker3-key-1", "", false)
	refusedWith(t, err, rtmp.CodePublishBadName, "already being published")
	up.Close()
	r.waitFor("its absence", func() bool { return !r.status().Away.IsZero() })
	if n := len(r.srv.Streams()); n != 1 {
		t.Errorf("%d streams: it was not held", n)
	}
}

// What goes from the list ends in order; what stays doesn't notice, nor does what gets
// another name.
func TestSetRules(t *testing.T) {
	stay, gone := rule("stay", "cam1", "marker3-key-1"), rule("gone", "cam2", "marker3-key-2")
	r := listed(t, stay, gone)
	encoders := make(map[string]*encoder)
	for id, key := range map[string]string{"cam1": "marker3-key-1", "cam2": "marker3-key-2"} {
		up, err := r.connect("live", key, false)
		if err != nil {
			t.Fatal(err)
		}
		encoders[id] = r.encoder(id, up)
		encoders[id].frames(60)
		r.waitFor("all of "+id, func() bool { return r.audit(id).Report().Pending == 0 })
	}
	r.srv.SetRules([]relay.Rule{rule("stays", "cam1", "marker3-key-new"), rule("new", "cam3", "marker3-key-3")})
	<-encoders["cam2"].over
	r.waitFor("its end", func() bool { return len(r.srv.Streams()) == 1 })
	for _, s := range r.sim.Sessions() {
		if s.StreamID == "cam2" && !s.Clean {
			t.Error("its node was told no goodbye")
		}
	}
	if st := r.status(); st.Name != "stays" {
		t.Errorf("the other is called %s", st.Name)
	}
	_, err := r.connect("live", "marker3-key-2", false)
	refusedWith(t, err, rtmp.CodePublishDenied, "unknown stream key")
	if up, err := r.connect("live", "marker3-key-3", false); err != nil {
		t.Error(err)
	} else if err := up.Unpublish(); err != nil {
		t.Error(err)
	}
	encoders["cam1"].frames(100)
	encoders["cam1"].goodbye()
	r.checkAll()
	if n := len(r.sim.Sessions()); n > 3 {
		t.Errorf("%d sessions: somebody was disturbed", n)
	}
}

// A stream that waits for its encoder's return is nobody's to disturb: it ends, too.
func TestSetRulesEndsWhatIsHeld(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) {
		o.Rules, o.Grace = []relay.Rule{rule("a", "cam1", "marker3-key-1")}, time.Hour
	}})
	up, err := r.connect("live", "marker3-key-1", false)
	if err != nil {
		t.Fatal(err)
	}
	r.encoder("cam1", up).frames(3)
	r.waitFor("the node", r.isHealth(relay.OK))
	up.Close()
	r.waitFor("its absence", func() bool { return !r.status().Away.IsZero() })
	r.srv.SetRules(nil)
	r.waitFor("its end", func() bool { return len(r.srv.Streams()) == 0 })
}

// The list is replaced a hundred times while media flows and encoders come and go.
func TestAHundredReloadsUnderLoad(t *testing.T) {
	rules := func(n int) []relay.Rule {
		return []relay.Rule{rule("one", "cam1", "marker3-key-1"), rule("two", "cam2", "marker3-key-2"),
			rule(fmt.Sprintf("name-%d", n), "cam3", fmt.Sprintf("marker3-key-3-%d", n)),
			rule("other", fmt.Sprintf("other-%d", n), "marker3-other")}
	}
	r := listed(t, rules(0)...)
	var load sync.WaitGroup
	stop := make(chan struct{})
	encoders := make([]*encoder, 0, 3)
	for id, key := range map[string]string{"cam1": "marker3-key-1", "cam2": "marker3-key-2", "cam3": "marker3-key-3-0"} {
		up, err := r.connect("live", key, false)
		if err != nil {
			t.Fatal(err)
		}
		e := r.encoder(id, up)
		encoders = append(encoders, e)
		load.Go(func() {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					if err := e.try(e.frame()...); err != nil {
						t.Errorf("%s was disturbed: %v", id, err)
						return
					}
				case <-stop:
					return
				}
			}
		})
	}
	load.Go(func() { // publishes what each reload takes away
		for {
			select {
			case <-stop:
				return
			default:
				if up, err := r.connect("live", "marker3-other", false); err == nil {
					_ = up.Serve()
				}
			}
		}
	})
	for n := 1; n <= 100; n++ {
		r.srv.SetRules(rules(n))
		<-time.After(15 * time.Millisecond)
	}
	close(stop)
	r.srv.SetRules(rules(101)[:3])
	load.Wait()
	for _, e := range encoders {
		e.goodbye()
	}
	for _, id := range []string{"cam1", "cam2", "cam3"} {
		report := r.audit(id).Report()
		if report.Missing+report.Pending > 0 || report.Sent < 500 || len(report.Violations) > 0 {
			t.Errorf("%s: of %d messages %d arrived; %v", id, report.Sent, report.Arrived, report.Violations)
		}
		sessions := 0
		for _, s := range r.sim.Sessions() {
			if s.StreamID == id {
				sessions++
			}
		}
		if sessions != 1 {
			t.Errorf("%s: %d sessions, want one", id, sessions)
		}
	}
	r.waitFor("an empty table", func() bool { return len(r.srv.Streams()) == 0 })
	for _, v := range r.sim.Violations() {
		t.Error(v)
	}
}

// An application whose streams have users lets nobody in who can't log in; one user's key
// is of no use to another.
func TestUsers(t *testing.T) {
	first, second := rule("a", "cam1", "marker3-key-1"), rule("b", "cam2", "marker3-key-2")
	first.App, first.User, first.Password = "secure", "alice", func() string { return "marker3-pass-1" }
	second.App, second.User, second.Password = "secure", "bob", func() string { return "marker3-pass-2" }
	r := listed(t, first, second, rule("open", "cam3", "marker3-key-3"))
	login := func(user, password string) string {
		_, err := r.connect("secure?authmod=adobe&user="+user, "", false)
		var status *rtmp.StatusError
		if !errors.As(err, &status) {
			t.Fatalf("got %v", err)
		}
		value := func(name string) string {
			_, rest, _ := strings.Cut(status.Description, name+"=")
			value, _, _ := strings.Cut(rest, "&")
			return value
		}
		b64 := func(text string) string {
			sum := md5.Sum([]byte(text))
			return base64.StdEncoding.EncodeToString(sum[:])
		}
		response := b64(b64(user+value("salt")+password) + value("opaque") + "c1")
		return "secure?authmod=adobe&user=" + user + "&challenge=c1&response=" + response + "&opaque=" + value("opaque")
	}
	for _, app := range []string{"secure", "secure/_definst_", "secure/marker3-key-1"} {
		_, err := r.connect(app, "marker3-key-1", false)
		refusedWith(t, err, "NetConnection.Connect.Rejected", "code=403 need auth; authmod=adobe")
	}
	_, err := r.connect(login("alice", "marker3-pass-2"), "marker3-key-1", false)
	refusedWith(t, err, "NetConnection.Connect.Rejected", "authfailed")
	r.waitLog("login refused", "wrong user or password")
	_, err = r.connect(login("bob", "marker3-pass-2"), "marker3-key-1", false)
	refusedWith(t, err, rtmp.CodePublishDenied, "a needs a user and a password")
	up, err := r.connect(login("alice", "marker3-pass-1"), "marker3-key-1", false)
	if err != nil {
		t.Fatal(err)
	}
	e := r.encoder("cam1", up)
	e.frames(20)
	e.goodbye()
	r.checkAll()
	if up, err = r.connect("live?authmod=adobe&user=alice", "marker3-key-3", false); err != nil {
		t.Fatalf("an open application: %v", err)
	}
	if err := up.Unpublish(); err != nil {
		t.Error(err)
	}
	if strings.Contains(r.log.String(), "marker3") {
		t.Errorf("a secret is in the log:\n%s", r.log)
	}
}
