//go:build !linux

package handover

import (
	"errors"
	"os"
)

func newMemory() (*os.File, error) { return nil, errors.ErrUnsupported }

func sealMemory(*os.File) error { return errors.ErrUnsupported }

func mapMemory(*os.File, int64) (b []byte, release func(), err error) {
	return nil, nil, errors.ErrUnsupported
}
