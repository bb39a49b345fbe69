package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/rs/zerolog"

	"zegorelay/config"
)

// Whatever peers call themselves and their streams: a line stays one line of
// printable characters, in both formats, and JSON says exactly what they said.
func TestLogIsNotForged(t *testing.T) {
	for what, word := range map[string]string{
		"a new line":        "cam1\r\n{\"level\":\"info\",\"message\":\"zegorelay ended\"}",
		"a colour":          "\x1b[31mcam1\x1b[2J",
		"a C1 control":      "cam1\u009b2J",
		"DEL and NUL":       "cam\x7f\x00",
		"right to left":     "cam\u202e1mac",
		"a line separator":  "cam1\u2028cam2",
		"a private plane":   "cam1\U000f0000",
		"a format verb":     "%n%s%x",
		"not UTF-8":         "cam\xff\x9b1",
		"a letter with hat": "câm1 カメラ 🎥",
	} {
		for _, format := range []string{"json", "console"} {
			t.Run(what+", "+format, func(t *testing.T) {
				var out strings.Builder
				log, queue := newLogger(&out, &config.Config{LogFormat: format})
				log.Warn().Str("client", word).Err(errors.New(word)).Strs("all", []string{word}).Msg(word)
				queue.Close()
				line, ok := strings.CutSuffix(out.String(), "\n")
				if !ok {
					t.Errorf("no line: %q", out.String())
				}
				for _, r := range line {
					if !unicode.IsPrint(r) {
						t.Fatalf("%U in %q", r, line)
					}
				}
				if format != "json" {
					return
				}
				var got struct{ Client, Error, Message string }
				if err := json.Unmarshal([]byte(line), &got); err != nil {
					t.Fatalf("%v in %s", err, line)
				}
				want := strings.Map(func(r rune) rune { return r }, word) // bytes that are no UTF-8 become U+FFFD
				if got.Client != want || got.Error != want || got.Message != want {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		}
	}
}

// Under systemd each line has its priority in front.
func TestJournalPriority(t *testing.T) {
	var out strings.Builder
	log := zerolog.New(&jsonLines{out: &out, isJournal: true})
	log.Debug().Msg("")
	log.Info().Msg("")
	log.Warn().Msg("")
	log.Error().Msg("")
	log.WithLevel(zerolog.FatalLevel).Msg("")
	log.Log().Msg("")
	var got string
	for line := range strings.Lines(out.String()) {
		priority, rest, _ := strings.Cut(line, ">")
		got += priority
		if !json.Valid([]byte(rest)) {
			t.Errorf("no JSON: %q", line)
		}
	}
	if got != "<7<6<4<3<2<6" {
		t.Errorf("priorities %s", got)
	}
}
