//go:build unix

package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"zegorelay/config"
)

// Lines get a priority only if they go where systemd says that the journal is.
func TestJournalIsKnownByItsStream(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	for stream, want := range map[string]string{
		fmt.Sprintf("%d:%d", stat.Dev, stat.Ino):   `<4>{"level":"warn"`,
		fmt.Sprintf("%d:%d", stat.Dev, stat.Ino+1): `{"level":"warn"`,
		"": `{"level":"warn"`,
	} {
		t.Setenv("JOURNAL_STREAM", stream)
		if err := file.Truncate(0); err != nil {
			t.Fatal(err)
		}
		if _, err := file.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
		log, queue := newLogger(file, &config.Config{LogFormat: "auto"})
		log.Warn().Msg("something happened")
		queue.Close()
		if got, _ := os.ReadFile(file.Name()); !strings.HasPrefix(string(got), want) {
			t.Errorf("JOURNAL_STREAM=%s: %s", stream, got)
		}
	}
}
