package dispatch

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Direction is what nodes are asked for.
type Direction string

// Push asks for nodes to publish to, Pull for nodes to play from.
const (
	Push Direction = "push"
	Pull Direction = "pull"
)

// Request is what a dispatch is asked for.
type Request struct {
	StreamID  string // without the prefix of the test environment
	Direction Direction
	Urgency   Urgency
}

// Action is ZEGO's name for the call.
type Action string

// V2 answers with URLs, V1 with addresses.
const (
	V2 Action = "RTMPDispatchV2"
	V1 Action = "RTMPDispatch"
)

// Environment says which of a project's two environments a call is for.
type Environment int

// Projects since November 2021 have only one: for them nothing is said.
const (
	Unsaid Environment = iota
	Production
	Test
)

// maxStreamID is ZEGO's bound, prefix included.
const maxStreamID = 255

// sentID is the StreamId as it goes over the wire. In the test environment ZEGO
// finds a stream only by a prefix, which SDKs have put there already.
func (o *Options) sentID(id string) (string, error) {
	if o.Environment == Test {
		prefix := fmt.Sprintf("zegotest-%d-", o.Signer.appID)
		if !strings.HasPrefix(id, prefix) {
			id = prefix + id
		}
	}
	if len(id) > maxStreamID {
		return "", fmt.Errorf("the StreamId has %d characters as it is sent, at most %d are allowed", len(id), maxStreamID)
	}
	return id, nil
}

// query is the signed query of a call.
func (z *Zego) query(signer *Signer, sentID string, d Direction) url.Values {
	query := signer.query(string(z.o.Action), z.clock.time().Unix())
	query.Set("StreamId", sentID)
	query.Set("Type", string(d))
	query.Set("Sequence", strconv.FormatInt(z.nextSequence(), 10))
	switch z.o.Environment {
	case Production:
		query.Set("IsTest", "false")
	case Test:
		query.Set("IsTest", "true")
	}
	if ip := z.clientIP(); ip.IsValid() {
		query.Set("ClientIP", ip.String())
	}
	return query
}

// nextSequence is the time in milliseconds, and always more than the last one:
// ZEGO reconciles by it.
func (z *Zego) nextSequence() int64 {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.sequence = max(z.sequence+1, z.o.Now().UnixMilli())
	return z.sequence
}

func (z *Zego) clientIP() netip.Addr {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.clientIPRefused {
		return netip.Addr{}
	}
	return z.o.ClientIP
}

// dropClientIP goes on without the address that ZEGO has refused. It reports
// false if none was sent.
func (z *Zego) dropClientIP() bool {
	z.mu.Lock()
	if z.clientIPRefused || !z.o.ClientIP.IsValid() {
		z.mu.Unlock()
		return false
	}
	z.clientIPRefused = true
	z.mu.Unlock()
	z.o.Warn("ZEGO refuses ZEGORELAY_CLIENT_IP: it is left out from now on; set it to this site's public IPv4 address, or not at all")
	return true
}
