package media

import (
	"fmt"
	"time"
)

const (
	silence  = time.Second             // without a frame: a track may have stopped
	longGOP  = 4200 * time.Millisecond // 4 s and what rounding and 29.97 make of it
	noGOP    = 10 * time.Second
	longLag  = 2 * time.Second
	goodLag  = time.Second
	slowFor  = 5 * time.Second // after something was left out
	settling = 5 * time.Second // of a new node, which is sent what has waited
)

// noVideo finds sound without the picture that there was or that a header
// announced. A stream without either has no such track.
func noVideo(_ *recollection, now time.Time, c *Condition) finding {
	if c.Video == nil || c.Audio == nil {
		return finding{verdict: well}
	}
	return silent(now, &c.Video.Track, &c.Audio.Track, "picture", "sound",
		"Look at the camera or the source. OBS also leaves out pictures when the network to this relay is too slow: "+
			`"Dropped frames" at the bottom of its window counts them.`)
}

// noAudio finds a picture without its sound.
func noAudio(_ *recollection, now time.Time, c *Condition) finding {
	if c.Video == nil || c.Audio == nil {
		return finding{verdict: well}
	}
	return silent(now, &c.Audio.Track, &c.Video.Track, "sound", "picture",
		"Look at the encoder's audio input, and start its stream anew. OBS: Settings → Output → Streaming → Audio Track "+
			"must be one that is in use (a source that is muted sends silence, and is not this).")
}

func silent(now time.Time, track, other *Track, what, otherWhat, fix string) finding {
	switch isSilent := now.Sub(track.Last) > silence; {
	case !isSilent:
		return finding{verdict: well}
	case !other.flows(now):
		return finding{} // the encoder has stopped, or is away
	case track.Last.IsZero():
		return finding{bad, fmt.Sprintf("There is no %s, though the encoder has announced one; the %s goes on.", what, otherWhat), fix}
	default:
		return finding{bad, fmt.Sprintf("No %s for %s, while the %s goes on.", what, seconds(now.Sub(track.Last)), otherWhat), fix}
	}
}

// noKeyframe finds pictures that nobody can begin with.
func noKeyframe(m *recollection, now time.Time, c *Condition) finding {
	if c.Video == nil || !c.Video.flows(now) {
		return finding{}
	}
	since := c.Video.LastKeyframe
	if since.IsZero() {
		if m.keyless.IsZero() {
			m.keyless = now
		}
		since = m.keyless
	} else {
		m.keyless = time.Time{}
	}
	if now.Sub(since) <= noGOP {
		return finding{verdict: well}
	}
	return finding{bad,
		fmt.Sprintf("No keyframe for %s: who joins now sees nothing, and no other node can take the stream.", seconds(now.Sub(since))),
		keyframeFix() + " If that is so already, start the encoder's stream anew."}
}

// gopLong finds keyframes that are too far apart. Far more than that is noKeyframe's.
func gopLong(_ *recollection, now time.Time, c *Condition) finding {
	v := c.Video
	if v == nil || !v.flows(now) || v.KeyframeInterval == 0 {
		return finding{}
	}
	open := now.Sub(v.LastKeyframe)
	switch interval := max(v.KeyframeInterval, open); {
	case open > noGOP:
		return finding{}
	case interval <= longGOP:
		return finding{verdict: well}
	default:
		return finding{bad,
			fmt.Sprintf("A keyframe comes only every %s: players wait that long for their first picture, and after a loss.", seconds(interval)),
			keyframeFix()}
	}
}

func keyframeFix() string {
	return "Set a keyframe interval of 2 s. OBS: Settings → Output → Output Mode Advanced → Streaming → Keyframe Interval 2 s " +
		"(0 is auto: up to 250 frames). Elsewhere it may be called GOP or I-frame interval, and count frames."
}

// bFrames finds pictures that ZEGO's players don't put into order by default.
func bFrames(_ *recollection, now time.Time, c *Condition) finding {
	v := c.Video
	switch {
	case v == nil || !v.flows(now):
		return finding{}
	case !v.BFrames:
		return finding{verdict: well}
	}
	return finding{bad,
		fmt.Sprintf("The picture has B-frames (%s): with ZEGO's players it stutters, or the sound is out of step.", named(v)),
		"Switch B-frames off. OBS: Settings → Output → Output Mode Advanced → Streaming: Max B-frames 0; for x264 bframes=0 " +
			"in x264 Options, or Profile baseline. Elsewhere: B-frames 0, or the Baseline profile."}
}

// named is a picture's codec with its profile, where there is one.
func named(v *VideoTrack) string {
	if v.Profile == "" {
		return v.Codec
	}
	return v.Codec + " " + v.Profile
}

// codec finds what ZEGO documents nowhere that it takes. It does name AAC, MP3,
// H.264, and H.265 with a condition.
func codec(_ *recollection, now time.Time, c *Condition) finding {
	const fix = "OBS: Settings → Output → Streaming: a video encoder for H.264, and for audio AAC. " +
		"Elsewhere likewise. Or ask ZEGO whether they take it for your AppID."
	isKnown := false
	if v := c.Video; v != nil && v.flows(now) && v.Codec != "" {
		if v.Codec != "h264" && v.Codec != "hevc" {
			return finding{bad, fmt.Sprintf("The picture is in %s: ZEGO is known to take H.264, and H.265 where that is enabled.", named(v)), fix}
		}
		isKnown = true
	}
	if a := c.Audio; a != nil && a.flows(now) && a.Codec != "" {
		if a.Codec != "aac" && a.Codec != "mp3" {
			return finding{bad, fmt.Sprintf("The sound is in %s: ZEGO is known to take AAC and MP3.", a.Codec), fix}
		}
		isKnown = true
	}
	if !isKnown {
		return finding{}
	}
	return finding{verdict: well}
}

// timestamps finds a clock that doesn't run evenly. An encoder that sets its clock
// anew does so once, for every track.
func timestamps(m *recollection, now time.Time, c *Condition) finding {
	if c.Video != nil {
		m.videoJumps.note(c.Video.Jumps, now)
	}
	if c.Audio != nil {
		m.audioJumps.note(c.Audio.Jumps, now)
	}
	if !m.videoJumps.areSeveral(now) && !m.audioJumps.areSeveral(now) {
		return finding{verdict: well}
	}
	return finding{bad,
		fmt.Sprintf("Timestamps fell back or leapt by more than a second: %d times in the picture, %d in the sound so far.",
			m.videoJumps.seen, m.audioJumps.seen),
		"Start the encoder's stream anew. A camera that sets its clock while it sends (NTP), a file that is played in a loop, " +
			"and sources with clocks of their own do this."}
}

// bitrateLow finds an encoder that no longer sends what it usually does. A
// picture that is only still needs few bits, too, but is as many pictures: where
// these keep coming nothing is said.
func bitrateLow(m *recollection, now time.Time, c *Condition) finding {
	v, u := c.Video, m.usual
	isKnown := u.looks >= knowing && u.encoder == c.Encoder
	if v == nil || !v.flows(now) || !isKnown {
		return finding{}
	}
	switch {
	case c.RateIn > 0.5*u.rate, v.FPS > 0.8*u.fps:
		return finding{verdict: well}
	case c.RateIn >= 0.3*u.rate, v.FPS >= 0.7*u.fps:
		return finding{}
	}
	return finding{bad,
		fmt.Sprintf("The encoder sends %s and %.0f pictures a second; usually it is %s and %.0f. "+
			"That is not because the picture is still: then as many would come.", mbit(c.RateIn), v.FPS, mbit(u.rate), u.fps),
		"Look at the encoder's computer and at the network between it and this relay. OBS: View → Stats tells whether " +
			"frames are lost in rendering, in encoding or in the network; a lower bitrate or resolution helps against all."}
}

// uplinkSlow finds a way to the node that takes less than what comes in.
func uplinkSlow(m *recollection, now time.Time, c *Condition) finding {
	if c.Dropped > m.dropped {
		m.droppedAt = now
	}
	m.dropped = c.Dropped
	if c.OnAir < settling {
		return finding{}
	}
	isDropping := !m.droppedAt.IsZero() && now.Sub(m.droppedAt) < slowFor
	isBehind := c.isBehind(longLag) && c.Lag > m.lag-100*time.Millisecond // and doesn't catch up
	switch {
	case isDropping, isBehind:
	case !c.isBehind(goodLag):
		return finding{verdict: well}
	default:
		return finding{}
	}
	text := fmt.Sprintf("The uplink to ZEGO takes %s, the encoder sends %s: %s of it wait here",
		mbit(c.RateOut), mbit(c.RateIn), seconds(c.Lag))
	if c.Dropped > 0 {
		text += fmt.Sprintf(", and %d messages were left out so far", c.Dropped)
	}
	return finding{bad, text + ".", uplinkFix(c.RateOut)}
}

func uplinkFix(takes float64) string {
	const kbit, share = 1000, 0.75 // of the line: it is not always as good
	set := "Set the encoder to a lower bitrate"
	if to := int(takes*share/kbit) / 100 * 100; to > 0 {
		set += fmt.Sprintf(", such as %d kbit/s", to)
	}
	return set + ". OBS: Settings → Output → Streaming → Video Bitrate. Or find out what else uses the line."
}

// seconds is a duration as people say it.
func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// mbit is a rate as people say it.
func mbit(bitsPerSecond float64) string {
	return fmt.Sprintf("%.1f Mbit/s", bitsPerSecond/1e6)
}
