package relay

import "testing"

// What encoders and players send for the URLs that their people write.
func TestPlaceOf(t *testing.T) {
	ours := []string{"live", "studio", "studio/a", "pull"}
	for _, tc := range []struct {
		what, app, name string
		isPlay          bool
		want            place
	}{
		{what: "server and key", app: "live", name: "cam1", want: place{"live", "cam1"}},
		{what: "a key with a query (OBS multitrack, tokens)", app: "live", name: "cam1?clientConfigId=x&t=a b", want: place{"live", "cam1"}},
		{what: "one field (GoPro, Larix)", app: "live/cam1", name: "", want: place{"live", "cam1"}},
		{what: "one field, the query in the key (OBS)", app: "live/cam1", name: "?user=x", want: place{"live", "cam1"}},
		{what: "one field, the query's end in the key", app: "live/cam1", name: "token=x", want: place{"live", "cam1"}},
		{what: "_definst_ (Flash encoders)", app: "live/_definst_", name: "cam1", want: place{"live", "cam1"}},
		{what: "_definst_ in one field", app: "live/_definst_/cam1", name: "", want: place{"live", "cam1"}},
		{what: "_definst_ in the key", app: "live", name: "_definst_/cam1", want: place{"live", "cam1"}},
		{what: "an app with a slash", app: "studio/a", name: "cam1", want: place{"studio/a", "cam1"}},
		{what: "the same, in one field", app: "studio/a/cam1", name: "", want: place{"studio/a", "cam1"}},
		{what: "the same, with _definst_", app: "studio/a/_definst_", name: "cam1", want: place{"studio/a", "cam1"}},
		{what: "no app, key elsewhere", app: "", name: "cam1", want: place{"live", "cam1"}},
		{what: "no app, all in the key", app: "", name: "live/cam1", want: place{"live", "cam1"}},
		{what: "the app as the key (go2rtc, Osmo)", app: "cam1", name: "", want: place{"live", "cam1"}},
		{what: "the same with a query (RootEncoder)", app: "cam1", name: "user=x", want: place{"live", "cam1"}},
		{what: "no key at all", app: "live", name: "", want: place{"live", ""}},
		{what: "only a query", app: "live", name: "?token=x", want: place{"live", ""}},
		{what: "nothing at all", app: "", name: "", want: place{"", ""}},
		{what: "an app of nobody", app: "liev", name: "cam1", want: place{"liev", "cam1"}},
		{what: "one below ours, with a key", app: "live/x", name: "cam1", want: place{"live/x", "cam1"}},
		{what: "a key with a slash", app: "live", name: "sub/cam1", want: place{"live", "sub/cam1"}},
		{what: "a player", app: "pull", name: "cam1", isPlay: true, want: place{"pull", "cam1"}},
		{what: "a player with one field", app: "pull/cam1", name: "", isPlay: true, want: place{"pull", "cam1"}},
		{what: "a player without an app", app: "cam1", name: "", isPlay: true, want: place{"cam1", ""}},
	} {
		if got := placeOf(tc.isPlay, tc.app, tc.name, ours); got != tc.want {
			t.Errorf("%s: %q and %q are %q, want %q", tc.what, tc.app, tc.name, got, tc.want)
		}
	}
}
