package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestSecretCannotPrintItself(t *testing.T) {
	s := NewSecret(testSecret)
	type outer struct {
		Exported   Secret
		unexported Secret
		pointer    *Secret
		list       []Secret
		table      map[string]Secret
	}
	o := outer{s, s, &s, []Secret{s}, map[string]Secret{"k": s}}
	var log bytes.Buffer
	logger := zerolog.New(&log)
	logger.Info().Interface("a", s).Interface("b", o).Any("c", &s).Stringer("d", s).Msg(fmt.Sprint(s))
	printed := log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%c", "%U", "%p", "%T", "%08.3f"} {
		for _, v := range []any{s, &s, o, &o, []Secret{s}} {
			printed += fmt.Sprintf(verb, v) + "\n"
		}
	}
	for _, v := range []any{s, o, map[string]any{"x": s}} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		printed += string(b)
	}
	printed += s.String() + s.GoString()
	printed += fmt.Sprint(errors.Join(fmt.Errorf("%v %w", s, os.ErrNotExist)))
	for _, form := range []string{"marker1", fmt.Sprintf("%x", "marker1"), fmt.Sprintf("%X", "marker1")} {
		if strings.Contains(printed, form) {
			t.Errorf("the secret is in the clear as %s:\n%s", form, printed)
		}
	}
	if s.Reveal() != testSecret {
		t.Error("Reveal must give the secret")
	}
}

func TestMaskedShowsTheEndOfALongSecretOnly(t *testing.T) {
	for text, want := range map[string]string{
		"": "****", "fifteen-letters": "****", "sixteen-letters1": "****ers1", testSecret: "****aabb",
	} {
		if got := NewSecret(text).Masked(); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
	if got := (Secret{}).Reveal(); got != "" {
		t.Errorf("the zero Secret holds %q, want nothing", got)
	}
}
