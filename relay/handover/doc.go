// Package handover answers: what does the next process need, to go on where this one
// stops?
//
// A State is all of it but the connections themselves: data, without a pointer to
// anything that lives. Rooms that own something which goes on in another process say
// so in a file of their own, state.go. The format, and how it gets there, is here:
//
//	State.Seal     state → a sealed file in memory …        (seal.go, records.go, memory_linux.go)
//	Unseal         … and back, as suspicious as the wire    (unseal.go)
//	Stream.check   what the code behind could stumble over  (check.go, check_backlog.go, check_session.go)
//	Socket         which descriptor is meant                (socket.go)
//	Send, Receive  many descriptors through a unix socket   (pass.go)
//	Pack, Unpack   many descriptors in one, which is kept   (pack.go)
//	Moment         a clock that all processes share         (moment.go)
//
// All of that is Linux's; elsewhere its errors match errors.ErrUnsupported.
//
// A state is never written to a file on a disk, though its pages may be swapped out, nor to
// a log: the keys that encoders know and the URLs of nodes are in it. Errors quote StreamIds
// only, and field names that are nobody's.
package handover
