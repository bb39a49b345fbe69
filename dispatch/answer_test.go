package dispatch

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestAnswers(t *testing.T) {
	data := func(d string) string { return `{"Code":0,"Message":"ok","RequestId":"77","Data":` + d + `}` }
	const u1, u2 = "rtmp://1.2.3.4:1935/1/s", "rtmps://node.example/1/s?t=1"
	for what, tc := range map[string]struct {
		status int
		body   string
		nodes  string // hosts, or
		err    string // a part of the error
		want   Verdict
	}{
		"as documented":            {200, good, "81.69.49.115:1935", "", Again},
		"several, in order":        {200, data(`["` + u1 + `","` + u2 + `"]`), "1.2.3.4:1935 node.example:443", "", Again},
		"a string":                 {200, data(`"` + u1 + `"`), "1.2.3.4:1935", "", Again},
		"the usable of a mixture":  {200, data(`[1,null,"","http://1.2.3.4/a/b","` + u1 + `"]`), "1.2.3.4:1935", "", Again},
		"null":                     {200, data(`null`), "", "ZEGO answers 1002, there is no push node", Again},
		"an empty list":            {200, data(`[]`), "", "1002", Again},
		"an object":                {200, data(`{}`), "", "1002", Again},
		"numbers":                  {200, data(`[1,2]`), "", "1002", Again},
		"Data missing":             {200, `{"Code":0,"RequestId":"77"}`, "", "1002", Again},
		"Code missing":             {200, `{"Data":["` + u1 + `"]}`, "", "without a Code", Again},
		"Code a string":            {200, `{"Code":"0","Data":["` + u1 + `"]}`, "", "no answer of ZEGO's", Again},
		"RequestId a number":       {200, `{"Code":1001,"RequestId":5094436160208407316}`, "", "(RequestId 5094436160208407316)", Again},
		"the V1 form":              {200, data(`["81.69.49.115:1935"]`), "81.69.49.115:1935", "", Again},
		"not JSON":                 {200, `<html>`, "", "no answer of ZEGO's", Again},
		"truncated":                {200, good[:40], "", "no answer of ZEGO's", Again},
		"something behind it":      {200, good + "x", "", "no answer of ZEGO's", Again},
		"nothing":                  {200, ``, "", "no answer of ZEGO's", Again},
		"JSON null":                {200, `null`, "", "without a Code", Again},
		"64 KiB and more":          {200, good + strings.Repeat(" ", 64<<10), "", "longer than 65536 bytes", Again},
		"nested a million deep":    {200, strings.Repeat("[", 60_000), "", "no answer of ZEGO's", Again},
		"HTTP 500":                 {500, `oops`, "", "HTTP 500", Again},
		"HTTP 500 with a good one": {500, good, "", "HTTP 500 Internal Server Error although", Again},
		"HTTP 403":                 {403, `oops`, "", "HTTP 403", Operator},
		"HTTP 429":                 {429, `oops`, "", "HTTP 429", Throttled},
		"a code beside HTTP 400":   {400, `{"Code":30009}`, "", "30009", ThisStream},
		"a code and usable nodes":  {200, `{"Code":1001,"Data":["` + u1 + `"]}`, "", "1001", Again},
		"an unknown code":          {200, `{"Code":4711,"Message":"odd","RequestId":"77"}`, "", "4711, an unknown code: odd (RequestId 77)", Again},
	} {
		t.Run(what, func(t *testing.T) {
			z := zegoAt(t, Options{}, answers(tc.status, tc.body))
			answer, err := z.Dispatch(t.Context(), Request{StreamID: "cam1", Direction: Push})
			if tc.err == "" {
				hosts := strings.Trim(fmt.Sprint(answer.Nodes), "[]")
				if err != nil || hosts != tc.nodes {
					t.Errorf("got %s, %v; want %s", hosts, err, tc.nodes)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tc.err) {
				t.Fatalf("got %v, want %q", err, tc.err)
			}
			if e.Verdict != tc.want || VerdictOf(err) != tc.want {
				t.Errorf("verdict %v, want %v", e.Verdict, tc.want)
			}
			if e.Advice() == "" {
				t.Error("no advice")
			}
		})
	}
}
