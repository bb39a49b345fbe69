package media

import (
	"sync"
	"time"
)

// Advice is something wrong with a stream that a person can mend.
type Advice struct {
	Kind  string // a word for machines, such as b_frames or gop_long
	Since time.Time
	Text  string // what is wrong
	Fix   string // what to change, and where
}

// IsGrave reports whether viewers see at once what it is about.
func (a Advice) IsGrave() bool {
	switch a.Kind {
	case "no_keyframe", "no_video", "no_audio", "codec":
		return true
	default:
		return false
	}
}

// Condition is how a stream is at one moment, as far as advice on it depends on that.
type Condition struct {
	Figures
	Encoder uint64 // number of the encoder that sends: another one may send something else
	Pulled  bool   // it comes from a node, and is sent elsewhere

	// How it goes on to a node.
	OnAir   time.Duration // for how long a node has taken it; 0 while none does
	RateOut float64       // bits a second that it takes, over the last seconds
	Lag     time.Duration // age of the oldest message that the node isn't known to have
	Behind  bool          // … which is not only because nobody can know
	Dropped uint64        // messages left out so far because the node was too slow
}

// isBehind reports whether the node is behind by more than most.
func (c *Condition) isBehind(most time.Duration) bool { return c.Behind && c.Lag > most }

// Advisor finds what is wrong with a stream that a person can mend. What it finds
// begins only when it has held for some time, and ends only when all has been
// well for longer: nobody is told twice of one trouble. The zero value is ready.
// Anybody may ask it; nothing here waits for more than that.
type Advisor struct {
	mu       sync.Mutex
	episodes []episode
	memory   recollection
}

// episode is one kind of trouble, while it is there and while it isn't.
type episode struct {
	detector
	isOn      bool
	badSince  time.Time // without a break; zero while it isn't so
	wellSince time.Time
	advice    Advice // while isOn
}

// detector tells whether one kind of trouble is there.
type detector struct {
	kind         string
	begins, ends time.Duration // for how long it must be bad, or well
	concernsPull bool          // the trouble is one for players here, too
	find         func(m *recollection, now time.Time, c *Condition) finding
}

// finding is what a detector sees at one moment.
type finding struct {
	verdict   verdict
	text, fix string // of what is bad
}

// verdict says how things are. Nothing begins, ends or goes on by what is unclear.
type verdict uint8

const (
	unclear verdict = iota
	well
	bad
)

// detectors are all that there are, the worst first.
func detectors() []detector {
	const s = time.Second
	return []detector{
		{"no_video", 4 * s, 10 * s, true, noVideo},
		{"no_audio", 4 * s, 10 * s, true, noAudio},
		{"no_keyframe", 2 * s, 30 * s, true, noKeyframe},
		{"uplink_slow", 3 * s, 15 * s, false, uplinkSlow},
		{"bitrate_low", 5 * s, 15 * s, false, bitrateLow},
		{"timestamps", 0, 60 * s, true, timestamps},
		{"codec", 5 * s, 10 * s, false, codec},
		{"b_frames", 5 * s, 30 * s, false, bFrames},
		{"gop_long", 3 * s, 30 * s, false, gopLong},
	}
}

// Look is to be called about once a second with how the stream is. It returns what
// has begun and what has ended since.
func (a *Advisor) Look(now time.Time, c Condition) (begun, ended []Advice) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.episodes == nil {
		all := detectors()
		a.episodes = make([]episode, len(all)) // and not one more: each stream has them
		for i, d := range all {
			a.episodes[i].detector = d
		}
	}
	for i := range a.episodes {
		e := &a.episodes[i]
		if c.Pulled && !e.concernsPull {
			continue
		}
		wasOn := e.isOn
		found := e.find(&a.memory, now, &c)
		if c.Pulled {
			found.fix = "It comes so from ZEGO: look at the encoder that publishes it there."
		}
		switch e.take(now, found); {
		case e.isOn && !wasOn:
			begun = append(begun, e.advice)
		case !e.isOn && wasOn:
			ended = append(ended, e.advice)
		}
	}
	a.memory.keep(now, &c)
	return begun, ended
}

// take moves the episode on by what was found. What is on is told with the
// values that are measured now.
func (e *episode) take(now time.Time, found finding) {
	if found.verdict != bad {
		e.badSince = time.Time{}
	}
	if found.verdict != well {
		e.wellSince = time.Time{}
	}
	switch found.verdict {
	case bad:
		if e.badSince.IsZero() {
			e.badSince = now
		}
		if !e.isOn && now.Sub(e.badSince) >= e.begins {
			e.isOn = true
			e.advice = Advice{Kind: e.kind, Since: e.badSince}
		}
		e.advice.Text, e.advice.Fix = found.text, found.fix
	case well:
		if e.wellSince.IsZero() {
			e.wellSince = now
		}
		if e.isOn && now.Sub(e.wellSince) >= e.ends {
			e.isOn = false
		}
	}
}

// Current is all that is wrong now, the worst first.
func (a *Advisor) Current() []Advice {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []Advice
	for i := range a.episodes {
		if e := &a.episodes[i]; e.isOn {
			all = append(all, e.advice)
		}
	}
	return all
}

// recollection is what detectors need of looks before this one.
type recollection struct {
	videoJumps, audioJumps jumps

	usual usual

	dropped   uint64
	droppedAt time.Time // when that last grew
	lag       time.Duration

	keyless time.Time // since when pictures have come without any keyframe
}

// keep is called when all detectors have looked.
func (m *recollection) keep(now time.Time, c *Condition) {
	m.lag = c.Lag
	m.usual.learn(now, c)
}

// usual is the mean over ten minutes of what one encoder sends.
type usual struct {
	encoder       uint64
	codec         string
	width, height int
	looks         int
	rate, fps     float64
}

// knowing is after how many looks, one a second, a mean means something.
const knowing, tenMinutes = 60, 600

// learn adds a second to the mean. Another encoder, or another picture, begins
// another.
func (u *usual) learn(now time.Time, c *Condition) {
	v := c.Video
	if v == nil || !v.flows(now) {
		return
	}
	if u.encoder != c.Encoder || u.codec != v.Codec || u.width != v.Width || u.height != v.Height {
		*u = usual{encoder: c.Encoder, codec: v.Codec, width: v.Width, height: v.Height}
	}
	if v.FPS == 0 {
		return // not measured yet
	}
	u.looks = min(u.looks+1, tenMinutes)
	u.rate += (c.RateIn - u.rate) / float64(u.looks)
	u.fps += (v.FPS - u.fps) / float64(u.looks)
}

// jumps are those of a track's timestamps, and when the newest of them were,
// oldest first.
type jumps struct {
	seen  uint64
	times [3]time.Time
}

// note takes how many there have been.
func (j *jumps) note(count uint64, now time.Time) {
	for range min(count-j.seen, uint64(len(j.times))) {
		copy(j.times[:], j.times[1:])
		j.times[len(j.times)-1] = now
	}
	j.seen = count
}

// areSeveral reports whether there were several within a minute.
func (j *jumps) areSeveral(now time.Time) bool {
	return !j.times[0].IsZero() && now.Sub(j.times[0]) <= time.Minute
}
