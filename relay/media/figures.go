package media

import "time"

// flowing is how old a track's last frame may be for the track to count as one that
// flows.
const flowing = 2 * time.Second

// Figures are what the headers of a stream's messages tell.
type Figures struct {
	Video  *VideoTrack // the first; nil if there is none
	Audio  *AudioTrack
	RateIn float64       // bits a second, of payload, over the last seconds
	Skew   time.Duration // by how much the sound's timestamps are ahead of the picture's
}

// Track is what is measured of any track.
type Track struct {
	Codec    string    // h264, hevc, av1, vp9, aac, opus, mp3 …; a FourCC that is not known as it is
	Rate     float64   // bits a second, over the last seconds
	Messages uint64    // frames
	Jumps    uint64    // timestamps that fell, or leapt by more than a second
	Last     time.Time // when the last message came
}

// VideoTrack is a picture.
type VideoTrack struct {
	Track
	Profile          string // High, Main 10 …; empty: not known
	Width, Height    int    // 0: not known
	FPS              float64
	KeyframeInterval time.Duration // between the last two keyframes; 0: not known
	LastKeyframe     time.Time
	BFrames          bool // there were some in the last seconds
}

// AudioTrack is sound.
type AudioTrack struct {
	Track
	SampleRate int // Hz; 0: not known
	Channels   int // 0: not known
}

// flows reports whether frames come.
func (t *Track) flows(now time.Time) bool {
	return !t.Last.IsZero() && now.Sub(t.Last) < flowing
}
