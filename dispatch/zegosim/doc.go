// Package zegosim is a local stand-in for ZEGO: the dispatch API and the media
// nodes it names, on loopback, with the habits and the faults of the real ones.
//
// It is a witness: it holds what a client does against ZEGO's documents with a
// signature check and a code table of its own, and shares only the RTMP layer
// with the relay.
//
// # What ZEGO documents
//
// The parameters and their forms, the signature, the clock skew of 600 s, the
// limit of 40 calls a second for an AppID, the codes, the two hours for which a
// node is good, one publisher for a StreamId, the shape of an answer.
//
// # What is stricter here
//
// The order of the checks. A second use of a query parameter or a nonce. A
// media node takes a stream only if this stand-in named this very node for it.
// The media itself: headers before frames, a keyframe first, time that begins
// near zero and doesn't fall. All of these end up in Violations.
//
// # Rooms
//
// sim.go starts and ends it all, gateway.go and codes.go are the API, registry.go
// is what both sides know of streams, node.go takes them in, check.go looks at
// what arrives, faults.go is how it misbehaves. audit.go stands apart: it holds
// what one encoder sent against what the nodes got of it.
package zegosim
