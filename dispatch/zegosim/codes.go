package zegosim

import "fmt"

// Return codes that the stand-in answers with, as ZEGO's pages number them.
// The list is its own on purpose: a wrong number in the relay's must show.
const (
	codeOK = 0

	codeNoPushNode   = 1002
	codeNoPullNode   = 1003
	codeBadParameter = 1006
	codeTooOften     = 1010
	codeTooOftenToo  = 30002
	codeBadIsTest    = 30004
	codeBadStreamID  = 30009
	codeBadType      = 30010
	codeBadClientIP  = 30011

	codeBadHost            = 100000000
	codeAppIDMalformed     = 100000001
	codeTimestampMissing   = 100000002
	codeTimestampMalformed = 100000003
	codeExpired            = 100000004
	codeBadSignature       = 100000005
	codeActionMissing      = 100000006
	codeActionUnknown      = 100000007
	codeNonceMissing       = 100000008
	codeSignatureMissing   = 100000009
	codeAppIDUnknown       = 100000010
	codeVersionMissing     = 100000013
	codeVersionUnknown     = 100000014
)

// documented are all return codes on ZEGO's pages for a dispatch and for the
// gateway before it, sorted, and one that is on none.
func documented() []int {
	all := []int{1001, 1002, 1003, 1005, 1006, 1010, 4711, 30002, 30003, 30004, 30005, 30009, 30010, 30011}
	for code := codeBadHost; code <= 100000017; code++ {
		all = append(all, code)
	}
	return all
}

// noCode stands in a Request for an answer that had no Code.
const noCode = -1

// meaning is a code in words: the Message of an answer.
func meaning(code int) string {
	switch code {
	case codeOK:
		return "ok"
	case codeNoPushNode:
		return "push nodes empty"
	case codeNoPullNode:
		return "pull nodes empty"
	case codeBadParameter:
		return "invalid parameter"
	case codeTooOften, codeTooOftenToo:
		return "interface called too often"
	case codeBadIsTest:
		return "parameter isTest wrong"
	case codeBadStreamID:
		return "invalid StreamId"
	case codeBadType:
		return "invalid dispatch action"
	case codeBadClientIP:
		return "invalid client IP address"
	default:
		return gatewayMeaning(code)
	}
}

func gatewayMeaning(code int) string {
	switch code {
	case codeBadHost:
		return "Host header wrong"
	case codeAppIDMalformed:
		return "AppId format wrong"
	case codeTimestampMissing:
		return "Timestamp empty"
	case codeTimestampMalformed:
		return "Timestamp format wrong"
	case codeExpired:
		return "signature expired"
	case codeBadSignature:
		return "signature wrong"
	case codeActionMissing:
		return "Action empty"
	case codeActionUnknown:
		return "Action not supported"
	case codeNonceMissing:
		return "SignatureNonce empty"
	case codeSignatureMissing:
		return "Signature empty"
	case codeAppIDUnknown:
		return "no ServerSecret for this AppId"
	case codeVersionMissing:
		return "SignatureVersion empty"
	case codeVersionUnknown:
		return "SignatureVersion not supported"
	default:
		return fmt.Sprintf("error %d", code)
	}
}

// blames reports whether a code says that the caller did something wrong. A
// caller without fault can meet the others.
func blames(code int) bool {
	switch code {
	case codeOK, codeNoPushNode, codeNoPullNode, codeTooOften, codeTooOftenToo:
		return false
	default:
		return true
	}
}
