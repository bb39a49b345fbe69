package config

import (
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

const prefix = "ZEGORELAY_"

// Variable describes one variable of the environment.
type Variable struct {
	Name    string
	Default string // empty: none
	Meaning string

	value string
}

// Variables lists all variables, in the order of the documentation.
func Variables() []Variable { return variables(new(raw)) }

// usage makes envconfig print a variable a line: name, default, meaning.
const usage = "{{range .}}{{usage_key .}}\t{{usage_default .}}\t{{usage_description .}}\n{{end}}"

// variables lists the fields of r with their values.
func variables(r *raw) []Variable {
	var text strings.Builder
	if err := envconfig.Usagef(strings.TrimSuffix(prefix, "_"), r, &text, usage); err != nil {
		panic(err) // the tags and the template are ours
	}
	values := reflect.ValueOf(r).Elem()
	var all []Variable
	for line := range strings.Lines(text.String()) {
		part := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		all = append(all, Variable{
			Name: part[0], Default: part[1], Meaning: part[2],
			value: values.Field(len(all)).String(),
		})
	}
	return all
}

// Load reads the environment, and the file of the secret. What is wrong with
// them is an error that matches Problems: all of it, at once.
func Load() (*Config, error) {
	p := &parser{credentials: os.Getenv("CREDENTIALS_DIRECTORY")}
	c := &Config{}
	p.misspelt()
	err := envconfig.Process(strings.TrimSuffix(prefix, "_"), &c.raw)
	if err != nil {
		return nil, err // texts can't be malformed: this is ours
	}
	c.raw.fillBlanks()
	c.read(p)
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	return c, nil
}

// Defaults is the configuration of an environment without any variable, but for
// the account, which has no default.
func Defaults() *Config {
	c := &Config{}
	c.raw.fillBlanks()
	c.read(&parser{})
	return c
}

// fillBlanks makes a variable that is set to nothing one that is not set.
func (r *raw) fillBlanks() {
	values := reflect.ValueOf(r).Elem()
	for i := range values.NumField() {
		if values.Field(i).String() == "" {
			values.Field(i).SetString(values.Type().Field(i).Tag.Get("default"))
		}
	}
}

// misspelt names variables that carry our prefix and that we don't know.
func (p *parser) misspelt() {
	err := envconfig.CheckDisallowed(strings.TrimSuffix(prefix, "_"), new(raw))
	if err == nil {
		return
	}
	known := Variables()
	for _, setting := range os.Environ() {
		name, _, _ := strings.Cut(setting, "=")
		isKnown := func(v Variable) bool { return v.Name == name }
		if strings.HasPrefix(name, prefix) && !slices.ContainsFunc(known, isKnown) {
			p.problems.add(name, "is not a variable of this version",
				"did you mean "+nearest(name, known)+"? 'zegorelay --help' lists them all")
		}
	}
}

// nearest is the known name that takes the fewest edits to get to.
func nearest(name string, known []Variable) string {
	return slices.MinFunc(known, func(a, b Variable) int {
		return edits(name, a.Name) - edits(name, b.Name)
	}).Name
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
