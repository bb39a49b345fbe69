package relay_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"zegorelay/relay"
	"zegorelay/relay/handover"
)

// What one server leaves, the next one leaves again: every field of the state is taken
// in by who goes on. The fields are set to odd values on the way, so that none is right
// by chance.
func TestAllOfTheStateGoesOn(t *testing.T) {
	onlyLinux(t)
	r := newRig(t, setup{tune: func(o *relay.Options) {
		playable(o)
		o.Grace, o.PullIdle = time.Minute, time.Minute
	}})
	e, away := r.publish(), r.publishAs("cam2")
	e.size, away.size = 2000, 2000 // nodes acknowledge some of it
	e.frames(60)
	away.frames(60)
	near, far, left := r.play("live/cam1", nil), r.play("pull/cam1", nil), r.play("pull/cam2", nil)
	near.waitFrames(1)
	far.waitFrames(1)
	left.waitFrames(1)
	left.up.Close()
	away.up.Close()
	r.waitFor("those who leave", func() bool {
		return r.streamStatus("cam2").Publisher == nil && r.pullStatus("cam2").Players == 0
	})
	var want *handover.State
	r.succeedWith(func(b *handover.Bundle) {
		oddly(b.State)
		want = b.State
	})
	r.succeedWith(func(b *handover.Bundle) {
		want.Process.Events += uint64(len(want.Streams)) // each has told that it goes on
		c := comparison{t: t, shown: make(map[string]bool)}
		c.compare("State", reflect.ValueOf(*want), reflect.ValueOf(*b.State))
		c.checkShown(
			"State.Listeners", "State.Clients", // are the program's, not the relay's
			"Stream.Over", "Backlog.Unhurried", // end a stream, and are for files
			"ConnState.Left", "ConnState.Under", // TestConnStateRoundTrip
			"ConnState.Input", "ConnState.Unsent", // … likewise
			"ConnState.Unrepeated", "ConnState.OddAcks", "ConnState.Mute",
			"ChunkStreamState.Begun", "ChunkStreamState.Body",
			"ChunkStreamState.Extended", "ChunkStreamState.Extension",
			"SessionState.User",
			"Entry.Opening", "Reader.Lost", "Reader.Dropped", // TestPartsOfTheStateGoOn
			"Seam.Waits", "Seam.Open", "Seam.HasVideo", "Seam.Opening", "Seam.Age",
			"Backlog.Epoch", "Entry.Epoch", "Reader.Epoch",
		)
	})
	e.frames(1)
	if line, _ := r.log.find("Timestamps fell"); line != "" {
		t.Errorf("what was before is told as news: %s", line)
	}
}

// oddly sets what has no meaning for anybody while nothing happens.
func oddly(s *handover.State) {
	s.Process = handover.Process{
		Connections: 1001, PublishersEver: 1002, PlaysEver: 1003, Throttled: 1004, Events: 1005, EventsMissed: 1006,
		Rejects:    map[string]uint64{"limit": 1007},
		Dispatches: []handover.Dispatches{{Direction: "pull", Code: "1001", Requests: 1008, Took: 1009}},
	}
	for i := range s.Streams {
		st := &s.Streams[i]
		age := 7 * time.Minute
		st.LostAge, st.Retry, st.WasSent, st.WasDoubtful = &age, handover.Retry{Failures: 3, Wait: time.Hour}, true, st.Direction == "push"
		st.Moved = "rtmp://127.0.0.9:1935/1/moved"
		st.Counters = handover.Counters{
			BytesIn: 1, MessagesIn: 2, BytesOut: 3, MessagesOut: 4, Replayed: 5, Dropped: 6, Dispatches: 7, Sessions: 8, Publishes: 9,
			Plays: 10, BytesPlayed: 11, Skipped: 12, Outage: time.Hour,
			Video: handover.TrackCounters{Bytes: 13, Frames: 14, Jumps: 15}, Audio: handover.TrackCounters{Bytes: 16, Frames: 17, Jumps: 18},
			Departures: map[string]uint64{"kick": 19}, LostBy: map[string]uint64{"stall": 20}, MissedAt: map[string]uint64{"dial": 21},
		}
		for n := range st.Backlog.Lost {
			st.Backlog.Lost[n], st.Backlog.InDoubt[n] = 100+uint64(n), 200+uint64(n)
		}
		if p := st.Publisher; p != nil {
			p.TookOver, p.Seam.Overlap, p.Seam.Until, p.Seam.Overlaps, p.Seam.Offset = true, true, 22, true, 23
			p.Pace = handover.Pace{Runs: true, Age: time.Minute, Last: 24, Media: time.Minute, Count: 25, Ahead: true}
			p.Session.Conn.Acked, p.Session.Conn.AckEvery = 26, 27
		}
		if n := st.Node; n != nil && st.Direction == "push" {
			n.Flights = []handover.Flight{{End: n.Upstream.Conn.Queued, Next: st.Backlog.First + 1}}
		}
		for i := range st.Players {
			st.Players[i].Bytes, st.Players[i].Skipped = 28, 29
		}
	}
}

// comparison holds two states against each other, and notes which fields it has seen
// set to something.
type comparison struct {
	t     *testing.T
	shown map[string]bool // by type and field
}

func (c *comparison) compare(path string, want, got reflect.Value) {
	switch want.Kind() {
	case reflect.Pointer:
		if want.IsNil() != got.IsNil() {
			c.t.Errorf("%s: got nil %v, want nil %v", path, got.IsNil(), want.IsNil())
		} else if !want.IsNil() {
			c.compare(path, want.Elem(), got.Elem())
		}
	case reflect.Struct:
		for i := range want.NumField() {
			field := want.Type().Field(i).Name
			key := want.Type().Name() + "." + field
			c.shown[key] = c.shown[key] || !want.Field(i).IsZero() && want.Field(i).Kind() != reflect.Slice || want.Field(i).Kind() == reflect.Slice && want.Field(i).Len() > 0
			c.compare(path+"."+field, want.Field(i), got.Field(i))
		}
	case reflect.Slice:
		if want.Len() != got.Len() {
			c.t.Errorf("%s: got %d, want %d", path, got.Len(), want.Len())
			return
		}
		for i := range want.Len() {
			c.compare(fmt.Sprintf("%s[%d]", path, i), want.Index(i), got.Index(i))
		}
	default:
		d, isAge := want.Interface().(time.Duration)
		m, isMoment := want.Interface().(handover.Moment)
		switch {
		case isAge:
			isAge = (got.Interface().(time.Duration) - d).Abs() < 3*time.Second
		case isMoment:
			isMoment = got.Interface().(handover.Moment)-m < handover.Moment(3*time.Second)
		}
		if !isAge && !isMoment && !reflect.DeepEqual(want.Interface(), got.Interface()) {
			c.t.Errorf("%s: got %v, want %v", path, got.Interface(), want.Interface())
		}
	}
}

// checkShown reports fields that were never set, but for some.
func (c *comparison) checkShown(but ...string) {
	for key, isShown := range c.shown {
		if isShown == slices.Contains(but, key) {
			c.t.Errorf("%s is set: %v", key, isShown)
		}
	}
}
