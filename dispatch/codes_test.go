package dispatch

import (
	"fmt"
	"strings"
	"testing"
)

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
			_, err := z.Dispatch(t.Context(), "cam1", Push)
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
