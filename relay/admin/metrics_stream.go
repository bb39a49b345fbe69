package admin

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"zegorelay/relay"
)

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue

	video = "video"
	audio = "audio"
)

type giver = func(v float64, labels ...string)

// streamLifeMetrics tell whether a stream gets where it should.
func streamLifeMetrics() []metric[relay.Status] {
	direction := []string{"direction"}
	return []metric[relay.Status]{
		{name: "stream_health", help: "1 for the health that the stream is in.", kind: gauge,
			labels: []string{"direction", "health"}, read: readHealth},
		{name: "stream_publisher_connected", help: "Whether an encoder publishes the stream.", kind: gauge,
			read: ofPushed(func(st *relay.Status) float64 { return oneIf(st.Publisher != nil) })},
		{name: "stream_publisher_connects_total", help: "Encoders that published the stream.", kind: counter,
			read: ofPushed(func(st *relay.Status) float64 { return float64(st.Publishes) })},
		{name: "stream_publisher_disconnects_total", help: "Encoders that left the stream, by how.", kind: counter,
			labels: []string{"reason"}, read: readDisconnects},
		{name: "stream_upstream_connected", help: "Whether a node of ZEGO's has the stream.", kind: gauge, labels: direction,
			read: directed(func(st *relay.Status) float64 { return oneIf(isOnAir(st)) })},
		{name: "stream_upstream_connects_total", help: "Ways to a node: ok, or how far they came.", kind: counter,
			labels: []string{"direction", "result"}, read: func(st *relay.Status, give giver) {
				give(float64(st.Sessions), string(st.Direction), "ok")
				for stage, n := range st.NodesMissed {
					give(float64(n), string(st.Direction), stage)
				}
			}},
		{name: "stream_upstream_disconnects_total", help: "Nodes that were lost, by how.", kind: counter,
			labels: []string{"direction", "reason"}, read: readLosses},
		{name: "stream_upstream_state", help: "1 for the state that the way to a node is in.", kind: gauge,
			labels: []string{"direction", "state"}, read: readState},
		{name: "stream_upstream_failures", help: "Failures in a row since the last healthy node.", kind: gauge, labels: direction,
			read: directed(func(st *relay.Status) float64 { return float64(st.Attempt) })},
		{name: "stream_dispatches_total", help: "Dispatches that the stream asked for.", kind: counter, labels: direction,
			read: directed(func(st *relay.Status) float64 { return float64(st.Dispatches) })},
		{name: "dispatch_node_age_seconds", help: "How long ago ZEGO named the node that has the stream.", kind: gauge, merge: highest,
			read: func(st *relay.Status, give giver) {
				if !st.NodeSince.IsZero() {
					give(time.Since(st.NodeSince).Seconds())
				}
			}},
		{name: "stream_outage_seconds_total", help: "Time for which there was an encoder, and no node.", kind: counter,
			read: ofPushed(func(st *relay.Status) float64 { return st.Outage.Seconds() })},
		{name: "stream_advice", help: "1 for each thing that is wrong with the stream and that a person can mend.", kind: gauge,
			labels: []string{"direction", "kind"}, merge: highest, read: func(st *relay.Status, give giver) {
				for _, a := range st.Advice {
					give(1, string(st.Direction), a.Kind)
				}
			}},
	}
}

// streamFlowMetrics tell how much goes through and how much waits.
func streamFlowMetrics() []metric[relay.Status] {
	direction := []string{"direction"}
	return []metric[relay.Status]{
		{name: "stream_received_bytes_total", help: "Payload from encoders, or from nodes.", kind: counter,
			read: each(func(st *relay.Status) float64 { return float64(st.BytesIn) })},
		{name: "stream_sent_bytes_total", help: "Payload to nodes (push) or to players (pull).", kind: counter, labels: direction,
			read: directed(func(st *relay.Status) float64 {
				if st.Direction == relay.Pull {
					return float64(st.BytesPlayed)
				}
				return float64(st.BytesOut)
			})},
		{name: "stream_played_bytes_total", help: "Payload to players.", kind: counter, labels: direction,
			read: directed(func(st *relay.Status) float64 { return float64(st.BytesPlayed) })},
		{name: "stream_replayed_messages_total", help: "Messages sent to one more node.", kind: counter,
			read: ofPushed(func(st *relay.Status) float64 { return float64(st.Replayed) })},
		{name: "stream_dropped_messages_total", help: "Messages given up to a bound of the backlog, or to a slow node.",
			kind: counter, labels: []string{"track", "reason"}, read: readDrops},
		{name: "stream_skipped_messages_total", help: "Messages that players were too slow for.", kind: counter,
			read: each(func(st *relay.Status) float64 { return float64(st.Skipped) })},
		{name: "stream_queue_seconds", help: "Age of the oldest message in the backlog.", kind: gauge, merge: highest,
			read: each(func(st *relay.Status) float64 { return st.BacklogAge.Seconds() })},
		{name: "stream_queue_bytes", help: "Payload in the backlog.", kind: gauge,
			read: each(func(st *relay.Status) float64 { return float64(st.BacklogBytes) })},
		{name: "stream_lag_seconds", help: "Age of the oldest message that the node isn't known to have.", kind: gauge, merge: highest,
			read: ofPushed(func(st *relay.Status) float64 { return st.Lag.Seconds() })},
		{name: "stream_tcp_rtt_seconds", help: "Round-trip time to the node, as its TCP connection measures it.", kind: gauge,
			labels: direction, merge: highest, read: func(st *relay.Status, give giver) {
				if st.RTT > 0 {
					give(st.RTT.Seconds(), string(st.Direction))
				}
			}},
		{name: "stream_players", help: "Players of the stream.", kind: gauge,
			read: each(func(st *relay.Status) float64 { return float64(st.Players) })},
		{name: "stream_plays_total", help: "Players that the stream has had.", kind: counter,
			read: each(func(st *relay.Status) float64 { return float64(st.Plays) })},
	}
}

// streamMediaMetrics tell what the media is like.
func streamMediaMetrics() []metric[relay.Status] {
	track := []string{"track"}
	return []metric[relay.Status]{
		{name: "stream_messages_total", help: "Messages of a track.", kind: counter, labels: track,
			read: tracks(func(t *relay.Track) float64 { return float64(t.Messages) })},
		{name: "stream_timestamp_jumps_total", help: "Timestamps that fell, or leapt by more than a second.", kind: counter,
			labels: track, read: tracks(func(t *relay.Track) float64 { return float64(t.Jumps) })},
		{name: "stream_track_bytes_per_second", help: "Payload of a track, over the last seconds.", kind: gauge, labels: track,
			read: tracks(func(t *relay.Track) float64 { return t.Rate / 8 })},
		{name: "stream_last_message_timestamp_seconds", help: "When the last message of a track came, in Unix time.",
			kind: gauge, labels: track, merge: highest, read: func(st *relay.Status, give giver) {
				if st.Video != nil && !st.Video.Last.IsZero() {
					give(unixSeconds(st.Video.Last), video)
				}
				if st.Audio != nil && !st.Audio.Last.IsZero() {
					give(unixSeconds(st.Audio.Last), audio)
				}
			}},
		{name: "stream_video_frames_total", help: "Frames of the picture.", kind: counter,
			read: tracksOf(video, func(t *relay.Track) float64 { return float64(t.Messages) })},
		{name: "stream_video_frames_per_second", help: "Frame rate of the picture.", kind: gauge, merge: highest,
			read: ifVideo(func(v *relay.VideoTrack) float64 { return v.FPS })},
		{name: "stream_keyframe_interval_seconds", help: "Time between the last two keyframes.", kind: gauge, merge: highest,
			read: ifVideo(func(v *relay.VideoTrack) float64 { return v.KeyframeInterval.Seconds() })},
		{name: "stream_av_skew_seconds", help: "How far the sound's timestamps are ahead of the picture's.", kind: gauge,
			merge: highest, read: func(st *relay.Status, give giver) {
				if st.Video != nil && st.Audio != nil {
					give(st.Skew.Seconds())
				}
			}},
	}
}

func isOnAir(st *relay.Status) bool { return st.State == relay.Publishing || st.State == relay.Playing }

// each gives a value of every stream; directed one with the direction; ofPushed one of
// those that are published here.
func each(read func(*relay.Status) float64) func(*relay.Status, giver) {
	return func(st *relay.Status, give giver) { give(read(st)) }
}

func directed(read func(*relay.Status) float64) func(*relay.Status, giver) {
	return func(st *relay.Status, give giver) { give(read(st), string(st.Direction)) }
}

func ofPushed(read func(*relay.Status) float64) func(*relay.Status, giver) {
	return func(st *relay.Status, give giver) {
		if st.Direction == relay.Push {
			give(read(st))
		}
	}
}

// tracks gives a value of each track, 0 for one that isn't there: a counter begins at 0.
func tracks(read func(*relay.Track) float64) func(*relay.Status, giver) {
	return func(st *relay.Status, give giver) {
		tracksOf(video, read)(st, func(v float64, _ ...string) { give(v, video) })
		tracksOf(audio, read)(st, func(v float64, _ ...string) { give(v, audio) })
	}
}

func tracksOf(which string, read func(*relay.Track) float64) func(*relay.Status, giver) {
	return func(st *relay.Status, give giver) {
		switch {
		case which == video && st.Video != nil:
			give(read(&st.Video.Track))
		case which == audio && st.Audio != nil:
			give(read(&st.Audio.Track))
		default:
			give(0)
		}
	}
}

func ifVideo(read func(*relay.VideoTrack) float64) func(*relay.Status, giver) {
	return func(st *relay.Status, give giver) {
		if st.Video != nil {
			give(read(st.Video))
		}
	}
}

func readHealth(st *relay.Status, give giver) {
	for _, health := range []relay.Health{relay.OK, relay.Degraded, relay.Down, relay.Away} {
		give(oneIf(st.Health == health), string(st.Direction), string(health))
	}
}

func readState(st *relay.Status, give giver) {
	onAir := relay.Publishing
	if st.Direction == relay.Pull {
		onAir = relay.Playing
	}
	for _, state := range []relay.State{
		relay.Idle, relay.Dispatching, relay.Connecting, onAir, relay.Waiting, relay.Draining,
	} {
		give(oneIf(st.State == state), string(st.Direction), string(state))
	}
}

// readDrops begins with 0 of what can be: of a counter that is there from its first
// increase on nobody sees that one.
func readDrops(st *relay.Status, give giver) {
	if st.Direction == relay.Push {
		for _, track := range []string{video, audio} {
			for _, reason := range []string{"age", "bytes", "memory", "slow"} {
				give(0, track, reason)
			}
		}
	}
	for _, d := range st.Drops {
		give(float64(d.Messages), d.Track, d.Reason)
	}
}

// readDisconnects begins with 0, as readDrops does.
func readDisconnects(st *relay.Status, give giver) {
	if st.Direction != relay.Push {
		return
	}
	for _, reason := range []string{"eof", "reset", "timeout", "takeover", "kick", "protocol", "goodbye", "shutdown"} {
		give(0, reason)
	}
	for reason, n := range st.Disconnects {
		give(float64(n), reason)
	}
}

// readLosses begins with 0, as readDrops does.
func readLosses(st *relay.Status, give giver) {
	for _, reason := range []string{"stall", "status", "eof", "reset", "timeout", "protocol", "redispatch", "no_farewell"} {
		give(0, string(st.Direction), reason)
	}
	for reason, n := range st.NodesLost {
		give(float64(n), string(st.Direction), reason)
	}
}
