package rtmp

import "testing"

func TestElsewhere(t *testing.T) {
	here := Target{TCURL: "rtmp://10.0.0.1:1935/42", App: "42", Name: "cam1?token=x"}
	secure := Target{Secure: true, TCURL: "rtmps://node.example/42", App: "42", Name: "cam1"}
	request := func(tcURL string) object {
		return object{"code": codeReconnectRequest, "tcUrl": tcURL}
	}
	moved := object{"code": "NetConnection.Connect.Rejected", "ex": object{"code": 302.0, "redirect": "rtmp://10.0.0.2/42"}}
	for what, tc := range map[string]struct {
		from Target
		info object
		want string // empty: nowhere
	}{
		"a plain refusal":               {here, object{"code": "NetConnection.Connect.Rejected"}, ""},
		"302":                           {here, moved, "rtmp://10.0.0.2/42/cam1?token=x"},
		"302 out of TLS":                {secure, moved, ""},
		"request":                       {here, request("rtmp://10.0.0.2:1936/42"), "rtmp://10.0.0.2:1936/42/cam1?token=x"},
		"request that names the stream": {secure, request("rtmps://b.example/42/cam1"), "rtmps://b.example/42/cam1"},
		"request to the same place":     {here, request(""), "rtmp://10.0.0.1:1935/42/cam1?token=x"},
		"request to another app":        {here, request("/43/"), "rtmp://10.0.0.1:1935/43/cam1?token=x"},
		"request to another host":       {secure, request("//b.example/42"), "rtmps://b.example/42/cam1"},
		"request to no URL":             {here, request("rtmp://[::1/42"), ""},
	} {
		cmd := command{name: "onStatus", args: []any{nil, tc.info}}
		status := cmd.status()
		got, ok := status.Elsewhere(tc.from)
		if got != tc.want || ok != (tc.want != "") {
			t.Errorf("%s: got %q, %v, want %q", what, got, ok, tc.want)
		}
	}
}
