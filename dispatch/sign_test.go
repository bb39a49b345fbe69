package dispatch

import (
	"strings"
	"testing"
)

func TestSignature(t *testing.T) {
	for _, v := range []struct {
		appID         uint32
		nonce, secret string
		at            int64
		want          string
	}{
		// V0 is printed in ZEGO's documents, the others were made with Python.
		{12345, "4fd24687296dd9f3", "9193cc662a4c0ec135ec71fb57194b38", 1615186943, "43e5cfcca828314675f91b001390566a"},
		{1234567890, "9f8e7d6c5b4a3928", "00112233445566778899aabbccddeeff", 1700000000, "2d7849483424db63e6cb4e497401f4ea"},
		{4294967295, "fedcba9876543210", "5ca1ab1e0ddba11c0ffee0defaceb00c", 1767225600, "768127b6eff7697db210f6c0afe5adfe"},
		{1, "00000000000000a0", "a5a5f00dbadc0de5a5a5f00dbadc0de5", 1617249600, "4f4e2ee5989f36d694419f5caadfa985"},
		// The border of the skew that ZEGO allows: V1 at +600 s and +601 s.
		{1234567890, "9f8e7d6c5b4a3928", "00112233445566778899aabbccddeeff", 1700000600, "f13c55353eb165c92ed1ae74e48d1e0b"},
		{1234567890, "9f8e7d6c5b4a3928", "00112233445566778899aabbccddeeff", 1700000601, "5916de4e0ef67a462bc4bc93c9555c3d"},
	} {
		got := NewSigner(v.appID, v.secret).Sign(v.nonce, v.at)
		if got != v.want {
			t.Errorf("AppID %d: got %s, want %s", v.appID, got, v.want)
		}
		for what, wrong := range map[string]string{
			"time before nonce":      "fbbfb20787c5f8d64640d5df93b1cd38",
			"secret before nonce":    "4c076cb70dedfaf7f246e0c9aca2ddd2",
			"nonce in upper case":    "76c9f0d9b0aba61765e6a72e22221eea",
			"time in milliseconds":   "c0a0eb9673d7fe9b9f07b51f62839b0b",
			"AppID as a signed -1":   "32a51008243b9501e1e39f900342244d",
			"upper case hexadecimal": strings.ToUpper(v.want),
		} {
			if got == wrong {
				t.Errorf("AppID %d: signed with the %s", v.appID, what)
			}
		}
	}
}
