package media

import (
	"sync"
	"time"

	"zegorelay/relay/rtmp"
)

const (
	// trackPatience is how long an encoder that goes on with a stream may keep a
	// track back before it counts as gone.
	trackPatience = 2 * time.Second

	// reordering is how long after a picture out of order there still are B-frames.
	reordering = 5 * time.Second

	// leap is how far timestamps may go forward at once, in ms.
	leap = 1000

	// jitter is how far composition offsets may differ without any picture being
	// out of order, in ms: two times that were rounded make them.
	jitter = 2
)

// Meter measures what comes into a stream, by the headers of its messages. The zero
// value is ready. One goroutine at a time notes messages, and says who sends them;
// anybody may look and read meanwhile. Nothing here waits for more than that.
//
// It measures the first video and the first audio track, that is track 0 where
// they are numbered. Others count for the rate of the whole only.
type Meter struct {
	mu    sync.Mutex
	bytes uint64
	rate  Rate
	video pictures
	audio measured
	since time.Time // of the first frame of who sends now; zero before that

	skew      float64 // ms by which sound is ahead, smoothed
	skewKnown bool
}

// measured is what is known of a track. Its counters go on over encoders.
type measured struct {
	isThere   bool // it has begun, and not gone
	confirmed bool // … and who sends now has sent some of it
	codec     uint32
	what      rtmp.Description

	bytes, frames, jumps uint64
	rate                 Rate
	last                 time.Time // when the last frame came

	// The track's clock: of who sends now, in ms.
	ticks   bool // newest is known
	newest  uint32
	cadence cadence
}

// pictures is what is known of a video track besides.
type pictures struct {
	measured
	keyframe    time.Time     // when the last one came
	keyframeAt  uint32        // and its timestamp …
	keyframeOK  bool          // … if that is of the clock that ticks now
	interval    time.Duration // between the last two
	composition int32         // of the last …
	composed    bool          // … if there was one
	reordered   time.Time     // when one last came that is shown out of order
}

// Begin says that somebody else sends from now on, whose clock is another. Tracks
// that don't come again are soon gone.
func (m *Meter) Begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.since, m.skewKnown = time.Time{}, false
	m.audio.ticks, m.audio.confirmed = false, false
	m.video.ticks, m.video.confirmed = false, false
	m.video.keyframeOK, m.video.composed = false, false
}

// Note takes a message as who sends it has sent it: with its own timestamp. What
// Inspect says of it is info; it came at that time. It keeps nothing of the message
// and allocates nothing, but for the name of a codec that nobody knows.
func (m *Meter) Note(msg rtmp.Message, info rtmp.Info, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes += uint64(len(msg.Payload))
	track := &m.audio
	switch msg.Type {
	case rtmp.TypeVideo:
		track = &m.video.measured
	case rtmp.TypeAudio:
	default:
		return
	}
	if info.Kind == rtmp.SequenceHeader {
		track.header(msg, info)
		return
	}
	frame, ok := msg.CodedFrame()
	if !ok || frame.Track != 0 {
		return
	}
	if m.since.IsZero() {
		m.since = at
	}
	jumped := track.frame(msg, frame, at)
	if jumped {
		m.skewKnown = false
	}
	if track == &m.video.measured {
		if jumped {
			m.video.keyframeOK = false
		}
		if info.Kind == rtmp.Keyframe {
			m.video.key(msg.Timestamp, at)
		}
		m.video.order(frame.Composition, at)
		m.compare(at)
	}
}

// compare keeps how far the sound is ahead whenever a picture comes, be there few
// or many: sound is sent in such small pieces that its newest is never old.
func (m *Meter) compare(at time.Time) {
	if !m.audio.ticks || at.Sub(m.audio.last) > flowing {
		m.skewKnown = false
		return
	}
	ahead := float64(int32(m.audio.newest - m.video.newest))
	if !m.skewKnown {
		m.skew, m.skewKnown = ahead, true
	}
	m.skew += (ahead - m.skew) / 16
}

// header takes a sequence header, or one that says more of a track.
func (t *measured) header(msg rtmp.Message, info rtmp.Info) {
	if info.Slot>>8 != 0 {
		return
	}
	t.bytes += uint64(len(msg.Payload))
	if info.BeginsTrack() {
		t.codec, t.what = msg.Codec(), msg.Describe()
		t.isThere, t.confirmed = true, true
	}
}

// frame takes a frame and reports whether its timestamp is none that could follow
// the one before.
func (t *measured) frame(msg rtmp.Message, frame rtmp.CodedFrame, at time.Time) (jumped bool) {
	if !t.isThere || t.codec != frame.Codec {
		t.codec, t.what = frame.Codec, msg.Describe() // a codec without header
	}
	t.isThere, t.confirmed = true, true
	t.bytes += uint64(len(msg.Payload))
	t.frames++
	if t.ticks {
		step := int32(msg.Timestamp - t.newest) // right over 2^32
		if jumped = isJump(step, at.Sub(t.last)); jumped {
			t.jumps++
		} else {
			t.cadence.intervals++
			t.cadence.ms += uint64(step)
		}
	}
	t.ticks, t.newest, t.last = true, msg.Timestamp, at
	return jumped
}

// isJump reports whether a timestamp fell or leapt. One that leaps by about as
// much as it is late says that there was nothing, and is right.
func isJump(step int32, after time.Duration) bool {
	return step < 0 || step > leap && int64(step)-after.Milliseconds() > leap/2
}

// key takes a keyframe.
func (v *pictures) key(timestamp uint32, at time.Time) {
	if v.keyframeOK {
		v.interval = time.Duration(int32(timestamp-v.keyframeAt)) * time.Millisecond
	}
	v.keyframe, v.keyframeAt, v.keyframeOK = at, timestamp, true
}

// order takes how much later than it is decoded a picture is shown, in ms.
func (v *pictures) order(composition int32, at time.Time) {
	if d := composition - v.composition; v.composed && (d > jitter || d < -jitter) {
		v.reordered = at
	}
	v.composition, v.composed = composition, true
}

// Look is to be called about once a second: what is measured over time is
// measured from look to look.
func (m *Meter) Look(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rate.Look(now, m.bytes)
	isLate := !m.since.IsZero() && now.Sub(m.since) > trackPatience
	for _, t := range []*measured{&m.video.measured, &m.audio} {
		t.rate.Look(now, t.bytes)
		t.cadence.look()
		if isLate && !t.confirmed {
			t.isThere = false
		}
	}
	if !m.video.isThere {
		m.video.interval, m.video.keyframe = 0, time.Time{}
	}
}

// Figures is what is known now. What it returns is the caller's.
func (m *Meter) Figures(now time.Time) Figures {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := Figures{RateIn: m.rate.Bits()}
	if v := &m.video; v.isThere {
		f.Video = &VideoTrack{
			Track:            v.track(),
			Profile:          v.what.Profile,
			Width:            v.what.Width,
			Height:           v.what.Height,
			FPS:              v.cadence.perSecond(),
			KeyframeInterval: v.interval,
			LastKeyframe:     v.keyframe,
			BFrames:          !v.reordered.IsZero() && now.Sub(v.reordered) < reordering,
		}
	}
	if a := &m.audio; a.isThere {
		f.Audio = &AudioTrack{Track: a.track(), SampleRate: a.what.SampleRate, Channels: a.what.Channels}
	}
	if m.skewKnown && f.Video != nil && f.Audio != nil && f.Video.flows(now) && f.Audio.flows(now) {
		f.Skew = time.Duration(m.skew * float64(time.Millisecond))
	}
	return f
}

func (t *measured) track() Track {
	return Track{Codec: t.what.Codec, Rate: t.rate.Bits(), Messages: t.frames, Jumps: t.jumps, Last: t.last}
}
