package relay

import (
	"errors"
	"strconv"
	"time"

	"zegorelay/dispatch"
	"zegorelay/relay/rtmp"
)

// failure is the loss in parts, for those who show it.
func (l *loss) failure(at time.Time) *Failure {
	f := &Failure{At: at, Stage: l.stage, Text: l.what + ": " + l.err.Error(), Advice: adviceFor(l.err)}
	var z *dispatch.Error
	var status *rtmp.StatusError
	switch {
	case errors.As(l.err, &z) && z.Code != 0:
		f.Code = strconv.Itoa(z.Code)
	case errors.As(l.err, &status):
		f.Code = status.Code
	}
	return f
}

// adviceFor is what a person can do about a loss; often nothing is needed.
func adviceFor(err error) string {
	var z *dispatch.Error
	switch {
	case errors.As(err, &z):
		return z.Advice()
	case isNameTaken(err):
		return "somebody else publishes this StreamId to ZEGO, or ZEGO still holds our own lost session: that passes by itself within two minutes"
	case errors.Is(err, errStalled):
		return "the node, or the way to it, takes nothing: look at the uplink if this goes on with other nodes"
	default:
		return ""
	}
}

// stageOf is how far the way to a node came. Of several nodes the last counts.
func stageOf(err error) Stage {
	var status *rtmp.StatusError
	switch {
	case errors.As(err, &status) && status.Command == "connect":
		return AtConnect
	case errors.As(err, &status):
		return AtPublish
	case errors.Is(err, rtmp.ErrHandshake):
		return AtHandshake
	case errors.Is(err, rtmp.ErrDial):
		return AtDial
	default:
		return AtConnect
	}
}
