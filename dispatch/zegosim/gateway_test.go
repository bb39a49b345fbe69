package zegosim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestSignatureVectors(t *testing.T) {
	for _, tc := range []struct{ appID, nonce, secret, at, want string }{
		{"12345", docNonce, docSecret, "1615186943", docSignature},
		{"1234567890", "9f8e7d6c5b4a3928", "00112233445566778899aabbccddeeff", "1700000000", "2d7849483424db63e6cb4e497401f4ea"},
		{"4294967295", "fedcba9876543210", "5ca1ab1e0ddba11c0ffee0defaceb00c", "1767225600", "768127b6eff7697db210f6c0afe5adfe"},
		{"1", "00000000000000a0", "a5a5f00dbadc0de5a5a5f00dbadc0de5", "1617249600", "4f4e2ee5989f36d694419f5caadfa985"},
	} {
		q := url.Values{"AppId": {tc.appID}, "SignatureNonce": {tc.nonce}, "Timestamp": {tc.at}}
		if got := signature(q, tc.secret); got != tc.want {
			t.Errorf("AppId %s: got %s, want %s", tc.appID, got, tc.want)
		}
		if got := sign(tc.appID, tc.nonce, tc.secret, tc.at); got != tc.want {
			t.Errorf("AppId %s: the tests sign with %s, want %s", tc.appID, got, tc.want)
		}
	}
}

// Each row changes one thing of a good call. A code that blames the caller is a
// violation, too; oddities that pass are only that.
func TestGateway(t *testing.T) {
	at := func(d int) string { return strconv.Itoa(docTime + d) }
	for what, tc := range map[string]struct {
		change map[string]string
		want   int
		says   string // the violation, if it isn't the code's own
	}{
		"as documented":  {},
		"the older call": {change: map[string]string{"Action": "RTMPDispatch"}},

		"no action":              {change: map[string]string{"Action": "-"}, want: 100000006},
		"an action of its own":   {change: map[string]string{"Action": "AddStream"}, want: 100000007},
		"an action in low case":  {change: map[string]string{"Action": "rtmpdispatchv2"}, want: 100000007},
		"no AppId":               {change: map[string]string{"AppId": "-"}, want: 100000001},
		"AppId no number":        {change: map[string]string{"AppId": "x"}, want: 100000001},
		"AppId negative":         {change: map[string]string{"AppId": "-12345"}, want: 100000001},
		"AppId of 33 bits":       {change: map[string]string{"AppId": "4294967296"}, want: 100000001},
		"no time":                {change: map[string]string{"Timestamp": "-"}, want: 100000002},
		"a time in words":        {change: map[string]string{"Timestamp": "now"}, want: 100000003},
		"a time with a fraction": {change: map[string]string{"Timestamp": at(0) + ".5"}, want: 100000003},
		"no nonce":               {change: map[string]string{"SignatureNonce": "-"}, want: 100000008},
		"no signature":           {change: map[string]string{"Signature": "-"}, want: 100000009},
		"no version":             {change: map[string]string{"SignatureVersion": "-"}, want: 100000013},
		"another version":        {change: map[string]string{"SignatureVersion": "2"}, want: 100000014},
		"another AppId":          {change: map[string]string{"AppId": "4294967295"}, want: 100000010},
		"a time in milliseconds": {change: map[string]string{"Timestamp": at(0) + "000"}, want: 100000004},
		"600 s behind":           {change: map[string]string{"Timestamp": at(-600)}},
		"601 s behind":           {change: map[string]string{"Timestamp": at(-601)}, want: 100000004},
		"600 s ahead":            {change: map[string]string{"Timestamp": at(600)}},
		"601 s ahead":            {change: map[string]string{"Timestamp": at(601)}, want: 100000004},
		"the largest time":       {change: map[string]string{"Timestamp": "9223372036854775807"}, want: 100000004},
		"the smallest time":      {change: map[string]string{"Timestamp": "-9223372036854775808"}, want: 100000004},
		"another nonce":          {change: map[string]string{"SignatureNonce": "4fd24687296dd9f4", "Signature": docSignature}, want: 100000005},
		"upper-case signature":   {change: map[string]string{"Signature": strings.ToUpper(docSignature)}, want: 100000005},
		"a longer signature":     {change: map[string]string{"Signature": docSignature + "0"}, want: 100000005},
		"upper-case nonce":       {change: map[string]string{"SignatureNonce": "4FD24687296DD9F3"}, says: "is not 16 lower-case hex digits"},
		"a nonce of 14 digits":   {change: map[string]string{"SignatureNonce": "15215528852396"}, says: "is not 16 lower-case hex digits"},

		"IsTest in words":          {change: map[string]string{"IsTest": "yes"}, want: 30004},
		"IsTest as a number":       {change: map[string]string{"IsTest": "1"}, want: 30004},
		"IsTest empty":             {change: map[string]string{"IsTest": ""}, want: 30004},
		"IsTest false":             {change: map[string]string{"IsTest": "False"}},
		"no StreamId":              {change: map[string]string{"StreamId": "-"}, want: 30009},
		"a StreamId with a dot":    {change: map[string]string{"StreamId": "cam.1"}, want: 30009},
		"a StreamId with a line":   {change: map[string]string{"StreamId": "cam1\n"}, want: 30009},
		"a StreamId of all signs":  {change: map[string]string{"StreamId": "-_azAZ09"}},
		"a StreamId of 256":        {change: map[string]string{"StreamId": strings.Repeat("x", 256)}},
		"a StreamId of 257":        {change: map[string]string{"StreamId": strings.Repeat("x", 257)}, want: 30009},
		"IsTest without a prefix":  {change: map[string]string{"IsTest": "true"}, want: 30009},
		"IsTest, another's prefix": {change: map[string]string{"IsTest": "true", "StreamId": "zegotest-1-cam1"}, want: 30009},
		"IsTest, prefix only":      {change: map[string]string{"IsTest": "true", "StreamId": "zegotest-12345-"}, want: 30009},
		"IsTest with its prefix":   {change: map[string]string{"IsTest": "TRUE", "StreamId": "zegotest-12345-cam1"}},
		"a prefix without IsTest":  {change: map[string]string{"StreamId": "zegotest-12345-cam1"}, says: "without IsTest"},
		"no Type":                  {change: map[string]string{"Type": "-"}, want: 30010},
		"Type in upper case":       {change: map[string]string{"Type": "PUSH"}, want: 30010},
		"Type pull":                {change: map[string]string{"Type": "pull"}},
		"ClientIP as documented":   {change: map[string]string{"ClientIP": "119.23.242.129"}},
		"ClientIP empty":           {change: map[string]string{"ClientIP": ""}, want: 30011},
		"ClientIP of IPv6":         {change: map[string]string{"ClientIP": "::1"}, want: 30011},
		"ClientIP of both":         {change: map[string]string{"ClientIP": "::ffff:1.2.3.4"}, want: 30011},
		"ClientIP with a port":     {change: map[string]string{"ClientIP": "1.2.3.4:1"}, want: 30011},
		"ClientIP with zeros":      {change: map[string]string{"ClientIP": "1.2.3.04"}, want: 30011},
		"ClientIP by name":         {change: map[string]string{"ClientIP": "localhost"}, want: 30011},
		"ClientIP of a LAN":        {change: map[string]string{"ClientIP": "192.168.1.9"}, says: "is not public"},
		"no Sequence":              {change: map[string]string{"Sequence": "-"}, want: 1006},
		"Sequence of 64 bits":      {change: map[string]string{"Sequence": "9223372036854775807"}},
		"Sequence of 65 bits":      {change: map[string]string{"Sequence": "9223372036854775808"}, want: 1006},
	} {
		t.Run(what, func(t *testing.T) {
			z := start(t, Options{})
			e := z.ask(signed(tc.change))
			if e.Code != tc.want || e.Code != 0 && e.Data != nil || e.Message == "" {
				t.Errorf("got %+v, want code %d", e, tc.want)
			}
			if id, err := strconv.ParseUint(e.RequestID, 10, 64); err != nil || id <= 1<<53 {
				t.Errorf("RequestId %q", e.RequestID)
			}
			switch {
			case tc.want != 0:
				z.checkViolations(strconv.Itoa(tc.want))
			case tc.says != "":
				z.checkViolations(tc.says)
			default:
				z.checkViolations()
			}
		})
	}
}

// A call that has everything wrong is told one thing at a time, in this order.
func TestGatewayChecksInOrder(t *testing.T) {
	z := start(t, Options{})
	q := url.Values{"AppId": {"x"}, "IsTest": {"x"}, "StreamId": {"."}, "Type": {"x"}, "ClientIP": {"x"}, "Sequence": {"x", "x"}}
	for _, step := range []struct {
		code int
		mend func()
	}{
		{100000006, func() { q.Set("Action", "x") }},
		{100000007, func() { q.Set("Action", "RTMPDispatchV2") }},
		{100000001, func() { q.Set("AppId", "1") }},
		{100000002, func() { q.Set("Timestamp", "x") }},
		{100000003, func() { q.Set("Timestamp", "1") }},
		{100000008, func() { q.Set("SignatureNonce", docNonce) }},
		{100000009, func() { q.Set("Signature", "x") }},
		{100000013, func() { q.Set("SignatureVersion", "x") }},
		{100000014, func() { q.Set("SignatureVersion", "2.0") }},
		{100000010, func() { q.Set("AppId", strconv.Itoa(docAppID)) }},
		{100000004, func() { q.Set("Timestamp", strconv.Itoa(docTime)) }},
		{100000005, func() { q.Set("Signature", docSignature) }},
		{1006, func() { q.Set("Sequence", "x") }}, // it came twice
		{30004, func() { q.Set("IsTest", "true") }},
		{30009, func() { q.Set("StreamId", "zegotest-12345-cam1") }},
		{30010, func() { q.Set("Type", "push") }},
		{30011, func() { q.Set("ClientIP", "1.2.3.4") }},
		{1006, func() { q.Set("Sequence", "1") }},
		{0, func() {}},
	} {
		if e := z.ask(q); e.Code != step.code {
			t.Fatalf("got %d, want %d, of %v", e.Code, step.code, q)
		}
		step.mend()
	}
}

func TestLimitSlides(t *testing.T) {
	z := start(t, Options{})
	burst := func(n int) string {
		var codes []string
		for range n {
			z.calls++
			e := z.ask(signed(map[string]string{"SignatureNonce": fmt.Sprintf("%016x", z.calls), "Sequence": strconv.Itoa(z.calls)}))
			codes = append(codes, strconv.Itoa(e.Code))
		}
		return strings.Join(slices.Compact(codes), " ")
	}
	if got := burst(20); got != "0" {
		t.Errorf("20 calls: %s", got)
	}
	z.clock.turn(500 * time.Millisecond)
	if got := burst(24); got != "0 1010 30002 1010 30002" {
		t.Errorf("24 more within the second: %s", got)
	}
	z.clock.turn(500 * time.Millisecond)
	if got := burst(17); got != "0 1010" {
		t.Errorf("17 when the first 20 are a second old, and the refused count: %s", got)
	}
	z.clock.turn(time.Second)
	if got := burst(1); got != "0" {
		t.Errorf("after a second: %s", got)
	}
	z.checkViolations()
}

// A living node that was not named last, if there is one.
func TestDispatchesTakeTurns(t *testing.T) {
	z := start(t, Options{Nodes: 3})
	names := make(map[string]string)
	for i, n := range z.Nodes() {
		names[fmt.Sprintf("rtmp://%s/%d/cam1", n.Addr(), docAppID)] = strconv.Itoa(i)
	}
	turns := func(n int) (got string) {
		for range n {
			got += names[z.dispatched(nil)]
		}
		return got
	}
	if got := turns(7); got != "0120120" {
		t.Errorf("got %s", got)
	}
	z.Nodes()[1].Kill()
	if got := turns(4); got != "2020" {
		t.Errorf("without node 1: got %s", got)
	}
	z.Nodes()[2].Kill()
	if got := turns(2); got != "00" {
		t.Errorf("with node 0 alone: got %s", got)
	}
	if err := z.Nodes()[1].Revive(); err != nil {
		t.Fatal(err)
	}
	if got := turns(3); got != "101" {
		t.Errorf("with node 1 again: got %s", got)
	}
	if got, want := z.dispatched(map[string]string{"Action": "RTMPDispatch"}), z.Nodes()[0].Addr(); got != want {
		t.Errorf("the older call: got %s, want %s", got, want)
	}
	for _, n := range z.Nodes() {
		n.Kill()
	}
	if e := z.ask(signed(map[string]string{"StreamId": "cam2", "SignatureNonce": "000000000000ffff"})); e.Code != 1002 {
		t.Errorf("push with no node alive: got %d, want 1002", e.Code)
	}
	if e := z.ask(signed(map[string]string{"StreamId": "cam3", "Type": "pull"})); e.Code != 1003 {
		t.Errorf("pull with no node alive: got %d, want 1003", e.Code)
	}
	z.checkViolations()
}

func TestWhatComesAgain(t *testing.T) {
	z := start(t, Options{})
	call := func(nonce, sequence string) {
		at := strconv.FormatInt(z.clock.now().Unix(), 10)
		if e := z.ask(signed(map[string]string{"SignatureNonce": nonce, "Sequence": sequence, "Timestamp": at})); e.Code != 0 {
			t.Fatalf("code %d", e.Code)
		}
	}
	call("0000000000000001", "10")
	call("0000000000000002", "11")
	z.checkViolations()
	call("0000000000000001", "12")
	z.checkViolations("nonce 0000000000000001 was used twice")
	call("0000000000000003", "12")
	z.checkViolations("used twice", "sequence 12 of cam1 doesn't rise")
	z.clock.turn(10 * time.Minute)
	call("0000000000000003", "13")
	z.checkViolations("used twice", "doesn't rise")
	// A call that nobody could have signed proves nothing of its nonce.
	z.ask(signed(map[string]string{"SignatureNonce": "0000000000000004", "Signature": "x"}))
	call("0000000000000004", "14")
	z.checkViolations("used twice", "doesn't rise", "100000005")
}

func TestOtherWaysIn(t *testing.T) {
	z := start(t, Options{})
	resp, err := z.client.Post(z.URL()+"?"+signed(nil).Encode(), "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: HTTP %d", resp.StatusCode)
	}
	if status, _ := z.get("v2?" + signed(nil).Encode()); status != http.StatusNotFound {
		t.Errorf("another path: HTTP %d", status)
	}
	if status, _ := z.get("favicon.ico"); status != http.StatusNotFound {
		t.Errorf("a browser: HTTP %d", status)
	}
	z.checkViolations("a call by POST", `a call of the path "/v2"`)
	if n := len(z.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestRequestsAndStateEndpoints(t *testing.T) {
	z := start(t, Options{})
	for _, list := range []string{"streams", "requests", "violations"} {
		if status, body := z.get("_emu/" + list); status != http.StatusOK || strings.TrimSpace(string(body)) != "[]" {
			t.Errorf("%s: HTTP %d, %s", list, status, body)
		}
	}
	up := z.mustPublish(z.dispatched(nil))
	z.ask(signed(map[string]string{"Type": "x"}))
	z.leave(up)

	requests := z.Requests()
	if len(requests) != 2 || requests[0].Code != 0 || requests[1].Code != 30010 {
		t.Fatalf("got %+v", requests)
	}
	q := requests[0]
	if q.StreamID != "cam1" || q.Type != "push" || q.Sequence != 1 || q.Nonce != "0000000000000001" ||
		!q.At.Equal(time.Unix(docTime, 0)) || q.Query.Get("SignatureVersion") != "2.0" || q.Query.Has("Signature") {
		t.Errorf("got %+v", q)
	}
	_, body := z.get("_emu/requests")
	if strings.Contains(string(body), sign("12345", "0000000000000001", docSecret, strconv.Itoa(docTime))) {
		t.Error("a signature is shown")
	}
	var sessions []Session
	_, body = z.get("_emu/streams")
	if err := json.Unmarshal(body, &sessions); err != nil || len(sessions) != 1 || sessions[0].StreamID != "cam1" || !sessions[0].Clean {
		t.Errorf("got %s", body)
	}
	var violations []string
	_, body = z.get("_emu/violations")
	if err := json.Unmarshal(body, &violations); err != nil || len(violations) != 1 {
		t.Errorf("got %s", body)
	}
}

// What is kept of days is bounded.
func TestRegistryForgets(t *testing.T) {
	r := newRegistry(Options{Now: time.Now})
	for i := range 3 * maxRequests {
		r.note(&Request{Sequence: int64(i)})
		r.violate("no %d", i)
	}
	if all := r.allRequests(); len(all) > 2*maxRequests || all[len(all)-1].Sequence != 3*maxRequests-1 {
		t.Errorf("%d requests are kept", len(all))
	}
	if all := r.allViolations(); len(all) != maxViolations+1 || all[maxViolations] != "… and 29900 more" {
		t.Errorf("the violations end with %q", all[len(all)-1])
	}
}
