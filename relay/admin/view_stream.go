package admin

import (
	"cmp"
	"slices"
	"time"

	"zegorelay/relay"
)

// listedEvents is how many of a stream's events a list has: it goes to every open page
// every second. All that are kept are in the stream's own answer.
const listedEvents = 8

// viewOfStreams is everything there is, in the order of the names.
func viewOfStreams(all []relay.Status, now time.Time) streamsView {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b relay.Status) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Direction, b.Direction))
	})
	v := streamsView{At: stamp(now), ItemCount: len(all), Items: make([]streamView, 0, len(all))}
	for i := range all {
		st := &all[i]
		st.Events = st.Events[max(0, len(st.Events)-listedEvents):]
		v.Items = append(v.Items, viewOfStream(st, now))
	}
	return v
}

func viewOfStream(st *relay.Status, now time.Time) streamView {
	v := streamView{
		Name: st.Name, App: st.App, StreamID: st.StreamID, Direction: string(st.Direction),
		Health: string(st.Health), Reason: st.Reason, HealthSince: stamp(st.HealthSince), Since: stamp(st.Since),
		Remote: st.Remote, AwaySince: stamp(st.Away), Upstream: viewOfUpstream(st, now),
		Video: viewOfVideo(st.Video), Audio: viewOfAudio(st.Audio), AVSkewMs: milliseconds(st.Skew),
		Rate:       rateView{kilobits(st.RateIn), kilobits(st.RateOut)},
		Bytes:      bytesView{st.BytesIn, st.BytesOut, st.BytesPlayed},
		Messages:   messagesView{st.MessagesIn, st.MessagesOut},
		Dropped:    droppedView{st.Dropped, droppedMs(st)},
		Replayed:   st.Replayed,
		QueueMs:    st.BacklogAge.Milliseconds(),
		QueueBytes: st.BacklogBytes,
		LagMs:      st.Lag.Milliseconds(),
		Reconnects: reconnectsView{again(st.Publishes), again(st.Sessions)},
		Dispatches: st.Dispatches, OutageMs: st.Outage.Milliseconds(),
		Players: st.Players, Plays: st.Plays, Skipped: st.Skipped,
		Drops: []dropView{}, Advice: []adviceView{}, Events: []eventView{},
	}
	if p := st.Publisher; p != nil {
		v.Publisher = &publisherView{p.ID, p.Remote, stamp(p.Since), p.Client, p.Secure}
	}
	if st.RTT > 0 {
		rtt := milliseconds(st.RTT)
		v.RTTMs = &rtt
	}
	for _, d := range st.Drops {
		v.Drops = append(v.Drops, dropView(d))
	}
	for _, a := range st.Advice {
		v.Advice = append(v.Advice, adviceView{a.Kind, stamp(a.Since), a.Text, a.Fix})
	}
	for _, e := range st.Events {
		v.Events = append(v.Events, viewOfEvent(e))
	}
	return v
}

// again is how often something happened after the first time.
func again(times uint64) uint64 { return max(times, 1) - 1 }

func viewOfUpstream(st *relay.Status, now time.Time) upstreamView {
	v := upstreamView{
		State: string(st.State), Node: st.Node, Since: stamp(now.Add(-st.StateFor)), Attempt: st.Attempt,
	}
	if !st.NextTry.IsZero() {
		wait := max(0, st.NextTry.Sub(now).Milliseconds())
		v.NextTryInMs = &wait
	}
	if f := st.Failure; f != nil {
		v.LastError = &failureView{stamp(f.At), string(f.Stage), f.Code, f.Text, f.Advice}
	}
	return v
}

func viewOfTrack(t *relay.Track) trackView {
	return trackView{t.Codec, kilobits(t.Rate), t.Messages, t.Jumps, stamp(t.Last)}
}

func viewOfVideo(t *relay.VideoTrack) *videoView {
	if t == nil {
		return nil
	}
	v := &videoView{
		trackView: viewOfTrack(&t.Track), Profile: t.Profile, Width: t.Width, Height: t.Height,
		FPS: rounded(t.FPS), LastKeyframe: stamp(t.LastKeyframe), BFrames: t.BFrames,
	}
	if interval := t.KeyframeInterval.Milliseconds(); interval > 0 {
		v.KeyframeIntervalMs = &interval
	}
	return v
}

func viewOfAudio(t *relay.AudioTrack) *audioView {
	if t == nil {
		return nil
	}
	return &audioView{viewOfTrack(&t.Track), t.SampleRate, t.Channels}
}

// aacFrame is how many samples a message of AAC holds.
const aacFrame = 1024

// droppedMs is about how much time was given up: the dropped frames at the rate at which
// they come now, of the track that lost most. What was dropped is not there any more to be
// measured.
func droppedMs(st *relay.Status) int64 {
	var longest float64 // seconds
	for track, perSecond := range map[string]float64{"video": frameRate(st.Video), "audio": messageRate(st.Audio)} {
		var messages uint64
		for _, d := range st.Drops {
			if d.Track == track {
				messages += d.Messages
			}
		}
		if perSecond > 0 {
			longest = max(longest, float64(messages)/perSecond)
		}
	}
	return int64(longest * 1000)
}

func frameRate(t *relay.VideoTrack) float64 {
	if t == nil {
		return 0
	}
	return t.FPS
}

func messageRate(t *relay.AudioTrack) float64 {
	if t == nil || t.Codec != "aac" {
		return 0
	}
	return float64(t.SampleRate) / aacFrame
}
