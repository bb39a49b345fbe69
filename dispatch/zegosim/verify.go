package zegosim

import (
	"crypto/md5"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxSkew is how far a timestamp may be from ZEGO's clock, in seconds; this
	// much passes.
	maxSkew = 600

	typePush = "push"
	typePull = "pull"
)

// verify is every check of a call, in this order. It returns a code and what it
// means here.
func (c *call) verify() (code int, why string) {
	if hosts := c.g.sim.o.Hosts; len(hosts) > 0 && !slices.Contains(hosts, c.r.Host) {
		return codeBadHost, fmt.Sprintf("Host is %q", c.r.Host)
	}
	if code := c.verifyParameters(); code != codeOK {
		return code, meaning(code)
	}
	if code := c.verifySignature(); code != codeOK {
		return code, meaning(code)
	}
	if name, twice := c.duplicate(); twice {
		return codeBadParameter, fmt.Sprintf("parameter %s came more than once", name)
	}
	if code, over := c.g.sim.registry.overLimit(); over {
		return code, meaning(code)
	}
	code = c.verifyDispatch()
	if code == codeOK {
		c.frown()
	}
	return code, meaning(code)
}

// verifyParameters is what ZEGO's gateway asks of every call, whatever its
// service.
func (c *call) verifyParameters() int {
	q := c.q
	_, appIDErr := strconv.ParseUint(q.Get("AppId"), 10, 32)
	_, timeErr := strconv.ParseInt(q.Get("Timestamp"), 10, 64)
	switch {
	case q.Get("Action") == "":
		return codeActionMissing
	case q.Get("Action") != actionDispatchV2 && q.Get("Action") != actionDispatch:
		return codeActionUnknown
	case appIDErr != nil:
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
	default:
		return codeOK
	}
}

// verifySignature says whether the caller is who it says, and now. It is called
// with parameters that are well-formed.
func (c *call) verifySignature() int {
	o, q := c.g.sim.o, c.q
	appID, _ := strconv.ParseUint(q.Get("AppId"), 10, 32)
	if uint32(appID) != o.AppID {
		return codeAppIDUnknown
	}
	seconds, _ := strconv.ParseInt(q.Get("Timestamp"), 10, 64)
	if now := o.Now().Unix(); seconds > now+maxSkew || seconds < now-maxSkew {
		return codeExpired
	}
	if q.Get("Signature") != signature(q, o.Secret) {
		return codeBadSignature
	}
	nonce := q.Get("SignatureNonce")
	if !c.g.nonce.MatchString(nonce) {
		c.g.sim.registry.violate("nonce %q is not 16 lower-case hex digits", nonce)
	}
	c.g.sim.registry.noteNonce(nonce)
	return codeOK
}

// signature is what the caller's should be, from the very words that it sent.
func signature(q url.Values, secret string) string {
	text := q.Get("AppId") + q.Get("SignatureNonce") + secret + q.Get("Timestamp")
	return fmt.Sprintf("%x", md5.Sum([]byte(text)))
}

// duplicate finds a parameter that came more than once: two readers of such a
// query may read different things.
func (c *call) duplicate() (name string, twice bool) {
	for _, name := range slices.Sorted(maps.Keys(c.q)) {
		if len(c.q[name]) > 1 {
			return name, true
		}
	}
	return "", false
}

// verifyDispatch is what the dispatch service asks.
func (c *call) verifyDispatch() int {
	q := c.q
	isTest := strings.ToLower(q.Get("IsTest"))
	id := q.Get("StreamId")
	_, sequenceErr := strconv.ParseInt(q.Get("Sequence"), 10, 64)
	switch {
	case q.Has("IsTest") && isTest != "true" && isTest != "false":
		return codeBadIsTest
	case !c.g.streamID.MatchString(id):
		return codeBadStreamID
	case isTest == "true" && (!strings.HasPrefix(id, c.testPrefix()) || id == c.testPrefix()):
		return codeBadStreamID
	case q.Get("Type") != typePush && q.Get("Type") != typePull:
		return codeBadType
	case q.Has("ClientIP") && !isIPv4(q.Get("ClientIP")):
		return codeBadClientIP
	case sequenceErr != nil:
		return codeBadParameter
	default:
		return codeOK
	}
}

// testPrefix is what the StreamIds of ZEGO's test environment begin with.
func (c *call) testPrefix() string { return fmt.Sprintf("zegotest-%d-", c.g.sim.o.AppID) }

// frown notes what is odd about a call that is good by every documented rule.
func (c *call) frown() {
	r, id := c.g.sim.registry, c.q.Get("StreamId")
	if !strings.EqualFold(c.q.Get("IsTest"), "true") && strings.HasPrefix(id, c.testPrefix()) {
		r.violate("dispatch of %q: the prefix of the test environment without IsTest", id)
	}
	if text := c.q.Get("ClientIP"); text != "" && !isPublic(text) {
		r.violate("dispatch of %q: ClientIP %s is not public", id, text)
	}
	sequence, _ := strconv.ParseInt(c.q.Get("Sequence"), 10, 64)
	r.noteSequence(id, sequence)
}

// isIPv4 takes dotted quads only: no IPv6, no port, no leading zeros.
func isIPv4(text string) bool {
	addr, err := netip.ParseAddr(text)
	return err == nil && addr.Is4()
}

func isPublic(text string) bool {
	addr, err := netip.ParseAddr(text)
	return err == nil && addr.IsGlobalUnicast() && !addr.IsPrivate()
}
