package zegosim

// Return codes that the stand-in answers with, as ZEGO's pages number them.
// The list is its own on purpose: a wrong number in the relay's must show.
const (
	codeOK = 0

	codeNoPushNode   = 1002
	codeBadParameter = 1006
	codeTooOften     = 1010
	codeTooOftenToo  = 30002
	codeBadIsTest    = 30004
	codeBadStreamID  = 30009
	codeBadType      = 30010
	codeBadClientIP  = 30011

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
