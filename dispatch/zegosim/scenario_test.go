package zegosim

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"zegorelay/relay/rtmp"
)

// Every scenario begins and ends; after each a stream can be published again.
func TestScenarios(t *testing.T) {
	z := start(t, Options{Nodes: 1})
	for _, sc := range Scenarios() {
		if sc.Name == "" || sc.Does == "" {
			t.Errorf("a scenario without words: %+v", sc)
		}
		for _, name := range []string{sc.Name, well} {
			if err := z.Plant(name); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		z.leave(z.mustPublish(z.dispatched(nil)))
		z.clock.turn(troubleEcho)
	}
	if z.Plant("no such") == nil {
		t.Error("an unknown fault was planted")
	}
	z.checkViolations()
}

func TestScenariosOverHTTP(t *testing.T) {
	z := start(t, Options{Nodes: 1})
	do := func(method, path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, z.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	_, list := do(http.MethodGet, "_emu/faults")
	var all []Scenario
	if err := json.Unmarshal([]byte(list), &all); err != nil || len(all) != len(Scenarios()) {
		t.Errorf("%d faults are listed, %v", len(all), err)
	}
	if status, body := do(http.MethodPost, "_emu/fault?name=html"); status != http.StatusOK {
		t.Errorf("got %d %s", status, body)
	}
	if _, body := do(http.MethodGet, "?Action=x"); !strings.Contains(body, "<html>") {
		t.Errorf("the fault has not begun: %s", body)
	}
	for path, want := range map[string]int{
		"_emu/fault?name=well": 200, "_emu/fault?name=nonsense": 404, "_emu/fault": 400, "_emu/fault?name=api-down": 400,
	} {
		if status, body := do(http.MethodPost, path); status != want {
			t.Errorf("%s: got %d %s", path, status, body)
		}
	}
}

func TestHosts(t *testing.T) {
	z := start(t, Options{Hosts: []string{"rtc-api.zego.im"}})
	if code := z.ask(nil).Code; code != codeBadHost {
		t.Errorf("got %d, want %d", code, codeBadHost)
	}
}

// The ways to refuse a second publisher, as that sees them.
func TestSecondStyles(t *testing.T) {
	for style, check := range map[SecondStyle]func(up *rtmp.Upstream, err error) bool{
		BadName:    func(_ *rtmp.Upstream, err error) bool { return refused(err, alreadyPublished) },
		CloseMute:  func(_ *rtmp.Upstream, err error) bool { return err != nil && !refused(err, "") },
		ResetLater: func(up *rtmp.Upstream, err error) bool { return err == nil && up.Serve() != nil },
	} {
		z := start(t, Options{Nodes: 1, Second: style})
		first := z.mustPublish(z.dispatched(nil))
		if up, err := z.publish(z.dispatched(nil)); !check(up, err) {
			t.Errorf("style %d: the second publisher sees %v", style, err)
		}
		z.leave(first)
	}
}

// Every way to end a session frees the name, and the publisher notices, but for
// the two that are silent.
func TestEndings(t *testing.T) {
	for _, how := range Endings() {
		z := start(t, Options{Nodes: 2})
		rawURL := z.dispatched(nil)
		up := z.mustPublish(rawURL)
		target, err := rtmp.ParseTarget(rawURL)
		if err != nil {
			t.Fatal(err)
		}
		node := z.NodeAt(target.Addr)
		for !node.End(target.Name, how) { // the session is entered a moment after Publish.Start
		}
		over := make(chan error, 1)
		go func() { over <- up.Serve() }()
		switch how {
		case StallSession, BlackholeSession:
			_ = up.Close()
			<-over
		default:
			if err := <-over; err == nil {
				t.Errorf("%v: the session ended without a reason", how)
			}
			_ = up.Close()
		}
		if how != MoveSession {
			z.leave(z.mustPublish(z.dispatched(nil)))
		}
	}
}
