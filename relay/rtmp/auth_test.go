package rtmp

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The response for one set of values, computed by hand with md5sum and base64.
func TestAdobeResponse(t *testing.T) {
	const want = "C+6RrV+hN4hn6U4p+S1pbQ=="
	if got := adobeResponse("alice", "salt1", "open sesame", "opaque1", "0badcafe"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func testGate(judged *int) *Gate {
	return NewGate(Door{
		IsLocked: func(app string) bool { return app == "secure" },
		Password: func(user string) (string, bool) { return "open sesame", user == "alice" },
		BeforeJudging: func(context.Context, net.Addr) error {
			*judged++
			return nil
		},
	})
}

// asked is the value of a parameter in what a gate told a client.
func asked(t *testing.T, err error, name string) string {
	t.Helper()
	var status *StatusError
	if !errors.As(err, &status) || status.Code != codeConnectRejected || !strings.Contains(status.Description, "authmod=adobe") {
		t.Fatalf("the client sees %v", err)
	}
	_, rest, _ := strings.Cut(status.Description, name+"=")
	value, _, _ := strings.Cut(rest, "&")
	return strings.TrimSpace(value)
}

func TestLogin(t *testing.T) {
	ln := listen(t)
	var judged int
	gate := testGate(&judged)
	ends, users := make(chan error, 1), make(chan string, 1)
	// connect is one connection of a client.
	connect := func(app string) (client, server error) {
		t.Helper()
		go func() {
			nc, err := ln.Accept()
			if err != nil {
				ends <- err
				return
			}
			s, err := gate.Accept(t.Context(), nc, Limits{}, Timeouts{Write: time.Second})
			if err == nil {
				users <- s.User + "@" + s.App
				err = s.Start()
				defer s.Close()
			}
			ends <- err
		}()
		to := target(t, ln, "cam1")
		to.App = app
		up, err := Dialer{}.Publish(testContext(t), to)
		if err == nil {
			defer up.Close()
		}
		return err, <-ends
	}
	login := func(user, password, salt, opaque string) string {
		return "secure?authmod=adobe&user=" + user + "&challenge=0badcafe&response=" +
			adobeResponse(user, salt, password, opaque, "0badcafe") + "&opaque=" + opaque
	}
	if client, server := connect("open?authmod=adobe&user=x"); client != nil || server != nil || <-users != "@open" {
		t.Errorf("an open application: %v, %v", client, server)
	}
	client, server := connect("secure")
	if !errors.Is(server, ErrLoginAsked) || !strings.Contains(client.Error(), "code=403 need auth; authmod=adobe") {
		t.Errorf("first: %v, %v", client, server)
	}
	for who, right := range map[[2]string]bool{
		{"alice", "open sesame"}: true, {"alice", "sesame"}: false, {"bob", "open sesame"}: false,
	} {
		client, server = connect("secure?authmod=adobe&user=" + who[0])
		if !errors.Is(server, ErrLoginAsked) || asked(t, client, "reason") != "needauth" || asked(t, client, "user") != who[0] {
			t.Errorf("second: %v, %v", client, server)
		}
		third := login(who[0], who[1], asked(t, client, "salt"), asked(t, client, "opaque"))
		client, server = connect(third)
		switch {
		case right && (client != nil || server != nil || <-users != "alice@secure"):
			t.Errorf("%v: %v, %v", who, client, server)
		case !right && (!errors.Is(server, ErrWrongLogin) || asked(t, client, "reason") != "authfailed"):
			t.Errorf("%v: %v, %v", who, client, server)
		}
		if _, server = connect(third); !errors.Is(server, ErrWrongLogin) {
			t.Errorf("the same again: %v", server)
		}
	}
	if _, server = connect(login("alice", "open sesame", "", "")); !errors.Is(server, ErrWrongLogin) {
		t.Errorf("without a challenge: %v", server)
	}
	if judged != 7 || len(gate.challenges) != 0 {
		t.Errorf("%d answers were judged, %d challenges are open", judged, len(gate.challenges))
	}
}

func TestChallengesAreBoundedAndExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var judged int
		g := testGate(&judged)
		first := g.challenge("alice")
		if _, ok := g.take(first.opaque); !ok {
			t.Error("a fresh one is not there")
		}
		late := g.challenge("alice")
		<-time.After(challengeLife)
		if _, ok := g.take(late.opaque); ok {
			t.Error("an old one is good")
		}
		for range 2 * maxChallenges {
			g.challenge("alice")
		}
		if len(g.challenges) != maxChallenges || g.byAge.Len() != maxChallenges {
			t.Errorf("%d are open", len(g.challenges))
		}
		<-time.After(challengeLife)
		if g.challenge("alice"); len(g.challenges) != 1 {
			t.Errorf("%d are open, of which one is young", len(g.challenges))
		}
	})
}

func TestParseAuth(t *testing.T) {
	got := parseAuth("authmod=adobe&user=a&response=ab+/cd==&x=y&opaque=" + strings.Repeat("x", maxAuthWord+1) + "&&=")
	if got["authmod"] != "adobe" || got["user"] != "a" || got["response"] != "ab+/cd==" || len(got) != 3 {
		t.Errorf("got %v", got)
	}
}
