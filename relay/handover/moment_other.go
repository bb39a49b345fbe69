//go:build !linux

package handover

import "time"

// now is the wall clock: Go doesn't tell where its own monotonic one began, which is
// another moment in every process. Nothing is handed over here anyway.
func now() Moment { return Moment(time.Now().UnixNano()) }
