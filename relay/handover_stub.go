package relay

import "zegorelay/relay/handover"

// HandOver ends Run as the end of its context would, but so that another process, or
// another Server, can go on with what is there: connections stay open, and nobody on
// their far sides learns of it. It doesn't wait for Run. What can't be handed over,
// RTMPS above all, ends in order before that.
func (s *Server) HandOver() {}

// Kept is what Run has left after HandOver: the caller owns it. It is nil after any
// other end. Listeners are not in it: they are the caller's.
func (s *Server) Kept() *handover.Bundle { return nil }

// GoOn has Run begin with the streams of a bundle, from which their connections are
// taken out. It blocks until they are in the table, is called once, before Run, and
// never fails: a stream that can't go on is logged and left out, its connections
// closed.
func (s *Server) GoOn(b *handover.Bundle) {}
