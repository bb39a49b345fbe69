package relay

import "zegorelay/dispatch"

// Direction is dispatch's, for those who look at streams and have nothing to do with
// how nodes are found.
type Direction = dispatch.Direction

// Push streams go to ZEGO's nodes, Pull streams come from them.
const (
	Push = dispatch.Push
	Pull = dispatch.Pull
)
