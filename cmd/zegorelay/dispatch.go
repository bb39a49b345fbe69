package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"zegorelay/config"
	"zegorelay/dispatch"
)

type dispatchCommand struct {
	StreamID string `arg:"" name:"stream-id" help:"ZEGO StreamId to ask for."`
	Type     string `enum:"push,pull" default:"push" help:"What the node is for: push or pull."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// dispatched is what one call brought, for people and for machines. Nodes are
// whole URLs: this command is asked for them.
type dispatched struct {
	Nodes     []string `json:"nodes,omitempty"`
	RequestID string   `json:"request_id,omitempty"`
	TookMS    int64    `json:"took_ms"`
	SkewS     *float64 `json:"clock_ahead_s,omitempty"`

	Code    int    `json:"code,omitempty"`
	Verdict string `json:"verdict,omitempty"`
	Error   string `json:"error,omitempty"`
	Advice  string `json:"advice,omitempty"`
}

var errNoNode = errors.New("ZEGO named no node")

// Run makes one signed call.
func (c dispatchCommand) Run(ctx context.Context, t terminal) error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	zego := newZego(cfg, func(sentence string) { fmt.Fprintln(t.err, "zegorelay:", sentence) })
	result, err := ask(ctx, zego, dispatch.Request{StreamID: c.StreamID, Direction: dispatch.Direction(c.Type)})
	if c.JSON {
		if err := writeJSON(t.out, result); err != nil {
			return err
		}
	} else {
		result.print(t.out)
	}
	if err != nil {
		return errNoNode
	}
	return nil
}

// ask makes one call and notes what it brought.
func ask(ctx context.Context, zego *dispatch.Zego, r dispatch.Request) (dispatched, error) {
	r.Urgency = dispatch.Other
	answer, err := zego.Dispatch(ctx, r)
	d := dispatched{RequestID: answer.RequestID, TookMS: answer.Took.Milliseconds()}
	if skew, ok := zego.Skew(); ok {
		seconds := skew.Seconds()
		d.SkewS = &seconds
	}
	for _, n := range answer.Nodes {
		d.Nodes = append(d.Nodes, n.URL())
	}
	var z *dispatch.Error
	if errors.As(err, &z) {
		d.Code, d.Verdict, d.RequestID = z.Code, z.Verdict.String(), z.RequestID
		d.Error, d.Advice = z.Error(), z.Advice()
	}
	return d, err
}

func (d dispatched) print(w io.Writer) {
	for _, n := range d.Nodes {
		fmt.Fprintln(w, n)
	}
	if d.Error != "" {
		fmt.Fprintf(w, "%s\n%s\n", d.Error, d.Advice)
	} else {
		fmt.Fprintf(w, "RequestId %s, after %v\n", d.RequestID, time.Duration(d.TookMS)*time.Millisecond)
	}
	if d.SkewS != nil {
		fmt.Fprintf(w, "this machine's clock is %+.0f s off ZEGO's\n", *d.SkewS)
	}
}

func writeJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(value)
}
