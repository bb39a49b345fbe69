// Package zegosim is a local stand-in for ZEGO: the dispatch API and the media
// nodes that it names, on loopback, with the habits and the faults of the real
// ones.
//
// It is a witness. It holds what a client does against ZEGO's documents with a
// signature check and a code table of its own, and shares nothing with the
// relay but the RTMP layer. What a test asserts of it is Violations, which must
// be empty, and an Audit, in which nothing must be missing.
//
// # What ZEGO documents
//
//	the call       GET /?Action=RTMPDispatchV2&…; the older RTMPDispatch answers host:port
//	the signature  lower hex of md5(AppId + SignatureNonce + ServerSecret + Timestamp)
//	the time       at most 600 s from ZEGO's clock, either way
//	the answer     {"Code":0,"Message":"ok","RequestId":"…","Data":["rtmp://node/AppId/StreamId"]}
//	the limit      40 calls a second for an AppID; 1010 or 30002 beyond
//	the node       good for two hours; a dispatch before every push
//	the StreamId   [A-Za-z0-9_-]{1,256}; one publisher in the whole AppID, the later one fails
//
// # What is our strictness
//
// ZEGO doesn't tell in which order it checks, how it counts a second, whether it
// minds a nonce that comes again, or how a node refuses. Here:
//
//   - The checks come in the order of their functions in verify.go: who calls,
//     then the signature, then the dispatch. A query parameter may come once.
//   - The window of the limit slides, and refused calls count, too.
//   - Successive dispatches of a StreamId name different nodes, living ones
//     first, so that a client that keeps an address is found out.
//   - A node takes a stream only if this stand-in named this very node for a
//     push of it, and gives one only if for a pull. A second publish, or play, on
//     one dispatch is a violation unless the API was down or at fault; any number
//     of connects is not.
//   - What is published at one node can be played at all, from the newest keyframe
//     on, in the publisher's own time. Its end is the end of its plays.
//   - A second publisher gets NetStream.Publish.BadName. An unclean end holds
//     the name for Options.Linger, a goodbye frees it at once.
//   - Of the media: metadata and sequence headers before frames, a keyframe
//     first, time that begins below 2 s and doesn't fall, no silence of 30 s.
//
// What ZEGO may let pass and what it would only refuse both end up in
// Violations. Not so the answers that a correct client gets, too: no node, too
// many calls, a name that is taken. An App that is switched off or lacks the
// service (1005, 100000016, 100000017) is an AnswerCode here.
//
// # Reading order
//
// sim.go starts and ends it all. gateway.go is the API over HTTP, verify.go its
// checks, codes.go their names; registry.go is what ZEGO remembers of calls,
// sessions.go what of streams. node.go is a media node's life and death,
// publish.go one publisher's connection to it, check.go the eye on its media,
// record.go its file; channel.go passes that on to play.go, one player's
// connection. faults.go and endings.go are how all of it misbehaves. audit.go stands apart: it holds
// what one encoder sent against what the nodes got of it.
package zegosim
