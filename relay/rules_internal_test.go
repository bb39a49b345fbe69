package relay

import "testing"

// Where the encoders of the usual application have to log in, players of ZEGO's
// streams don't.
func TestWhoHasToLogIn(t *testing.T) {
	secret := func() string { return "12345678" }
	s := New(Options{Rules: []Rule{{Name: "a", StreamID: "a", App: "live", Key: secret, User: "alice", Password: secret}}})
	for app, want := range map[string]bool{"live": true, "live/12345678": true, "pull": false, "pull/cam1": false} {
		if got := s.needsLogin(app); got != want {
			t.Errorf("%s: got %v, want %v", app, got, want)
		}
	}
}
