package relay

import (
	"sync"
	"time"

	"zegorelay/relay/rtmp"
)

const (
	// flowing is how old a track's last frame may be for the track to count as
	// one that flows.
	flowing = 2 * time.Second

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

// meter measures what comes into a stream, by the headers of its messages. One
// goroutine at a time notes messages; anybody may read.
//
// It measures the first video and the first audio track, that is track 0 where
// they are numbered. Others count for the rate of the whole only.
type meter struct {
	mu    sync.Mutex
	bytes uint64
	rate  rate
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
	rate                 rate
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

// begin says that somebody else sends from now on, whose clock is another. Tracks
// that don't come again are soon gone.
func (m *meter) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.since, m.skewKnown = time.Time{}, false
	m.audio.ticks, m.audio.confirmed = false, false
	m.video.ticks, m.video.confirmed = false, false
	m.video.keyframeOK, m.video.composed = false, false
}

// note takes a message as who sends it has sent it: with its own timestamp. It
// allocates nothing, but for the name of a codec that nobody knows.
func (m *meter) note(e entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes += uint64(len(e.Payload))
	track := &m.audio
	switch e.Type {
	case rtmp.TypeVideo:
		track = &m.video.measured
	case rtmp.TypeAudio:
	default:
		return
	}
	if e.info.Kind == rtmp.SequenceHeader {
		track.header(e)
		return
	}
	frame, ok := e.CodedFrame()
	if !ok || frame.Track != 0 {
		return
	}
	if m.since.IsZero() {
		m.since = e.at
	}
	jumped := track.frame(e, frame)
	if jumped {
		m.skewKnown = false
	}
	if track == &m.video.measured {
		m.video.picture(e, frame, jumped)
		m.compare(e.at)
	}
}

// compare keeps how far the sound is ahead whenever a picture comes, be there few
// or many: sound is sent in such small pieces that its newest is never old.
func (m *meter) compare(at time.Time) {
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
func (t *measured) header(e entry) {
	if e.info.Slot>>8 != 0 {
		return
	}
	t.bytes += uint64(len(e.Payload))
	if e.info.BeginsTrack() {
		t.codec, t.what = e.Codec(), e.Describe()
		t.isThere, t.confirmed = true, true
	}
}

// frame takes a frame and reports whether its timestamp is none that could follow
// the one before.
func (t *measured) frame(e entry, frame rtmp.CodedFrame) (jumped bool) {
	if !t.isThere || t.codec != frame.Codec {
		t.codec, t.what = frame.Codec, e.Describe() // a codec without header
	}
	t.isThere, t.confirmed = true, true
	t.bytes += uint64(len(e.Payload))
	t.frames++
	if t.ticks {
		step := int32(e.Timestamp - t.newest) // right over 2^32
		if jumped = isJump(step, e.at.Sub(t.last)); jumped {
			t.jumps++
		} else {
			t.cadence.intervals++
			t.cadence.ms += uint64(step)
		}
	}
	t.ticks, t.newest, t.last = true, e.Timestamp, e.at
	return jumped
}

// isJump reports whether a timestamp fell or leapt. One that leaps by about as
// much as it is late says that there was nothing, and is right.
func isJump(step int32, after time.Duration) bool {
	return step < 0 || step > leap && int64(step)-after.Milliseconds() > leap/2
}

// picture takes what only frames of video have.
func (v *pictures) picture(e entry, frame rtmp.CodedFrame, jumped bool) {
	if jumped {
		v.keyframeOK = false
	}
	if e.info.Kind == rtmp.Keyframe {
		if v.keyframeOK {
			v.interval = time.Duration(int32(e.Timestamp-v.keyframeAt)) * time.Millisecond
		}
		v.keyframe, v.keyframeAt, v.keyframeOK = e.at, e.Timestamp, true
	}
	if d := frame.Composition - v.composition; v.composed && (d > jitter || d < -jitter) {
		v.reordered = e.at
	}
	v.composition, v.composed = frame.Composition, true
}

// look is to be called about once a second: what is measured over time is
// measured from look to look.
func (m *meter) look(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rate.look(now, m.bytes)
	isLate := !m.since.IsZero() && now.Sub(m.since) > trackPatience
	for _, t := range []*measured{&m.video.measured, &m.audio} {
		t.rate.look(now, t.bytes)
		t.cadence.look()
		if isLate && !t.confirmed {
			t.isThere = false
		}
	}
	if !m.video.isThere {
		m.video.interval, m.video.keyframe = 0, time.Time{}
	}
}

// figures is what is known now. RateOut is the caller's to tell.
func (m *meter) figures(now time.Time) Figures {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := Figures{RateIn: m.rate.bits()}
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
	return Track{Codec: t.what.Codec, Rate: t.rate.bits(), Messages: t.frames, Jumps: t.jumps, Last: t.last}
}

// flows reports whether frames come.
func (t *Track) flows(now time.Time) bool {
	return !t.Last.IsZero() && now.Sub(t.Last) < flowing
}
