// Package relay keeps every stream flowing: it takes encoders in at a URL that
// never changes and carries each stream to the node that ZEGO names, and to the
// next one when that node is lost.
//
// # One stream, downhill
//
//	Server.Run       accepts connections                                (server.go)
//	Server.handle    one encoder, from its handshake to its end         (encoder.go)
//	Server.admit     may it publish, and as which stream?               (admit.go)
//	Stream.append    its messages go into the backlog                   (backlog.go)
//	Stream.run       dispatching → connecting → publishing → waiting …  (stream.go)
//	uplink.run       backlog → node, and what the node has received     (uplink.go)
//
// The encoder's session and the node's session are two lives, joined by the
// backlog: one may die many times while the other goes on. What an upstream
// session begins with, and where, is the follower's business (follower.go);
// which time its messages bear, the timeline's (timeline.go).
//
// # Who owns what
//
// A connection's goroutine is started and waited for by Server.Run. It owns the
// encoder's session. A stream's goroutine is started when its encoder is let
// in and waited for by Server.Run too; it owns the upstream session and starts
// one goroutine that listens to the node while there is one. Locks: the
// server's before a stream's before a backlog's, none held during I/O.
package relay
