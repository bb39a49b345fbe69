package config

import "strings"

// Problem is one thing that is wrong with the configuration.
type Problem struct {
	Variable string // or file
	What     string // is wrong
	Do       string // about it
}

// String is one line: what, where, and what to do.
func (p Problem) String() string { return p.Variable + " " + p.What + ": " + p.Do }

// Problems is the error that Load returns: everything that is wrong, at once.
type Problems []Problem

// Error has a line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return "the configuration has problems:\n  " + strings.Join(lines, "\n  ")
}

func (ps *Problems) add(variable, what, do string) {
	*ps = append(*ps, Problem{Variable: variable, What: what, Do: do})
}
