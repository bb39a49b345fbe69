package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"zegorelay/config"
)

// update writes the table of variables into README.md:
//
//	go test ./cmd/zegorelay -run README -update
var update = flag.Bool("update", false, "write the table of variables into README.md")

func TestREADMEHasEveryVariable(t *testing.T) {
	const file = "../../README.md"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "|---|---|---|\n", "<!-- end of variables -->"
	head, rest, ok := strings.Cut(string(b), "<!-- variables")
	table, tail, ok2 := strings.Cut(rest, end)
	intro, got, ok3 := strings.Cut(table, begin)
	if !ok || !ok2 || !ok3 {
		t.Fatal("README.md has no table of variables between its marks")
	}
	var want strings.Builder
	for _, v := range config.Variables() {
		fallback := "none"
		if v.Default != "" {
			fallback = "`" + v.Default + "`"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s |\n", v.Name, fallback, v.Meaning)
	}
	if *update {
		text := head + "<!-- variables" + intro + begin + want.String() + end + tail
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want.String() {
		t.Errorf("the table in README.md is not that of the program: run\n\tgo test ./cmd/zegorelay -run README -update\ngot:\n%s", got)
	}
}
