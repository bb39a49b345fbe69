package main

import "testing"

func TestReleaseIsSpeltAsPackagesAre(t *testing.T) {
	for module, want := range map[string]string{
		"":                                     "devel",
		"(devel)":                              "devel",
		"v0.1.0":                               "0.1.0",
		"v0.1.0+dirty":                         "0.1.0+dirty",
		"v0.1.0-rc.1":                          "0.1.0~rc.1",
		"v0.0.0-20261127173427-abcdef012345":   "0.1.0~git20261127173427.abcdef0",
		"v0.2.1-0.20261127173427-abcdef012345": "0.2.1~git20261127173427.abcdef0",
		"v0.2.1-0.20261127173427-abcdef012345+dirty":  "0.2.1~git20261127173427.abcdef0+dirty",
		"v0.1.0-rc.1.0.20261127173427-abcdef012345":   "0.1.0~rc.1+git20261127173427.abcdef0",
		"v1.0.0-beta.2.0.20261127173427-abcdef012345": "1.0.0~beta.2+git20261127173427.abcdef0",
	} {
		if got := release(module); got != want {
			t.Errorf("%q: got %q, want %q", module, got, want)
		}
	}
}
