// Package media answers: what is in a stream, and is it as it should be?
//
// It looks at the headers of messages, and keeps no message; it carries nothing, knows
// no node and starts no goroutine. Who has a stream feeds it:
//
//	Meter.Note     each message, as it comes: it is counted     (meter.go)
//	Meter.Look     once a second: rates are taken …             (meter.go, rate.go)
//	Meter.Figures  … and are told, with what the tracks are     (figures.go)
//	Advisor.Look   once a second: what has begun to be wrong,
//	               and what is over? A person is told once …    (advice.go)
//	detectors      … of what one kind of trouble looks like     (detect.go)
//
// An Advice says what is wrong and what to change, in words for who runs the encoder.
// It depends on the figures and on a Condition: how the stream goes on from here.
// What the next process takes over is in state.go.
package media
