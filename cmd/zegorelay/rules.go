package main

import (
	"math"

	"zegorelay/config"
	"zegorelay/relay"
)

// rulesOf is the list of streams as the relay takes it; nil if there is none, and any
// stream may be published.
func rulesOf(cfg *config.Config) []relay.Rule {
	if cfg.StreamsFile == "" {
		return nil
	}
	rules := make([]relay.Rule, 0, len(cfg.Streams))
	for _, s := range cfg.Streams {
		rules = append(rules, relay.Rule{
			Name:         s.Name,
			StreamID:     s.StreamID,
			App:          s.App,
			Key:          s.Key.Reveal,
			Allow:        s.Allow,
			User:         s.User,
			Password:     s.Password.Reveal,
			Conflict:     relay.Conflict(s.Conflict),
			Grace:        s.Grace,
			Backlog:      s.Backlog,
			BacklogBytes: int(min(s.BacklogBytes, math.MaxInt)),
		})
	}
	return rules
}

// names are what operators call the streams of the list.
func namesOf(cfg *config.Config) []string {
	names := make([]string, 0, len(cfg.Streams))
	for _, s := range cfg.Streams {
		names = append(names, s.Name)
	}
	return names
}
