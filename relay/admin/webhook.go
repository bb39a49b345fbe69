package admin

import (
	"context"

	"github.com/rs/zerolog"

	"zegorelay/relay"
)

type webhook struct{}

func newWebhook(url, secret string, log zerolog.Logger) *webhook      { return nil }
func (w *webhook) run(ctx context.Context, events <-chan relay.Event) {}
