//go:build unix

package main

import "syscall"

// mostDescriptors is how many file descriptors the process may have. The Go
// runtime has raised the soft limit to the hard one.
func mostDescriptors() (most uint64, ok bool) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	return uint64(limit.Cur), true //nolint:unconvert // its type differs between systems
}
