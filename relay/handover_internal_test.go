package relay

import (
	"context"
	"net"
	"reflect"
	"testing"
	"time"

	"zegorelay/relay/handover"
	"zegorelay/relay/rtmp"
)

// Parts of the state that a test with real streams doesn't show set: what goes in comes
// out again.
func TestPartsOfTheStateGoOn(t *testing.T) {
	now := time.Now()
	k, r := &keeper{at: now}, &reviver{at: now}
	header := handover.Entry{Type: rtmp.TypeVideo, Timestamp: 5, Payload: []byte("\x17\x00\x00\x00\x00\x01"), Age: time.Second}
	key := handover.Entry{Type: rtmp.TypeVideo, Timestamp: 6, Payload: []byte("\x17\x01\x00\x00\x00\x02"), Age: time.Second, Start: true, Epoch: 7}
	opens, opensBare := key, key
	opens.Opening, opensBare.Opening = []handover.Entry{header}, []handover.Entry{}

	backlog := handover.Backlog{
		First: 10, Entries: []handover.Entry{key, opens, opensBare}, Base: []handover.Entry{header}, HasVideo: true, Epoch: 7,
		Begun: true, Origin: 9, Received: 11, Unhurried: true,
		Lost: []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, InDoubt: []uint64{12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1},
	}
	b := newBacklog(time.Minute, 1<<20, newMemory(1<<20))
	r.backlog(b, &backlog)
	same(t, backlog, k.backlog(b))
	if epoch := b.at(12); epoch.opening == nil || len(*epoch.opening) > 0 || b.at(10).opening != nil {
		t.Errorf("an epoch that opens without headers, and none: %v, %v", epoch.opening, b.at(10).opening)
	}

	reader := handover.Reader{Next: 12, Lost: true, Begun: true, Epoch: 7, Given: []handover.Entry{header}, Dropped: 13, Ticks: true, Last: 14, Now: 15}
	f, clock := r.follower(b, viewer, &reader)
	same(t, reader, k.reader(f, &clock))

	seam := handover.Seam{
		Offset: 16, Overlaps: true, Overlap: true, Until: 17, Open: true, Waits: true, Age: time.Minute, HasVideo: true,
		Opening: []handover.Entry{header},
	}
	same(t, seam, k.seam(r.seam(&seam)))
}

// same wants two parts to be equal, and every field of them to be set.
func same[T any](t *testing.T, want, got T) {
	t.Helper()
	if !reflect.DeepEqual(want, got) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for field, v := range reflect.ValueOf(want).Fields() {
		if v.IsZero() {
			t.Errorf("%s is not set: nothing is shown of it", field.Name)
		}
	}
}

// What can't be revived leaves nothing behind that would run, or stay open.
func TestWhatCannotBeRevivedIsGone(t *testing.T) {
	s := New(Options{})
	r := &reviver{s: s}
	near, far := net.Pipe()
	defer far.Close()
	r.whenRun(func(context.Context, context.Context) {})
	err := r.try(func() error {
		r.taken = append(r.taken, near)
		r.whenRun(func(context.Context, context.Context) {})
		panic("a bug")
	})
	if err == nil || len(s.revived) != 1 {
		t.Errorf("%v; %d things run", err, len(s.revived))
	}
	if _, err := far.Read(make([]byte, 1)); err == nil {
		t.Error("its connection is open")
	}
}

// What is handed over is there twice for a moment, and so bounded to half: whole GOPs
// go, oldest first, and are counted.
func TestWhatIsHandedOverIsBounded(t *testing.T) {
	s := New(Options{MemoryBytes: 100_000})
	b := newBacklog(time.Hour, 1<<30, s.memory)
	for i := range 90 {
		b.append(entry{Message: rtmp.Message{
			Type: rtmp.TypeVideo, Timestamp: uint32(i), Payload: append([]byte("\x17\x01\x00\x00\x00"), make([]byte, 900)...),
		}, info: rtmp.Info{Kind: rtmp.Keyframe}, at: time.Now()})
	}
	s.keep()
	if used := s.memory.used.Load(); used > 50_000 || used < 48_000 {
		t.Errorf("%d bytes are kept", used)
	}
	if lost := b.losses(); len(lost) != 1 || lost[0].Reason != "memory" || b.at(b.first).Timestamp != uint32(lost[0].Messages) || b.end() != 90 {
		t.Errorf("given up: %+v; kept: %d to %d", lost, b.first, b.end())
	}
}
