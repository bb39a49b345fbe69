package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"zegorelay/config"
)

type doctorCommand struct {
	StreamID string        `arg:"" optional:"" name:"stream-id" default:"zegorelay-doctor" help:"StreamId to ask a node for."`
	JSON     bool          `name:"json" help:"Print JSON."`
	Publish  time.Duration `placeholder:"5s" help:"Send the test card to the node for so long. Without it nothing is published."`
}

// grade is how a finding is.
type grade string

const (
	fine    grade = "ok"
	warning grade = "warning"
	failure grade = "failure"
)

// finding is one line of the report: what was looked at, how it is, and if that
// is not well, what to do next.
type finding struct {
	Check string `json:"check"`
	Grade grade  `json:"grade"`
	Says  string `json:"says"`
	Next  string `json:"next,omitempty"`
}

var errFindings = errors.New("something is wrong: see the failures above")

// Run looks at everything between an encoder and ZEGO that can be looked at
// beforehand.
func (c doctorCommand) Run(ctx context.Context, t terminal) error {
	x := &examination{streamID: c.StreamID, publishFor: c.Publish}
	if !c.JSON {
		x.tell = func(f finding) { f.print(t.out) }
	}
	err := x.run(ctx)
	if c.JSON {
		if err := writeJSON(t.out, x.findings); err != nil {
			return err
		}
	}
	isFailure := func(f finding) bool { return f.Grade == failure }
	switch {
	case err != nil:
		return err
	case slices.ContainsFunc(x.findings, isFailure):
		return errFindings
	default:
		return nil
	}
}

func (f finding) print(w io.Writer) {
	fmt.Fprintf(w, "%-8s %-15s %s\n", f.Grade, f.Check, f.Says)
	if f.Next != "" {
		fmt.Fprintf(w, "%-8s %-15s → %s\n", "", "", f.Next)
	}
}

// examination is a run of all checks. A check that makes no sense after an
// earlier one has failed is left out.
type examination struct {
	streamID   string
	publishFor time.Duration
	tell       func(finding) // as they come; nil: nobody

	findings []finding
}

func (x *examination) note(check string, g grade, next, says string, args ...any) {
	f := finding{Check: check, Grade: g, Says: fmt.Sprintf(says, args...), Next: next}
	x.findings = append(x.findings, f)
	if x.tell != nil {
		x.tell(f)
	}
}

// run blocks until the last check. Its error is that of the configuration.
func (x *examination) run(ctx context.Context) error {
	cfg, err := config.Load()
	var problems config.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			x.note("configuration", failure, p.Do, "%s %s", p.Variable, p.What)
		}
		return err
	}
	if err != nil {
		return err
	}
	x.note("configuration", fine, "", "AppID %d", cfg.AppID)
	x.ports(ctx, cfg)
	x.certificate(cfg)
	x.descriptors(cfg)
	x.hardening()
	if !x.endpoints(ctx, cfg) {
		return nil
	}
	zego := newZego(cfg, func(string) {})
	nodes, ok := x.dispatch(ctx, zego)
	x.clock(zego)
	if !ok {
		return nil
	}
	x.nodes(ctx, cfg, nodes)
	return nil
}
