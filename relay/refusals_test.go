package relay_test

import (
	"strings"
	"testing"
)

// All who are refused are told why; the log tells of few.
func TestEveryRefusalIsAnsweredAndFewAreLogged(t *testing.T) {
	r := newRig(t, setup{})
	for range 9 {
		if _, err := r.dial("cam.1"); err == nil || !strings.Contains(err.Error(), "StreamId") {
			t.Errorf("the encoder sees %v", err)
		}
	}
	if _, err := r.dialFrom("127.0.0.2", "cam.1"); err == nil {
		t.Error("a bad key is taken")
	}
	r.waitLog("publish refused", `"remote":"127.0.0.2:`, `"tries":1`)
	r.waitLog("publish refused", `"remote":"127.0.0.1:`, `"tries":8`)
	if n := strings.Count(r.log.String(), "publish refused"); n != 5 {
		t.Errorf("%d lines, want those of the tries 1, 2, 4, 8 and the other's:\n%s", n, r.log)
	}
}
