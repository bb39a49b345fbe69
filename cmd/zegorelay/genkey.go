package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"

	"zegorelay/config"
)

type genkeyCommand struct {
	Name     string `help:"Print a whole entry, for a stream of this name." placeholder:"NAME"`
	StreamID string `name:"stream-id" help:"ZEGO StreamId of the entry [the name]." placeholder:"ID"`
}

// keyBytes make a key that nobody guesses: 144 bits, without padding in base64.
const keyBytes = 18

// newKey is a random key of letters, digits, - and _: it goes into any URL and would do
// as a StreamId. It begins with a letter or a digit, or a command line could take it for
// an option.
func newKey() string {
	for {
		var random [keyBytes]byte
		_, _ = rand.Read(random[:]) // never fails
		if key := base64.RawURLEncoding.EncodeToString(random[:]); !strings.ContainsAny(key[:1], "-_") {
			return key
		}
	}
}

// Run prints a key, or an entry of the streams file with one.
func (c genkeyCommand) Run(t terminal) error {
	key := newKey()
	if c.Name == "" && c.StreamID == "" {
		_, err := fmt.Fprintln(t.out, key)
		return err
	}
	name, id := c.Name, c.StreamID
	if name == "" {
		name = id
	}
	if id == "" {
		id = name
	}
	if err := config.CheckStream(name, id); err != nil {
		return err
	}
	_, err := fmt.Fprintf(t.out, "  - name: %q\n    key: %q\n    stream_id: %q\n", name, key, id)
	return err
}
