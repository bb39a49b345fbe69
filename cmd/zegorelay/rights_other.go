//go:build !unix

package main

import (
	"errors"
	"os"
	"time"
)

func (m *serviceManager) sendFiles([]byte, []*os.File, time.Time) error { return errors.ErrUnsupported }
