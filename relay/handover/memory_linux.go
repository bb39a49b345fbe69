package handover

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// seals are what makes a file in memory final. Who maps it needs them: one that is cut
// short under a mapping kills the process that reads.
const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL

const memoryName = "zegorelay-state"

var errNotSealed = errors.New("it is no sealed file in memory")

// newMemory returns an empty file that is in memory only.
func newMemory() (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(memoryName, flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // Linux before 6.3
		fd, err = unix.MemfdCreate(memoryName, flags)
	}
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	return os.NewFile(uintptr(fd), memoryName), nil
}

// sealMemory makes what newMemory returned final.
func sealMemory(f *os.File) error {
	return control(f, func(fd int) error {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
		return err
	})
}

// mapMemory shows what is in a sealed file of at most so many bytes, until release.
//
// It maps rather than reads: nothing is held twice, no offset moves that others share,
// and the seals see to it that what was checked stays as it is.
func mapMemory(f *os.File, most int64) (b []byte, release func(), err error) {
	err = control(f, func(fd int) error {
		has, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
		if err != nil || has&seals != seals {
			return errNotSealed
		}
		var info unix.Stat_t
		if err := unix.Fstat(fd, &info); err != nil {
			return err
		}
		switch {
		case info.Size > most:
			return fmt.Errorf("it has %d bytes, at most %d are taken", info.Size, most)
		case info.Size == 0:
			return nil // which can't be mapped
		}
		// Private, because a kernel before 6.7 takes a shared mapping for one that may
		// be written to later.
		b, err = unix.Mmap(fd, 0, int(info.Size), unix.PROT_READ, unix.MAP_PRIVATE)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return b, func() { _ = unix.Munmap(b) }, nil // fails for what is not mapped only
}

// control runs do with the descriptor of f, which stays as it is: File.Fd would have
// it block.
func control(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		return err
	}
	return failed
}
