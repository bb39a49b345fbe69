// Package relay keeps every stream flowing: it takes encoders in at a URL that
// never changes and carries each stream to the node that ZEGO names, and to the
// next one when that node is lost.
//
// # One stream, downhill
//
//	Server.Run       accepts connections                                (server.go)
//	Server.publish   one encoder, from its handshake to its end         (encoder.go)
//	Server.admit     may it publish, and as which stream?               (admit.go)
//	Server.wanted    what its URL names (address.go), by the list of keys, if there is one (rules.go)
//	push.sit         it has the stream until it leaves                  (seat.go)
//	seam.take        its messages, on the stream's clock …              (seam.go)
//	backlog.append   … go into the backlog                              (backlog.go)
//	backlog.announce before more is read, those who wait for it learn   (backlog.go)
//	Stream.run       dispatching → connecting → publishing → waiting …  (stream.go)
//	Stream.connect   the first of the nodes to answer has it            (connect.go)
//	uplink.run       backlog → node, if need be …                       (uplink.go)
//	uplink.passOn    … on the encoder's own goroutine, if node and kernel take it at once
//	uplink.watch     what the node has received, and whether it lives   (watch.go)
//
// Stream.run doesn't know which way the media flows: what it needs nodes for is
// its errand. The errand of what encoders publish here is a push (push.go). That of
// what players play here from ZEGO is a pull (pull.go):
//
//	Server.play      one player, of a pull or of a push                 (player.go)
//	pull.join        its stream needs a node from now on                (pull.go)
//	Stream.run       dispatching → connecting → playing → waiting …     (stream.go)
//	pull.carry       node → seam → backlog, without what it repeats     (overlap.go)
//	player.feed      backlog → player                                   (player.go)
//
// The encoder's session and the node's session are two lives, joined by the
// backlog: either may die many times while the other goes on. What an upstream
// session begins with, and where, is the follower's business (follower.go);
// which time its messages bear, the timeline's (timeline.go). What all backlogs
// may hold together is in memory.go. Who sends a file, faster than real time, waits
// for the node: pace.go.
//
// # What operators see and do
//
// Once a second every stream is looked at (observe.go): its health is judged
// (health.go). What is in it, and what is wrong with that, is another question:
// relay/media measures and advises. A Status is all that is known of a stream
// (status.go); what happens is an Event (events.go, news.go). What operators may do is in
// operate.go. Counted for the process: tally.go; why media was given up: drops.go.
// Who guesses keys is slowed down in guesses.go. Whether the server itself is alive is
// for a watchdog to ask (alive.go).
//
// # Restart on air
//
// When another process is to go on (handover.go), Run stops instead of ending:
// connections are paused, between two messages where that can be, all goroutines
// return, and streams lie there as they were. What of them the next process needs is
// written down in keep.go, and read in revive.go and recall.go: nothing else knows of it. The
// data, and how it gets there, is relay/handover.
//
// # Who owns what
//
// A connection's goroutine is started and waited for by Server.Run. It owns the
// encoder's session, and the stream's seam and clock while it has the seat. A
// stream's goroutine is started when its first encoder is let in and waited for
// by Server.Run too; it owns the upstream session and starts two that listen to
// the node and watch it while there is one. While it sleeps the encoder's goroutine
// has the loan of the session (follower.go, deputise). Locks: the server's before a
// stream's, that before the memory's, that before a backlog's; none is held
// during I/O.
package relay
