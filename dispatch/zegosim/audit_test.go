package zegosim

import (
	"fmt"
	"strings"
	"testing"

	"zegorelay/relay/rtmp"
)

// Letters make messages: H a header, K1 a keyframe, v1 a frame.
func parse(words string) (messages []rtmp.Message) {
	for word := range strings.FieldsSeq(words) {
		head := map[byte]string{'H': "\x17\x00", 'K': "\x17\x01", 'v': "\x27\x01"}[word[0]]
		messages = append(messages, rtmp.Message{Type: rtmp.TypeVideo, Payload: []byte(head + word)})
	}
	return messages
}

func TestAudit(t *testing.T) {
	const sent = "H1 K1 v1 v2 K2 v3 v4 K3 v5"
	for what, tc := range map[string]struct {
		sent     string
		sessions []string
		want     string // arrived, missing, pending, repeated
		violates string
	}{
		"all arrives":                        {sent, []string{sent}, "8 0 0 0", ""},
		"nothing arrives":                    {sent, nil, "0 0 8 0", ""},
		"the rest is under way":              {sent, []string{"H1 K1 v1"}, "2 0 6 0", ""},
		"a switch with a replay":             {sent, []string{"H1 K1 v1 v2 K2 v3", "H1 K2 v3 v4 K3 v5"}, "8 0 0 2", ""},
		"a switch without one loses":         {sent, []string{"H1 K1 v1 v2 K2", "H1 K3 v5"}, "6 2 0 0", ""},
		"what one lacks another brings":      {sent, []string{"H1 K1 v1 v2 K2", "H1 K3 v5", "H1 K2 v3 v4 K3 v5"}, "8 0 0 3", ""},
		"a jump to a keyframe in a session":  {sent, []string{"H1 K1 v1 K3 v5"}, "4 4 0 0", ""},
		"a gap within a GOP":                 {sent, []string{"H1 K1 v2"}, "1 0 7 0", "is not what was sent next"},
		"out of order":                       {sent, []string{"H1 K1 v2 v1"}, "2 0 6 0", "is not what was sent next"},
		"a keyframe that comes again":        {sent, []string{"H1 K2 v3 K1"}, "2 3 3 0", "a keyframe that came before"},
		"altered":                            {sent, []string{"H1 K1 vX"}, "1 0 7 0", "is not what was sent next"},
		"never sent":                         {sent, []string{"H1 KX"}, "0 0 8 0", "a keyframe that was never sent"},
		"a header that was never sent":       {sent, []string{"HX K1"}, "1 0 7 0", "a header that was never sent"},
		"a session without a keyframe first": {sent, []string{"H1 v1"}, "0 0 8 0", "is not what was sent next"},
		"what comes before the first counts not": {"H1 v0 " + sent, []string{"H1 H1 K1 v1 v2 K2 v3 v4 K3 v5"},
			"8 0 0 0", ""},
		"a clip that repeats": {"H1 K1 v1 v2 K1 v1 v2", []string{"H1 K1 v1 v2"}, "3 3 0 0", ""},
		"a header in between": {"H1 K1 v1 H2 K2 v2", []string{"H1 K1 v1 H2 K2 v2", "H2 K2 v2"}, "5 0 0 2", ""},
	} {
		t.Run(what, func(t *testing.T) {
			a := NewAudit()
			for _, m := range parse(tc.sent) {
				a.Sent(m)
			}
			for i, session := range tc.sessions {
				for _, m := range parse(session) {
					a.Received(i+1, m)
				}
			}
			r := a.Report()
			if got := fmt.Sprint(r.Arrived, r.Missing, r.Pending, r.Repeated); got != tc.want {
				t.Errorf("arrived, missing, pending, repeated: got %s, want %s", got, tc.want)
			}
			if got := strings.Join(r.Violations, "; "); !strings.Contains(got, tc.violates) || (tc.violates == "") != (got == "") {
				t.Errorf("violations: got %q, want %q", got, tc.violates)
			}
		})
	}
}

// Hours of a stream don't pile up, and what was missing long ago stays counted.
func TestAuditForgets(t *testing.T) {
	a := NewAudit()
	for i := range 5 * auditKeeps {
		m := parse(fmt.Sprintf("v%d", i))[0]
		if i%100 == 0 {
			m = parse(fmt.Sprintf("K%d", i))[0]
		}
		a.Sent(m)
		if i/100 != 3 {
			a.Received(1, m)
		}
	}
	if n := len(a.sent); n > 2*auditKeeps {
		t.Errorf("%d messages are remembered", n)
	}
	if r := a.Report(); r.Missing != 100 || r.Arrived != 5*auditKeeps-100 || len(r.Violations) > 0 {
		t.Errorf("got %+v", r)
	}
	if n := len(a.keys); n > 3*auditKeeps/100 {
		t.Errorf("%d keyframes are remembered", n)
	}
}
