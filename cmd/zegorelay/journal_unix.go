//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
)

// isJournal reports whether a file leads to systemd's journal, which says in
// JOURNAL_STREAM what it has connected a service to. Who sends its output elsewhere
// leaves the variable as it was: only the same file counts.
func isJournal(file *os.File) bool {
	info, err := file.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}
