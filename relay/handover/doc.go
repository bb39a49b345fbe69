// Package handover answers: what does the next process need, to go on where this one
// stops?
//
// A State is all of it but the connections themselves: data, without a pointer to
// anything that lives. Rooms that own something which goes on in another process say
// so in a file of their own, state.go. The format, and how it gets there, is here:
//
//	State.Seal    state → a sealed file in memory       (seal.go, records.go)
//	Unseal        … and back, as suspicious as the wire (unseal.go)
//	Socket        which descriptor is meant             (socket.go)
//	Send, Receive many descriptors through a unix socket (pass.go)
//
// It is never written to a disk: the URLs of nodes and the names of streams are in it.
package handover
