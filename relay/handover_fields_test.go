package relay

import (
	"reflect"
	"slices"
	"testing"
)

// A field that is added to what streams remember needs a decision: does the process
// that goes on with them need it?
func TestEveryFieldIsDecided(t *testing.T) {
	const (
		goes  = "goes"  // keep.go and revive.go have it
		anew  = "anew"  // the next process makes it, or finds it out by itself
		empty = "empty" // is empty when everything has stopped
		ends  = "ends"  // is only of interest to this process
	)
	for typ, fields := range map[reflect.Type]map[string]string{
		reflect.TypeFor[Stream](): {
			"shared": anew, "name": anew, "id": goes, "direction": goes, "errand": anew, "o": anew, "log": anew, "since": goes, "notBefore": goes,
			"clock": goes, "backlog": goes, "gone": goes, "closed": anew, "cut": anew, "retry": goes, "node": goes, "lostAt": goes, "moved": goes,
			"wasSent": goes, "remembered": goes, "audience": goes, "lastMedia": goes, "counters": goes, "link": anew, "diary": ends, "meter": goes,
			"observed": anew, "departures": goes, "lostBy": goes, "missedAt": goes, "again": ends, "mu": anew, "now": anew, "verdict": anew, "outage": goes,
			"health": anew, "moveOn": empty,
		},
		reflect.TypeFor[push](): {
			"Stream": goes, "seat": goes, "verdicts": anew, "written": goes, "wasDoubtful": goes,
		},
		reflect.TypeFor[pull](): {
			"Stream": goes, "mu": anew, "players": goes, "idle": goes, "until": goes, "over": goes, "changed": anew,
		},
		reflect.TypeFor[seat](): {
			"mu": anew, "holder": goes, "last": goes, "lost": goes, "grace": goes, "until": goes, "over": goes, "changed": anew,
		},
		reflect.TypeFor[publisher](): {
			"id": goes, "since": goes, "session": goes, "remote": anew, "addr": anew, "tookOver": goes, "seam": goes, "pace": goes, "heard": goes,
			"cause": empty, "left": anew, "file": goes,
		},
		reflect.TypeFor[seam](): {
			"offset": goes, "overlaps": goes, "overlap": goes, "open": goes, "since": goes, "starts": goes, "opening": goes,
		},
		reflect.TypeFor[overlap](): {
			"on": goes, "until": goes,
		},
		reflect.TypeFor[streamClock](): {
			"newest": goes, "at": goes,
		},
		reflect.TypeFor[starts](): {
			"hasVideo": goes,
		},
		reflect.TypeFor[pace](): {
			"begun": goes, "last": goes, "media": goes, "count": goes, "ahead": goes,
		},
		reflect.TypeFor[backlog](): {
			"maxAge": anew, "maxBytes": anew, "memory": anew, "mu": anew, "entries": goes, "first": goes, "bytes": anew, "base": goes, "starts": goes,
			"epoch": goes, "begun": goes, "origin": goes, "received": goes, "closed": goes, "unhurried": goes, "lost": goes, "inDoubt": goes,
			"followers": goes, "sleepers": empty, "lent": empty, "announced": anew,
		},
		reflect.TypeFor[entries](): {
			"spare": anew, "blocks": goes, "first": anew, "count": goes,
		},
		reflect.TypeFor[entry](): {
			"Message": goes, "info": anew, "start": goes, "at": goes, "epoch": goes, "opening": goes,
		},
		reflect.TypeFor[follower](): {
			"b": anew, "role": anew, "holds": anew, "from": anew, "next": goes, "lost": goes, "begun": goes, "epoch": goes, "given": goes, "woken": anew,
			"deputy": anew, "rising": ends, "broken": ends, "dropped": goes,
		},
		reflect.TypeFor[timeline](): {
			"begun": goes, "last": goes, "now": goes,
		},
		reflect.TypeFor[uplink](): {
			"s": anew, "at": goes, "upstream": goes, "follower": goes, "clock": goes, "ledger": goes, "rated": anew, "batch": anew, "out": empty,
			"passing": empty, "passErr": ends, "saidGoodbye": empty, "ending": ends,
		},
		reflect.TypeFor[ledger](): {
			"mu": anew, "underWay": goes, "dropped": ends,
		},
		reflect.TypeFor[flight](): {
			"end": goes, "next": goes,
		},
		reflect.TypeFor[node](): {
			"contact": goes, "since": goes, "uplink": goes, "seam": goes, "file": goes,
		},
		reflect.TypeFor[contact](): {
			"asked": goes, "node": goes, "target": anew, "upstream": goes, "deadline": ends, "err": empty,
		},
		reflect.TypeFor[player](): {
			"stream": anew, "session": goes, "log": anew, "since": goes, "end": anew, "listener": anew, "heard": ends, "begun": goes, "bytes": goes, "skipped": goes,
			"follower": goes, "clock": goes, "file": goes,
		},
		reflect.TypeFor[counters](): {
			"bytesIn": goes, "messagesIn": goes, "bytesOut": goes, "messagesOut": goes, "replayed": goes, "dropped": goes, "dispatches": goes,
			"sessions": goes, "publishes": goes, "plays": goes, "bytesPlayed": goes, "skipped": goes,
		},
		reflect.TypeFor[remembered](): {
			"answer": goes, "at": goes, "used": anew,
		},
		reflect.TypeFor[backoff](): {
			"min": anew, "max": anew, "failures": goes,
		},
		reflect.TypeFor[outage](): {
			"attended": anew, "onAir": anew, "wasOnAir": anew, "since": goes, "total": goes,
		},
		reflect.TypeFor[healthState](): {
			"is": anew, "since": anew, "dropped": goes, "droppedAt": ends,
		},
		reflect.TypeFor[phase](): {
			"state": anew, "since": anew, "node": anew, "nodeSince": anew, "lastError": ends, "failure": ends, "attempt": ends, "nextTry": goes,
		},
		reflect.TypeFor[observed](): {
			"mu": anew, "out": anew, "advisor": anew,
		},
		reflect.TypeFor[audience](): {
			"mu": anew, "players": goes,
		},
		reflect.TypeFor[Server](): {
			"shared": goes, "o": anew, "wg": anew, "lobby": anew, "rules": anew, "gate": anew, "guesses": anew, "loops": anew, "begun": anew, "leaving": ends,
			"kept": ends, "revived": ends, "putOff": goes, "mu": anew, "streams": goes,
		},
		reflect.TypeFor[shared](): {
			"memory": anew, "news": goes, "tally": goes,
		},
		reflect.TypeFor[table](): {
			"pushes": goes, "pulls": goes, "asked": anew,
		},
		reflect.TypeFor[tally](): {
			"publishers": anew, "players": anew, "publishersEver": goes, "playsEver": goes, "throttled": goes, "connections": goes, "onDispatch": anew,
			"onRestore": anew, "mu": anew, "rejects": goes, "dispatches": goes,
		},
		reflect.TypeFor[news](): {
			"missed": goes, "mu": anew, "last": goes, "subscribers": ends,
		},
	} {
		var there []string
		for i := range typ.NumField() {
			name := typ.Field(i).Name
			there = append(there, name)
			if fields[name] == "" {
				t.Errorf("%s.%s: does the next process need it? keep.go and revive.go have it, or not; say so here", typ.Name(), name)
			}
		}
		for name := range fields {
			if !slices.Contains(there, name) {
				t.Errorf("%s.%s is no more", typ.Name(), name)
			}
		}
	}
}
