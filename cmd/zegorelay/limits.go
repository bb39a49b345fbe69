package main

import (
	"io/fs"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/rs/zerolog"

	"zegorelay/config"
)

// What the machine lets the process have.

const (
	// heapGrowth is how much the heap may grow before a collection, in percent. The
	// heap is payloads, which come from a pool and hold no pointers: what becomes
	// garbage is little, collections are rare and cheap, and at Go's own 100 % half
	// of the process would be what was thrown away while streams began.
	heapGrowth = 25

	// cgroupPercent is the part of a cgroup's memory that the process takes: the
	// kernel's buffers of its connections count against it, too.
	cgroupPercent = 90

	// descriptorsBeside is how many descriptors are needed beside connections.
	descriptorsBeside = 64
)

// fitMemory lowers the bound of the process's memory to what its cgroup has: over
// that, the kernel would end it in the middle of an event.
func fitMemory(cfg *config.Config, root fs.FS, log zerolog.Logger) {
	most, ok := cgroupMemory(root)
	if !ok || cfg.Memory <= most/100*cgroupPercent {
		return
	}
	fitting := most / 100 * cgroupPercent
	log.Info().Int64(logMemory, fitting).Int64(logWanted, cfg.Memory).Int64(logCgroup, most).
		Msg("ZEGORELAY_MEMORY is more than the cgroup has: the process is kept smaller")
	cfg.Memory = fitting
}

// cgroupMemory is how many bytes the process's cgroup may have: the least memory.max
// on the way up to the root. It reports false if there is no bound, or no cgroup of
// version 2 (under version 1, and elsewhere than on Linux).
func cgroupMemory(root fs.FS) (most int64, ok bool) {
	list, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(list)) {
		dir, isV2 := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::")
		if !isV2 {
			continue
		}
		// In a container this is / though it isn't the machine's root, and may lead
		// above what can be seen.
		for dir = path.Join("/", dir); ; dir = path.Dir(dir) {
			text, err := fs.ReadFile(root, path.Join("sys/fs/cgroup", dir, "memory.max"))
			if err == nil {
				n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
				if err == nil && (!ok || n < most) { // else it is "max"
					most, ok = n, true
				}
			}
			if dir == "/" {
				return most, ok
			}
		}
	}
	return 0, false
}

// limitMemory has the garbage collector keep the process under most bytes: the
// backlogs take up to five eighths of them, and what they let go of is to be
// used again before the rest is full. Who sets GOMEMLIMIT or GOGC knows better.
func limitMemory(most int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(most / 8 * 7)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}

// neededDescriptors is for as many connections as are allowed: an encoder's and a
// node's for a stream.
func neededDescriptors(cfg *config.Config) uint64 {
	return uint64(cfg.MaxConnections + cfg.MaxStreams + descriptorsBeside)
}

// warnOfDescriptors says at the start what would otherwise be found out when the most
// encoders are there.
func warnOfDescriptors(cfg *config.Config, most uint64, log zerolog.Logger) {
	if needed := neededDescriptors(cfg); most < needed {
		log.Warn().Uint64(logMost, most).Uint64(logNeeded, needed).
			Msg("fewer file descriptors are allowed than ZEGORELAY_MAX_CONNECTIONS and ZEGORELAY_MAX_STREAMS need: " +
				"raise the limit (LimitNOFILE= in the unit, ulimit -Hn), or lower these")
	}
}
