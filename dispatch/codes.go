package dispatch

import "slices"

// Code is one of ZEGO's return codes: what it means, and what we make of it.
type Code struct {
	Number  int
	Meaning string
	Verdict Verdict
	Advice  string // one sentence for the operator
}

const (
	adviceSupport  = "ask ZEGO's support, and give them the RequestId"
	adviceReport   = "this is a bug of zegorelay: please report it with the RequestId"
	adviceWaits    = "nothing to do: it is tried again"
	adviceRate     = "lower ZEGORELAY_DISPATCH_RATE: the limit holds for all who use this AppID"
	adviceAppID    = "check ZEGORELAY_APP_ID against ZEGO's console"
	adviceEnabled  = "ask ZEGO's support to enable RTMP dispatch for this AppID"
	adviceProject  = "ask ZEGO's support whether this project has its own test environment"
	adviceEndpoint = "check ZEGORELAY_API_URL and the proxy in front of it"
)

// Codes returns every code that ZEGO documents for a dispatch and for the
// gateway before it, sorted by number.
func Codes() []Code {
	return []Code{
		{1001, "the dispatch failed", Again, adviceEnabled + ", if it goes on"},
		{1002, "there is no push node", Again, adviceEnabled + ", if it goes on"},
		{1003, "there is no pull node", Again, "check that the stream is being published; if it is, " + adviceSupport},
		{1005, "the App is not online", Operator, adviceEnabled},
		{1006, "a parameter is invalid", ThisStream, adviceReport},
		{1010, "asked too often", Throttled, adviceRate},
		{30002, "asked too often", Throttled, adviceRate},
		{30003, "internal error", Again, adviceWaits},
		{30004, "isTest is wrong", Operator, adviceProject},
		{30005, "the AppID is invalid", Operator, adviceAppID},
		{30009, "the StreamId is invalid", ThisStream, "use letters, digits, - and _ only"},
		{30010, "the dispatch type is invalid", ThisStream, adviceReport},
		{30011, "the client IP is invalid", Operator, "set ZEGORELAY_CLIENT_IP to this site's public IPv4 address, or not at all"},
		{100000000, "the gateway doesn't know the host name", Operator, adviceEndpoint},
		{100000001, "the AppID is malformed", Operator, adviceAppID},
		{100000002, "the timestamp is missing", Operator, adviceReport},
		{100000003, "the timestamp is malformed", Operator, adviceReport},
		{100000004, "the signature has expired", Operator, "set this machine's clock: it is off by more than 10 minutes"},
		{100000005, "the signature is wrong", Operator,
			"check that ZEGORELAY_SERVER_SECRET belongs to ZEGORELAY_APP_ID"},
		{100000006, "the action is missing", Operator, adviceReport},
		{100000007, "the action is not supported", Operator, adviceEndpoint},
		{100000008, "the nonce is missing", Operator, adviceReport},
		{100000009, "the signature is missing", Operator, adviceReport},
		{100000010, "there is no server secret for this AppID", Operator, adviceAppID},
		{100000011, "there is no configuration for this AppID", Operator, adviceAppID + ", then ask ZEGO's support"},
		{100000012, "the gateway could not read the request", Again, adviceWaits},
		{100000013, "the signature version is missing", Operator, adviceReport},
		{100000014, "the signature version is not supported", Operator, adviceReport},
		{100000015, "internal error of the gateway", Again, adviceWaits},
		{100000016, "the App has no production environment", Operator, adviceProject},
		{100000017, "the App has not enabled this service", Operator, adviceEnabled},
	}
}

// Lookup finds a code by its number.
func Lookup(number int) (Code, bool) {
	codes := Codes()
	i := slices.IndexFunc(codes, func(c Code) bool { return c.Number == number })
	if i < 0 {
		return Code{}, false
	}
	return codes[i], true
}

// Codes that can be mended here, once.
const (
	codeExpired  = 100000004
	codeClientIP = 30011
)

// noNode is the code that an answer without any node amounts to.
const noNode = 1002

// isGatewayTrouble reports whether another endpoint may know better. The codes
// of the service itself are the same everywhere.
func isGatewayTrouble(code int) bool { return code == 100000000 || code == 100000015 }
