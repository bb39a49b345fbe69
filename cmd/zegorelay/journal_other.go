//go:build !unix

package main

import "os"

func isJournal(*os.File) bool { return false }
