package zegosim

import (
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"zegorelay/relay/rtmp"
)

func TestNodeTakesOnlyWhatItWasNamedFor(t *testing.T) {
	z := start(t, Options{})
	good := z.dispatched(nil)
	pulled := z.dispatched(map[string]string{"Type": "pull"})
	for _, tc := range []struct{ what, url, says, violation string }{
		{"another node", strings.Replace(good, z.Nodes()[0].Addr(), z.Nodes()[1].Addr(), 1), "not dispatched to this node", "was not named for it"},
		{"a node for pulling", pulled, "not dispatched to this node", "was not named for it"},
		{"another StreamId", good + "2", "not dispatched to this node", "was not named for it"},
		{"a StreamId with a query", good + "?token=x", "not dispatched to this node", "was not named for it"},
		{"another application", strings.Replace(good, "/12345/", "/12346/", 1), "unknown application", `published to application "12346"`},
	} {
		before := len(z.Violations())
		if _, err := z.publish(tc.url); !refused(err, tc.says) {
			t.Errorf("%s: got %v", tc.what, err)
		}
		if v := z.Violations(); len(v) != before+1 || !strings.Contains(v[before], tc.violation) {
			t.Errorf("%s: got violations %q", tc.what, v[before:])
		}
	}
	z.mustPublish(good)
}

func TestDispatchIsGoodForTwoHours(t *testing.T) {
	z := start(t, Options{})
	rawURL := z.dispatched(nil)
	z.clock.turn(2 * time.Hour)
	z.leave(z.mustPublish(rawURL))
	z.checkViolations()
	z.clock.turn(time.Second)
	if _, err := z.publish(rawURL); !refused(err, "the dispatch is too old") {
		t.Errorf("a second later: got %v", err)
	}
	z.checkViolations("more than two hours after the dispatch")
}

// ZEGO wants a dispatch before every push; connects that come to nothing are
// none, and of an API that is down nobody can want it.
func TestEveryPublishNeedsADispatch(t *testing.T) {
	z := start(t, Options{Nodes: 1})
	rawURL := z.dispatched(nil)
	up := z.mustPublish(rawURL)
	if _, err := z.publish(rawURL); !refused(err, "already being published") {
		t.Errorf("got %v", err)
	}
	z.leave(up)
	z.dispatched(nil)
	z.leave(z.mustPublish(rawURL))
	z.checkViolations()
	z.KillAPI()
	z.leave(z.mustPublish(rawURL))
	if err := z.ReviveAPI(); err != nil {
		t.Fatal(err)
	}
	z.SetAPIFault(AnswerCode(1001))
	z.leave(z.mustPublish(rawURL))
	z.checkViolations()
	z.SetAPIFault(nil)
	z.clock.turn(troubleEcho - time.Second) // a call that failed may still echo
	z.leave(z.mustPublish(rawURL))
	z.checkViolations()
	z.clock.turn(time.Second)
	z.leave(z.mustPublish(rawURL))
	z.checkViolations("again without a new dispatch")
}

func TestOnePublisherOverAllNodes(t *testing.T) {
	z := start(t, Options{Linger: time.Minute})
	up := z.mustPublish(z.dispatched(nil))
	if _, err := z.publish(z.dispatched(nil)); !refused(err, "already being published") {
		t.Errorf("at another node: got %v", err)
	}
	z.leave(up)
	if e := z.wait(SessionEnded); !e.Clean || e.Err != "" {
		t.Errorf("a goodbye: got %+v", e)
	}
	up = z.mustPublish(z.dispatched(nil))
	up.Close()
	if e := z.wait(SessionEnded); e.Clean || e.Err != rtmp.ErrPeerClosed.Error() {
		t.Errorf("an end without a goodbye: got %+v", e)
	}
	z.clock.turn(time.Minute - time.Second)
	if _, err := z.publish(z.dispatched(nil)); !refused(err, "already being published") {
		t.Errorf("while the name is held: got %v", err)
	}
	z.clock.turn(time.Second)
	z.leave(z.mustPublish(z.dispatched(nil)))
	z.checkViolations()

	sessions := z.Sessions()
	if len(sessions) != 3 {
		t.Fatalf("got %+v", sessions)
	}
	for i, s := range sessions {
		if s.Number != i+1 || s.Nth != i+1 || s.Clean != (i != 1) || s.Ended.IsZero() || (s.Err == "") != s.Clean {
			t.Errorf("got %+v", s)
		}
	}
}

func TestKillAndRevive(t *testing.T) {
	z := start(t, Options{})
	rawURL := z.dispatched(nil)
	node := z.Nodes()[0]
	if z.NodeAt(node.Addr()) != node || z.NodeAt("127.0.0.1:1") != nil {
		t.Error("NodeAt finds the wrong node")
	}
	up := z.mustPublish(rawURL)
	node.Kill()
	if err := up.Serve(); err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("the publisher of a killed node sees %v", err)
	}
	if e := z.wait(SessionEnded); e.Clean || e.Node != node.Addr() {
		t.Errorf("got %+v", e)
	}
	if node.Alive() {
		t.Error("a killed node is alive")
	}
	if _, err := z.publish(rawURL); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a dial of a killed node: got %v", err)
	}
	node.Kill() // once more is nothing
	if err := errors.Join(node.Revive(), node.Revive()); err != nil {
		t.Fatal(err)
	}
	if !node.Alive() {
		t.Error("a revived node is dead")
	}
	z.Nodes()[1].Kill()
	if again := z.dispatched(nil); again != rawURL {
		t.Errorf("revived at %s, before at %s", again, rawURL)
	}
	z.leave(z.mustPublish(rawURL))
	z.checkViolations()
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(node.Revive(), z.ReviveAPI()); !errors.Is(err, errClosed) {
		t.Errorf("a revival after Close: got %v", err)
	}
}

const amfNull = 5

// amfText is a string in AMF0.
func amfText(s string) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{2}, uint16(len(s))), s...)
}

// command is a command of transaction 0 with arguments that are encoded.
func command(name string, args ...[]byte) rtmp.Message {
	transaction := make([]byte, 9)
	return rtmp.Message{Type: rtmp.TypeCommand, Payload: slices.Concat(amfText(name), transaction, slices.Concat(args...))}
}

// A play is refused, and is no publish. rtmp.Dialer would not send one: bytes do.
func TestNodePlaysNothing(t *testing.T) {
	z := start(t, Options{})
	target, err := rtmp.ParseTarget(z.dispatched(nil))
	if err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", target.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	hello := slices.Concat([]byte{3}, make([]byte, 2*1536)) // C0, C1, C2: any echo will do
	w := rtmp.NewWriter(nc)
	app := slices.Concat([]byte("\x03\x00\x03app"), amfText(target.App), []byte{0, 0, 9})
	w.Queue(command("connect", app))
	w.Queue(command("play", []byte{amfNull}, amfText(target.Name)))
	if _, err := nc.Write(hello); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	r := rtmp.NewReader(nc, rtmp.Limits{})
	if _, err := r.Read(make([]byte, 1)); err != nil { // S0, then S1 and S2
		t.Fatal(err)
	}
	for left := 2 * 1536; left > 0; {
		n, err := r.Read(make([]byte, left))
		if err != nil {
			t.Fatal(err)
		}
		left -= n
	}
	for {
		m, err := r.ReadMessage()
		if err != nil {
			t.Fatalf("no refusal, but %v", err)
		}
		if strings.Contains(string(m.Payload), rtmp.CodePlayFailed) {
			break
		}
	}
	if n := len(z.Sessions()); n != 0 {
		t.Errorf("%d publish sessions", n)
	}
}
