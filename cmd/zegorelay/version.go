package main

import (
	"fmt"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
)

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(t terminal) error {
	_, err := fmt.Fprintln(t.out, "zegorelay", version())
	return err
}

// build is what the binary knows of itself.
type build struct {
	release, revision, date string
	modified                bool
}

// version reads what the Go tool noted at build time.
func version() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return build{release: release("")}
	}
	b := build{release: release(info.Main.Version)}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.revision = s.Value[:min(len(s.Value), 12)]
		case "vcs.time":
			b.date = s.Value
		case "vcs.modified":
			b.modified = s.Value == "true"
		}
	}
	return b
}

// firstRelease is what leads to it before there is any tag.
const firstRelease = "0.1.0"

// release is the name of a module's version in the spelling of packages, in which ~
// comes before everything: 0.2.0 of the tag v0.2.0, and 0.2.1~git20261127173427.7f04899
// of what came after it, which is older than 0.2.1 will be.
func release(module string) string {
	if module == "" || module == "(devel)" {
		return "devel" // built without Git, or a test
	}
	pseudo := regexp.MustCompile(`^v([0-9.]+)-(?:0\.|(.+)\.0\.)?([0-9]{14})-([0-9a-f]{7})[0-9a-f]*(\+dirty)?$`)
	if m := pseudo.FindStringSubmatch(module); m != nil {
		next, before, date, revision, dirty := m[1], m[2], m[3], m[4], m[5]
		if next == "0.0.0" {
			next = firstRelease
		}
		next += "~"
		if before != "" {
			next += before + "+" // later than that
		}
		return next + "git" + date + "." + revision + dirty
	}
	return strings.Replace(strings.TrimPrefix(module, "v"), "-", "~", 1)
}

// String is one line: version, commit, date, Go, platform.
func (b build) String() string {
	parts := []string{b.release}
	if b.revision != "" {
		revision := b.revision
		if b.modified {
			revision += "+changes"
		}
		parts = append(parts, revision, b.date)
	}
	parts = append(parts, runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
	return strings.Join(parts, " ")
}
