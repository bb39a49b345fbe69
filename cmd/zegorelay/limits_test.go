package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rs/zerolog"

	"zegorelay/config"
)

func machine(files map[string]string) fstest.MapFS {
	root := fstest.MapFS{}
	for name, text := range files {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return root
}

func TestCgroupMemory(t *testing.T) {
	for what, tc := range map[string]struct {
		files map[string]string
		want  int64 // 0: none
	}{
		"a unit with a bound": {map[string]string{
			"proc/self/cgroup": "0::/system.slice/zegorelay.service\n",
			"sys/fs/cgroup/system.slice/zegorelay.service/memory.max": "536870912\n",
			"sys/fs/cgroup/system.slice/memory.max":                   "max\n",
		}, 512 << 20},
		"its slice has less": {map[string]string{
			"proc/self/cgroup":             "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "536870912\n",
			"sys/fs/cgroup/a/memory.max":   "268435456\n",
		}, 256 << 20},
		"a container sees itself as the root": {map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"sys/fs/cgroup/memory.max": "1073741824\n",
		}, 1 << 30},
		"beside version 1": {map[string]string{
			"proc/self/cgroup":           "4:memory:/x\n0::/y\n",
			"sys/fs/cgroup/y/memory.max": "1000000\n",
		}, 1000000},
		"a path above what can be seen": {map[string]string{
			"proc/self/cgroup":         "0::/../../x\n",
			"sys/fs/cgroup/memory.max": "2000000\n",
		}, 2000000},
		"no bound":       {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 0},
		"the real root":  {map[string]string{"proc/self/cgroup": "0::/\n"}, 0},
		"only version 1": {map[string]string{"proc/self/cgroup": "4:memory:/x\n"}, 0},
		"nonsense":       {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "many\n"}, 0},
		"another system": {nil, 0},
	} {
		got, ok := cgroupMemory(machine(tc.files))
		if got != tc.want || ok != (tc.want > 0) {
			t.Errorf("%s: got %d, %t, want %d", what, got, ok, tc.want)
		}
	}
}

func TestMemoryFitsTheCgroup(t *testing.T) {
	root := machine(map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "100000000\n"})
	for memory, want := range map[int64]int64{
		1 << 30:  90_000_000,
		95 << 20: 90_000_000,
		80 << 20: 80 << 20,
	} {
		var said bytes.Buffer
		cfg := &config.Config{Memory: memory}
		fitMemory(cfg, root, zerolog.New(&said))
		if cfg.Memory != want {
			t.Errorf("%d bytes became %d, want %d", memory, cfg.Memory, want)
		}
		if told := strings.Contains(said.String(), "kept smaller"); told != (want < memory) {
			t.Errorf("%d bytes: the log says %q", memory, said.String())
		}
	}
}

func TestFewDescriptorsAreWarnedOf(t *testing.T) {
	cfg := &config.Config{MaxConnections: 4000, MaxStreams: 1000}
	for most, want := range map[uint64]bool{1024: true, 5000: true, 5064: false, 1 << 20: false} {
		var said bytes.Buffer
		warnOfDescriptors(cfg, most, zerolog.New(&said))
		if told := strings.Contains(said.String(), `"level":"warn"`); told != want {
			t.Errorf("%d descriptors: the log says %q", most, said.String())
		}
	}
}
