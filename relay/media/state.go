package media

// This file says what of a stream's measurements the next process needs to go on with
// them, and nothing else of this package does. TestEveryFieldIsDecided holds it against
// the fields that there are.

// Counters are what has been counted of a track over all its encoders: bytes of payload,
// frames, and timestamps that fell or leapt.
type Counters struct{ Bytes, Frames, Jumps uint64 }

// Counters are what another meter needs to count on. Anybody may ask for them.
func (m *Meter) Counters() (video, audio Counters) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.video.counters(), m.audio.counters()
}

// Recall takes in what another meter has counted, in place of what this one has. It is
// called once, when the headers in force have been noted and before any frame is.
func (m *Meter) Recall(video, audio Counters) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.video.recall(video)
	m.audio.recall(audio)
}

// Recall takes in what was before this advisor came, and is no news: what a meter has
// counted, and the messages that were left out because the node was too slow. It is
// called once, before the first look.
func (a *Advisor) Recall(video, audio Counters, dropped uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.memory.videoJumps.seen, a.memory.audioJumps.seen = video.Jumps, audio.Jumps
	a.memory.dropped = dropped
}

func (t *measured) counters() Counters { return Counters{t.bytes, t.frames, t.jumps} }

func (t *measured) recall(c Counters) { t.bytes, t.frames, t.jumps = c.Bytes, c.Frames, c.Jumps }
