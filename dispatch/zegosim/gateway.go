package zegosim

import (
	"crypto/md5"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxSkew is how far a timestamp may be from ZEGO's clock; this much passes.
const maxSkew = 600

// gateway is ZEGO's API: the checks of its gateway, then those of the dispatch
// service behind it.
type gateway struct {
	sim *Sim
	id  *regexp.Regexp
	hex *regexp.Regexp
}

func newGateway(s *Sim) *gateway {
	return &gateway{
		sim: s,
		id:  regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`),
		hex: regexp.MustCompile(`^[0-9a-f]{16}$`),
	}
}

func (g *gateway) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", g.serve)
	mux.HandleFunc("GET /_emu/streams", show(g.sim.Sessions))
	mux.HandleFunc("GET /_emu/requests", show(g.sim.Requests))
	mux.HandleFunc("GET /_emu/violations", show(g.sim.Violations))
	return mux
}

// show serves a list as JSON.
func show[T any](list func() []T) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list())
	}
}

// envelope is the frame of every answer, good or bad.
type envelope struct {
	Code      int    `json:"Code"`
	Message   string `json:"Message"`
	RequestID string `json:"RequestId"`
	Data      any    `json:"Data"`
}

func (g *gateway) serve(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	sequence, _ := strconv.ParseInt(q.Get("Sequence"), 10, 64)
	call := Request{
		At: time.Now(), StreamID: q.Get("StreamId"), Type: q.Get("Type"),
		Nonce: q.Get("SignatureNonce"), Sequence: sequence,
	}
	if fault := g.sim.registry.currentFault(); fault != nil {
		call.Code = -1
		g.sim.registry.note(call)
		fault.serve(g, w, r)
		return
	}
	var urls []string
	call.Code = g.checkGateway(q)
	if call.Code == codeOK {
		call.Code, urls = g.dispatch(q)
	}
	g.sim.registry.note(call)
	if call.Code != codeOK {
		g.answer(w, call.Code, nil)
		return
	}
	g.answer(w, codeOK, urls)
}

// answer writes an envelope; a failure's Data is null.
func (g *gateway) answer(w http.ResponseWriter, code int, data any) {
	message := "ok"
	if code != codeOK {
		message = fmt.Sprintf("error %d", code)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(envelope{
		Code: code, Message: message, Data: data,
		// Larger than 2^53: a number for a client that takes it as a string.
		RequestID: strconv.FormatUint(1<<62+rand.Uint64N(1<<62), 10),
	})
}

// checkGateway is what comes before any service: who calls, and when.
func (g *gateway) checkGateway(q url.Values) int {
	appID, err := strconv.ParseUint(q.Get("AppId"), 10, 32)
	seconds, timeErr := strconv.ParseInt(q.Get("Timestamp"), 10, 64)
	switch {
	case q.Get("Action") == "":
		return codeActionMissing
	case q.Get("Action") != "RTMPDispatchV2":
		return codeActionUnknown
	case err != nil:
		return codeAppIDMalformed
	case q.Get("Timestamp") == "":
		return codeTimestampMissing
	case timeErr != nil:
		return codeTimestampMalformed
	case q.Get("SignatureNonce") == "":
		return codeNonceMissing
	case q.Get("Signature") == "":
		return codeSignatureMissing
	case q.Get("SignatureVersion") == "":
		return codeVersionMissing
	case q.Get("SignatureVersion") != "2.0":
		return codeVersionUnknown
	case uint32(appID) != g.sim.o.AppID:
		return codeAppIDUnknown
	}
	if skew := g.sim.o.Now().Unix() - seconds; skew > maxSkew || skew < -maxSkew {
		return codeExpired
	}
	if q.Get("Signature") != g.signature(q) {
		return codeBadSignature
	}
	if !g.hex.MatchString(q.Get("SignatureNonce")) {
		g.sim.registry.violate("the nonce is not 16 hex digits")
	}
	for name, values := range q {
		if len(values) > 1 {
			g.sim.registry.violate("parameter %s was sent %d times", name, len(values))
			return codeBadParameter
		}
	}
	return codeOK
}

// signature is what the caller's should be, from the very words that it sent.
func (g *gateway) signature(q url.Values) string {
	text := q.Get("AppId") + q.Get("SignatureNonce") + g.sim.o.Secret + q.Get("Timestamp")
	return fmt.Sprintf("%x", md5.Sum([]byte(text)))
}

// dispatch is the service: it names a node.
func (g *gateway) dispatch(q url.Values) (code int, urls []string) {
	if code, over := g.sim.registry.overLimit(time.Now()); over {
		return code, nil
	}
	isTest := strings.ToLower(q.Get("IsTest"))
	id := q.Get("StreamId")
	prefix := fmt.Sprintf("zegotest-%d-", g.sim.o.AppID)
	_, sequenceErr := strconv.ParseInt(q.Get("Sequence"), 10, 64)
	switch {
	case q.Has("IsTest") && isTest != "true" && isTest != "false":
		return codeBadIsTest, nil
	case !g.id.MatchString(id):
		return codeBadStreamID, nil
	case isTest == "true" && (!strings.HasPrefix(id, prefix) || id == prefix):
		return codeBadStreamID, nil
	case q.Get("Type") != "push" && q.Get("Type") != "pull":
		return codeBadType, nil
	case q.Has("ClientIP") && !isIPv4(q.Get("ClientIP")):
		return codeBadClientIP, nil
	case sequenceErr != nil:
		return codeBadParameter, nil
	}
	node, ok := g.sim.registry.assign(id, g.sim.nodes)
	if !ok {
		return codeNoPushNode, nil
	}
	return codeOK, []string{g.nodeURL(node.addr, id)}
}

func (g *gateway) nodeURL(addr, streamID string) string {
	return fmt.Sprintf("rtmp://%s/%d/%s", addr, g.sim.o.AppID, streamID)
}

func isIPv4(s string) bool {
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is4()
}
