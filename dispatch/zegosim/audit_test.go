package zegosim

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"zegorelay/relay/rtmp"
)

// Words make messages: H1 a header, K1 a keyframe, v1 a frame; S1 a header of
// sound, a1 a frame of it; M1 metadata, d1 other data.
func parse(words string) (messages []rtmp.Message) {
	for word := range strings.FieldsSeq(words) {
		m := rtmp.Message{Type: rtmp.TypeVideo}
		head := map[byte]string{
			'H': "\x17\x00", 'K': "\x17\x01", 'v': "\x27\x01",
			'S': "\xaf\x00", 'a': "\xaf\x01", 'M': onMeta, 'd': onText,
		}[word[0]]
		switch word[0] {
		case 'S', 'a':
			m.Type = rtmp.TypeAudio
		case 'M', 'd':
			m.Type = rtmp.TypeData
		}
		m.Payload = []byte(head + word)
		messages = append(messages, m)
	}
	return messages
}

func TestAudit(t *testing.T) {
	const sent = "H1 K1 v1 v2 K2 v3 v4 K3 v5"
	for what, tc := range map[string]struct {
		sent     string
		sessions []string
		want     string // sent: arrived, missing, pending; repeated
		violates string
	}{
		"all arrives":           {sent, []string{sent}, "8: 8 0 0; 0", ""},
		"nothing arrives":       {sent, nil, "8: 0 0 8; 0", ""},
		"the rest is under way": {sent, []string{"H1 K1 v1"}, "8: 2 0 6; 0", ""},
		"with sound and data": {"M1 H1 S1 K1 a1 v1 d1 a2", []string{"M1 H1 S1 K1 a1 v1 d1 a2"},
			"5: 5 0 0; 0", ""},

		"a switch with a replay":       {sent, []string{"H1 K1 v1 v2 K2 v3", "H1 K2 v3 v4 K3 v5"}, "8: 8 0 0; 2", ""},
		"a switch without one loses":   {sent, []string{"H1 K1 v1 v2 K2", "H1 K3 v5"}, "8: 6 2 0; 0", ""},
		"what one lacks another has":   {sent, []string{"H1 K1 v1 v2 K2", "H1 K3 v5", "H1 K2 v3 v4 K3 v5"}, "8: 8 0 0; 3", ""},
		"a jump ahead in a session":    {sent, []string{"H1 K1 v1 K3 v5"}, "8: 4 4 0; 0", ""},
		"a jump with headers":          {"H1 K1 v1 H2 K2 v2", []string{"H1 K1 H2 K2 v2"}, "4: 3 1 0; 0", ""},
		"sessions by turns":            {sent, []string{"H1 K1", "H1 K2", "H1 K3 v5"}, "8: 4 4 0; 0", ""},
		"a header in its place":        {"H1 K1 v1 H2 K2 v2", []string{"H1 K1 v1 H2 K2 v2", "H2 K2 v2"}, "5: 5 0 0; 2", ""},
		"a header brought elsewhere":   {"H1 K1 v1 H2 K2 v2", []string{"H1 K1 v1", "H2 K2 v2"}, "4: 4 0 0; 0", ""},
		"the same headers once more":   {"M1 H1 K1 v1 M1 H1 K2 v2", []string{"M1 H1 K1 v1", "M1 H1 K2 v2"}, "4: 4 0 0; 0", ""},
		"what comes before the first":  {"H1 v0 " + sent, []string{"H1 H1 K1 v1 v2 K2 v3 v4 K3 v5"}, "8: 8 0 0; 0", ""},
		"sound before the picture":     {"S1 a1 a2 H1 K1 a3", []string{"S1 H1 K1 a3"}, "2: 2 0 0; 0", ""},
		"sound that began a session":   {"S1 a1 a2 H1 K1 a3", []string{"S1 a1 a2 H1 K1 a3"}, "2: 2 0 0; 0", ""},
		"sound only":                   {"S1 a1 a2 a3 a4", []string{"S1 a1 a2", "S1 a2 a3"}, "4: 3 0 1; 1", ""},
		"sound only, with a loss":      {"S1 a1 a2 a3 a4", []string{"S1 a1 a2", "S1 a4"}, "4: 3 1 0; 0", ""},
		"a clip that repeats":          {"H1 K1 v1 v2 K1 v1 v2", []string{"H1 K1 v1 v2"}, "6: 3 3 0; 0", ""},
		"a clip that repeats, aligned": {"H1 K1 v1 K2 v2 K1 v1 K2", []string{"H1 K1 v1 K2"}, "7: 3 4 0; 0", ""},

		"a gap within a GOP":      {sent, []string{"H1 K1 v2"}, "8: 1 0 7; 0", "video at 0 ms is not what was sent next"},
		"out of order":            {sent, []string{"H1 K1 v2 v1"}, "8: 2 0 6; 0", "is not what was sent next"},
		"twice":                   {sent, []string{"H1 K1 v1 v1"}, "8: 2 0 6; 0", "is not what was sent next"},
		"a keyframe twice":        {sent, []string{"H1 K1 K1"}, "8: 1 0 7; 0", "a keyframe that came before"},
		"a keyframe that is past": {sent, []string{"H1 K2 v3 K1"}, "8: 2 3 3; 0", "a keyframe that came before"},
		"altered":                 {sent, []string{"H1 K1 vX"}, "8: 1 0 7; 0", "is not what was sent next"},
		"data altered":            {"H1 K1 d1", []string{"H1 K1 dX"}, "2: 1 0 1; 0", "data at 0 ms is not what was sent next"},
		"a keyframe altered":      {sent, []string{"H1 KX"}, "8: 0 0 8; 0", "a keyframe that was never sent"},
		"a header altered":        {sent, []string{"HX K1"}, "8: 1 0 7; 0", "a header that was never sent"},
		"no keyframe first":       {sent, []string{"H1 v1"}, "8: 0 0 8; 0", "is not what was sent next"},
		"sound first":             {"H1 S1 K1 a1", []string{"H1 S1 a1 K1"}, "2: 1 0 1; 0", "audio at 0 ms is not what was sent next"},
		"more than was sent":      {"H1 K1", []string{"H1 K1 v1"}, "1: 1 0 0; 0", "is not what was sent next"},
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
			if got := fmt.Sprintf("%d: %d %d %d; %d", r.Sent, r.Arrived, r.Missing, r.Pending, r.Repeated); got != tc.want {
				t.Errorf("sent: arrived, missing, pending; repeated: got %s, want %s", got, tc.want)
			}
			if r.Sessions != len(tc.sessions) {
				t.Errorf("%d sessions, want %d", r.Sessions, len(tc.sessions))
			}
			if got := strings.Join(r.Violations, "; "); !strings.Contains(got, tc.violates) || (tc.violates == "") != (got == "") {
				t.Errorf("violations: got %q, want %q", got, tc.violates)
			}
		})
	}
}

// A clip that loops, with a session that ends in every round and one that
// replays what the last had not got: the newest of the same keyframes is meant.
func TestAuditOfALoop(t *testing.T) {
	a := NewAudit()
	const rounds, length = 50, 10 // GOPs of a keyframe and two frames
	for n := range rounds * length {
		gop := parse(fmt.Sprintf("K%[1]d v%[1]da v%[1]db", n%length))
		session := 1 + n/7
		for i, m := range gop {
			a.Sent(m)
			if n%7 == 6 && i > 0 {
				continue // the node has died
			}
			a.Received(session, m)
		}
		if n%7 == 6 {
			for _, m := range gop {
				a.Received(session+1, m)
			}
		}
	}
	r := a.Report()
	if r.Arrived != rounds*length*3 || r.Missing+r.Pending > 0 || r.Repeated != rounds*length/7 || len(r.Violations) > 0 {
		t.Errorf("got %+v", r)
	}
}

// Hours of a stream don't pile up, what was missing long ago stays counted, and
// the first header is known for as long as it is in force.
func TestAuditForgets(t *testing.T) {
	a := NewAudit()
	for _, m := range parse("H1") {
		a.Sent(m)
	}
	for i := range 5 * auditKeeps {
		m := parse(fmt.Sprintf("v%d", i))[0]
		switch i % 100 {
		case 0:
			m = parse(fmt.Sprintf("K%d", i))[0]
		case 50:
			m = parse(fmt.Sprintf("M%d", i))[0]
		}
		a.Sent(m)
		if i/100 != 3 {
			a.Received(1, m)
		}
	}
	if n := len(a.sent); n > 2*auditKeeps {
		t.Errorf("%d messages are remembered", n)
	}
	if n := len(a.starts) + len(a.headers); n > 5*auditKeeps/100 {
		t.Errorf("%d keyframes and headers are remembered", n)
	}
	for _, m := range parse("H1 M499950") {
		a.Received(2, m)
	}
	if r := a.Report(); r.Sent != 5*auditKeeps || r.Missing != 100 || r.Arrived != 5*auditKeeps-100 || len(r.Violations) > 0 {
		t.Errorf("got %+v", r)
	}
	for range 2 * maxAuditViolations {
		a.Received(2, parse("M50")[0]) // replaced, and forgotten
	}
	if v := a.Report().Violations; len(v) != maxAuditViolations+1 || v[maxAuditViolations] != "… and 20 more" {
		t.Errorf("got violations %q", v)
	}
}

func TestAuditIsSafeForConcurrentUse(t *testing.T) {
	a := NewAudit()
	var work sync.WaitGroup
	arriving := make(chan rtmp.Message, 1)
	work.Go(func() {
		defer close(arriving)
		for i := range 1000 {
			m := parse(fmt.Sprintf("K%d", i))[0]
			a.Sent(m)
			arriving <- m
		}
	})
	work.Go(func() {
		for m := range arriving {
			a.Received(1, m)
			a.Report()
		}
	})
	work.Wait()
	if r := a.Report(); r.Arrived != 1000 || r.Sent != 1000 || len(r.Violations) > 0 {
		t.Errorf("got %+v", r)
	}
}
