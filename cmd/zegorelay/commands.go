package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"zegorelay/config"
)

type configCommands struct {
	Check configCheckCommand `cmd:"" help:"Name every problem of the configuration at once; exit 78 if there is one."`
	Print configPrintCommand `cmd:"" help:"Print the values in force, secrets masked."`
}

type configCheckCommand struct{}

// Run says whether the configuration is good.
func (configCheckCommand) Run(t terminal) error {
	if _, err := config.Load(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(t.out, "the configuration is good")
	return err
}

type configPrintCommand struct{}

// Run prints the configuration.
func (configPrintCommand) Run(t terminal) error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	return cfg.Print(t.out)
}

// healthcheckTimeout is how long a healthy relay may take to say so.
const healthcheckTimeout = 3 * time.Second

type healthcheckCommand struct{}

// Run asks the relay with this configuration whether it is ready.
func (healthcheckCommand) Run(ctx context.Context) error {
	cfg, err := config.Load()
	if err != nil {
		return err
	}
	if cfg.HTTPListen == "" {
		return fmt.Errorf("ZEGORELAY_HTTP_LISTEN is off: nothing to ask")
	}
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+cfg.HTTPListen+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: HTTP %s", resp.Status)
	}
	return nil
}
