package dispatch

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write CODES.md anew")

// CODES.md is what the table says.
func TestCodesPage(t *testing.T) {
	var page strings.Builder
	page.WriteString("# ZEGO's return codes\n\n" +
		"What a dispatch can be answered, and what zegorelay makes of it. *again*: the encoder is accepted and ZEGO\n" +
		"asked again. *throttled*: the whole process asks less often. *operator*: a new publish is refused with\n" +
		"the reason, a running one goes on; ZEGO is asked again every minute. *this stream*: the publish is refused.\n" +
		"Any other code counts as *again*, at most five times a minute for a stream.\n\n" +
		"<!-- generated from codes.go: go test ./dispatch -run CodesPage -update -->\n" +
		"| code | meaning | verdict | what to do |\n|---|---|---|---|\n")
	for _, c := range Codes() {
		fmt.Fprintf(&page, "| %d | %s | %s | %s |\n", c.Number, c.Meaning, c.Verdict, c.Advice)
	}
	if *update {
		if err := os.WriteFile("CODES.md", []byte(page.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("CODES.md")
	if err != nil || string(got) != page.String() {
		t.Errorf("CODES.md is not what codes.go says (%v): run go test ./dispatch -run CodesPage -update", err)
	}
}

func TestEveryCodeHasItsVerdict(t *testing.T) {
	want := map[Verdict][]int{
		Again:     {1001, 1002, 1003, 30003, 100000012, 100000015},
		Throttled: {1010, 30002},
		Operator: {1005, 30004, 30005, 30011, 100000000, 100000001, 100000002, 100000003, 100000004, 100000005,
			100000006, 100000007, 100000008, 100000009, 100000010, 100000011, 100000013, 100000014, 100000016, 100000017},
		ThisStream: {1006, 30009, 30010},
	}
	n := 0
	for verdict, codes := range want {
		for _, code := range codes {
			n++
			z := zegoAt(t, Options{}, answers(200, fmt.Sprintf(`{"Code":%d,"Message":"m","RequestId":"77","Data":null}`, code)))
			_, err := z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Push})
			if VerdictOf(err) != verdict {
				t.Errorf("%d: got %v, want %v", code, VerdictOf(err), verdict)
			}
			if !strings.Contains(err.Error(), fmt.Sprint(code)) || !strings.Contains(err.Error(), "RequestId 77") {
				t.Errorf("%d: the error says %q", code, err)
			}
		}
	}
	if n != len(Codes()) {
		t.Errorf("%d codes are tested of %d", n, len(Codes()))
	}
}
