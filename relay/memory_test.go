//go:build !race

package relay_test

import (
	"testing"
	"time"

	"zegorelay/relay"
)

// The race detector multiplies what things weigh: this one runs without it.
func TestE18MemoryOfIdleConnections(t *testing.T) {
	const idle = 2000
	r := newRig(t, setup{tune: func(o *relay.Options) {
		o.MaxConnections = 4 * idle // of which one address gets a quarter
		o.Limits.HandshakeTime = time.Minute
	}})
	before := heap()
	for range idle {
		r.raw()
	}
	r.publish() // comes behind all of them
	// This counts the test's own ends of the connections, too.
	each := (int64(heap()) - int64(before)) / idle
	t.Logf("an idle connection costs %d bytes", each)
	if each > 12<<10 {
		t.Errorf("an idle connection costs %d bytes, at most %d are allowed", each, 12<<10)
	}
}
