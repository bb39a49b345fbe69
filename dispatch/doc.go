// Package dispatch asks ZEGO which node a stream goes to.
//
// Zego.Dispatch is one question: a signed HTTPS call, RTMPDispatchV2, whose
// answer is a list of nodes that are good for two hours. What can go wrong ends
// in an *Error with a Verdict, which says what to do next and by whom:
//
//	again        back off, ask again: network, HTTP 5xx, broken answers, no node
//	throttled    slow down, then ask again
//	operator     a person must mend the account or the configuration
//	this stream  ZEGO will never take this StreamId
//
// The table of ZEGO's return codes is in codes.go. How a call is signed is in
// sign.go, what of an answer is believed in answer.go and node.go, which
// addresses may be dialled in policy.go, and how other people's words are made
// fit for a log in scrub.go.
//
// The server secret, a signature or a signed URL never leaves this package: not
// in an error, not in a log line, not in a type that can be printed.
package dispatch
