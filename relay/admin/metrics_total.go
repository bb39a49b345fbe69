package admin

import "zegorelay/relay"

// totalMetrics are the process's.
func totalMetrics() []metric[relay.Totals] {
	return []metric[relay.Totals]{
		{name: "connections", help: "Connections of encoders and players.", kind: gauge, labels: []string{"role"},
			read: func(t *relay.Totals, give giver) {
				give(float64(t.Publishers), "publisher")
				give(float64(t.Players), "player")
			}},
		{name: "connections_total", help: "Encoders and players that were let in.", kind: counter, labels: []string{"role"},
			read: func(t *relay.Totals, give giver) {
				give(float64(t.PublishersEver), "publisher")
				give(float64(t.PlaysEver), "player")
			}},
		{name: "rejects_total", help: "Encoders and players that were turned away.", kind: counter, labels: []string{"reason"},
			read: readRejects},
		{name: "dispatch_requests_total", help: "Dispatches by what came of them: ZEGO's return code, http_500, timeout, network or answer.",
			kind: counter, labels: []string{"type", "code"}, read: readDispatches},
		{name: "dispatch_throttled_total", help: "Dispatches that ZEGO called too many.", kind: counter,
			read: func(t *relay.Totals, give giver) { give(float64(t.Throttled)) }},
		{name: "backlog_bytes", help: "Payload that all backlogs hold.", kind: gauge,
			read: func(t *relay.Totals, give giver) { give(float64(t.Memory)) }},
		{name: "events_dropped_total", help: "Events that a subscriber was too slow for.", kind: counter,
			read: func(t *relay.Totals, give giver) { give(float64(t.EventsDropped)) }},
	}
}

func readRejects(t *relay.Totals, give giver) {
	for _, reason := range []string{"bad_key", "auth", "conflict", "limit", "protocol", "handshake", "zego"} {
		give(0, reason)
	}
	for reason, n := range t.Rejects {
		give(float64(n), reason)
	}
}

func readDispatches(t *relay.Totals, give giver) {
	give(0, string(relay.Push), "0")
	give(0, string(relay.Pull), "0")
	for _, d := range t.Dispatches {
		give(float64(d.Requests), string(d.Direction), d.Code)
	}
}
