package relay_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"zegorelay/dispatch"
	"zegorelay/dispatch/zegosim"
	"zegorelay/relay"
	"zegorelay/relay/rtmp"
)

// Each of ZEGO's codes, from the API to what the encoder sees and the log says.
// What heals accepts the encoder; what a person must mend refuses it, with the
// code and what to do.
func TestEveryCode(t *testing.T) {
	for _, code := range append(dispatch.Codes(), dispatch.Code{Number: 4711, Advice: "ask ZEGO's support"}) {
		r := newRig(t, setup{tune: func(o *relay.Options) { o.DrainTimeout = 10 * time.Millisecond }})
		r.sim.SetAPIFault(zegosim.AnswerCode(code.Number))
		up, err := r.dial("cam1")
		sees := "Publish.Start"
		var status *rtmp.StatusError
		switch {
		case errors.As(err, &status):
			sees = status.Code
			if !strings.Contains(status.Description, fmt.Sprint(code.Number)) {
				t.Errorf("%d: the encoder is told %q", code.Number, status.Description)
			}
		case err != nil:
			t.Errorf("%d: %v", code.Number, err)
			continue
		default:
			_ = up.Close()
		}
		want := map[dispatch.Verdict]string{
			dispatch.Again: "Publish.Start", dispatch.Throttled: "Publish.Start",
			dispatch.Operator: rtmp.CodePublishDenied, dispatch.ThisStream: rtmp.CodePublishBadName,
		}[code.Verdict]
		if sees != want {
			t.Errorf("%d: the encoder sees %s, want %s", code.Number, sees, want)
		}
		r.waitLog("no node from ZEGO", fmt.Sprint(code.Number), fmt.Sprintf(`"verdict":%q`, code.Verdict), `"advice":"`)
		line, _ := r.log.find("no node from ZEGO")
		t.Logf("| %d | %s | %s | %s |", code.Number, code.Verdict, sees, level(line))
		r.stop()
	}
}

func level(line string) string {
	_, after, _ := strings.Cut(line, `"level":"`)
	word, _, _ := strings.Cut(after, `"`)
	return word
}

// While the API fails, a stream's calls keep their distance.
func TestA1CallsOfOneStream(t *testing.T) {
	for _, fault := range []string{"http-500", "code-1001", "api-drops"} {
		r := newRig(t, setup{tune: func(o *relay.Options) { o.RetryMin, o.RetryMax = time.Millisecond, time.Millisecond }})
		if err := r.sim.Plant(fault); err != nil {
			t.Fatal(err)
		}
		e := r.publish()
		e.frames(60)
		<-time.After(1500 * time.Millisecond)
		requests := r.sim.Requests()
		for i := 1; i < len(requests); i++ {
			if gap := requests[i].At.Sub(requests[i-1].At); gap < 245*time.Millisecond {
				t.Errorf("%s: two calls within %v", fault, gap)
			}
		}
		if len(requests) < 3 {
			t.Errorf("%s: only %d calls", fault, len(requests))
		}
		r.stop()
	}
}

// Whatever the API and the nodes do, nothing of a secret is in the log or in what
// an encoder is told.
func TestNoSecretInTheLog(t *testing.T) {
	r := newRig(t, setup{tune: func(o *relay.Options) {
		o.DrainTimeout, o.ConnectTimeout = 10*time.Millisecond, 100*time.Millisecond
	}})
	var told strings.Builder
	for i, sc := range zegosim.Scenarios() {
		if err := r.sim.Plant(sc.Name); err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprintf("cam%d?token=marker", i)
		up, err := r.dial(key)
		if err != nil {
			fmt.Fprintln(&told, err)
			continue
		}
		<-time.After(20 * time.Millisecond)
		_ = up.Close()
	}
	r.stop()
	for _, marker := range []string{secret, "Signature", "Nonce", "marker", "rtmp://127.0.0.1"} {
		for where, text := range map[string]string{"the log": r.log.String(), "what encoders are told": told.String()} {
			if strings.Contains(text, marker) {
				t.Errorf("%q is in %s", marker, where)
			}
		}
	}
	if n := strings.Count(r.log.String(), "\n"); n < 2*len(zegosim.Scenarios()) {
		t.Errorf("only %d lines of log were looked at", n)
	}
}

// However a node refuses a second publisher of our StreamId, the encoder is not
// touched, ZEGO is not flooded, and the stream is live once the name is free.
func TestStreamIDTakenAtZEGO(t *testing.T) {
	for what, style := range map[string]zegosim.SecondStyle{
		"BadName": zegosim.BadName, "reset later": zegosim.ResetLater, "closed without a word": zegosim.CloseMute,
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t, setup{second: style, tune: func(o *relay.Options) { o.RetryMax = time.Second }})
			other := r.elsewhere("cam1")
			e := r.publish()
			e.frames(60)
			before := len(r.sim.Requests())
			<-time.After(2500 * time.Millisecond)
			if n := len(r.sim.Requests()) - before; n > 25 {
				t.Errorf("%d dispatches in 2.5 s", n)
			}
			if err := other.Unpublish(); err != nil {
				t.Error(err)
			}
			r.waitFor("the stream at ZEGO", func() bool { return e.audit.Report().Arrived > 0 })
			e.frames(60)
			e.goodbye()
			if got := e.audit.Report(); len(got.Violations) > 0 {
				t.Error(got.Violations)
			}
		})
	}
}
