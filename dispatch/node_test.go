package dispatch

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseNode(t *testing.T) {
	for in, want := range map[string]string{
		"rtmp://81.69.49.115:1935/1540531164/caodantest": "81.69.49.115:1935",
		"rtmp://node.example/1/s":                        "node.example:1935",
		"rtmps://node.example/1/s?token=x":               "node.example:443",
		"rtmp://[2001:db8::1]/1/s":                       "[2001:db8::1]:1935",
		"rtmp://h:1/a/b/c":                               "h:1",
	} {
		n, err := ParseNode(in)
		if err != nil || n.Host() != want || n.URL() != in {
			t.Errorf("%s: got %v, %v", in, n, err)
		}
		if printed := fmt.Sprintf("%v %+v %s %#v", n, n, n, n); strings.Contains(printed, "token") || strings.Contains(printed, "caodan") {
			t.Errorf("a node prints its URL: %s", printed)
		}
	}
	for _, in := range []string{
		"", "x", "http://h/a/b", "rtmp://", "rtmp:///a/b", "rtmp://h", "rtmp://h/a", "rtmp://h/a/", "rtmp://h//b",
		"rtmp://marker1:marker1@h/a/b", "rtmp://h:0/a/b", "rtmp://h:99999/a/b", "rtmp://h:marker1/a/b",
		"rtmp://h/a/b\nmarker1", "rtmp://h/a/b marker1", "rtmp://h/a/\x00marker1", "rtmp://h/marker1/%zz",
		"rtmp://h/a/" + strings.Repeat("marker1", 10_000),
	} {
		n, err := ParseNode(in)
		if err == nil {
			t.Errorf("%.60q: got %v, want an error", in, n)
		} else if strings.Contains(err.Error(), "marker1") {
			t.Errorf("the error quotes the URL: %v", err)
		}
	}
}
