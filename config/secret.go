package config

import (
	"fmt"
	"io"
)

// Secret is text that can't print itself: not by any verb of fmt, not inside
// another struct, not as JSON, text or a log field. Reveal is the only way out.
// The zero Secret is empty.
type Secret struct {
	// A function, because fmt prints unexported fields without asking their
	// methods, and of a function only its address.
	reveal func() string
}

// NewSecret returns a Secret that holds s.
func NewSecret(s string) Secret {
	return Secret{reveal: func() string { return s }}
}

// Reveal returns the text in clear.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// Masked tells one secret from another without telling either: the last four
// characters of one that has at least 16.
func (s Secret) Masked() string {
	text := s.Reveal()
	if len(text) < maskable {
		return hidden
	}
	return hidden + text[len(text)-4:]
}

const (
	hidden   = "****"
	maskable = 16 // bytes; of a shorter secret four would tell too much
)

// Format prints the mask, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// String returns the mask.
func (s Secret) String() string { return hidden }

// GoString returns the mask.
func (s Secret) GoString() string { return hidden }

// MarshalText returns the mask; encoding/json and zerolog's Interface use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
