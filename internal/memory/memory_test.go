// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	v2Mount    = "30 20 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
	v1Mount    = "35 24 0:30 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
	otherMount = "20 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n" +
		"34 24 0:29 / /sys/fs/cgroup/cpu rw shared:8 - cgroup cgroup rw,cpu,cpuacct\n"
)

func TestGroupLimit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		groups string
		mounts string
		files  map[string]string // below /sys/fs/cgroup
		want   uint64
	}{
		{"v2", "0::/app\n", v2Mount, map[string]string{"app/memory.max": "4096\n"}, 4096},
		{"v2 without a limit", "0::/app\n", v2Mount, map[string]string{"app/memory.max": "max\n"}, Unlimited},
		{"v2, the topmost group", "0::/\n", v2Mount, nil, Unlimited},
		{"v2, the group above has less", "0::/a/b/c\n", v2Mount, map[string]string{
			"a/memory.max": "100\n", "a/b/memory.max": "max\n", "a/b/c/memory.max": "300\n",
		}, 100},
		{"v2, the group itself has less", "0::/a/b\n", v2Mount, map[string]string{
			"a/memory.max": "300\n", "a/b/memory.max": "100\n", "a/b/c/memory.max": "1\n", "z/memory.max": "1\n",
		}, 100},
		{"v2 in a namespace", "0::/\n", v2Mount, map[string]string{"memory.max": "700\n"}, 700},
		{"v2, outside of the namespace", "0::/../other\n", v2Mount, map[string]string{"memory.max": "700\n", "other/memory.max": "1\n"}, 700},
		{
			"v2, only the own group is mounted", "0::/pod/box/in\n",
			"30 20 0:26 /pod/box /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n",
			map[string]string{"memory.max": "800\n", "in/memory.max": "900\n", "pod/box/in/memory.max": "1\n"}, 800,
		},
		{
			"v2, another group's name begins alike", "0::/pod/boxes\n",
			"30 20 0:26 /pod/box /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n",
			map[string]string{"memory.max": "800\n", "es/memory.max": "1\n"}, 800,
		},
		{
			"v2, a path with blanks and colons", "0::/a b:c\n",
			"30 20 0:26 / /sys/fs/cgroup/with\\040blank rw - cgroup2 cgroup2 rw\n",
			map[string]string{"with blank/a b:c/memory.max": "77\n"}, 77,
		},
		{"v2 is not mounted", "0::/app\n", "", nil, Unlimited},
		{"v1", "4:memory:/app\n", v1Mount, map[string]string{
			"memory/app/memory.limit_in_bytes": "5000\n", "memory/app/memory.stat": "cache 1\nhierarchical_memory_limit 5000\n",
		}, 5000},
		{"v1 without a limit", "4:memory:/app\n", v1Mount, map[string]string{
			"memory/app/memory.stat": "hierarchical_memory_limit 9223372036854771712\n",
		}, Unlimited},
		{"v1 without a limit, large pages", "4:memory:/app\n", v1Mount, map[string]string{
			"memory/app/memory.stat": "hierarchical_memory_limit 9223372036854710272\n",
		}, Unlimited},
		{"v1, the group above has less", "4:memory:/a/b\n", v1Mount, map[string]string{
			"memory/a/memory.limit_in_bytes": "100\n", "memory/a/b/memory.limit_in_bytes": "200\n",
			"memory/a/b/memory.stat": "hierarchical_memory_limit 100\nhierarchical_memsw_limit 3\n",
		}, 100},
		{
			"v1 in a container", "4:memory:/docker/1234\n",
			"35 24 0:30 /docker/1234 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			map[string]string{"memory/memory.stat": "hierarchical_memory_limit 600\n"}, 600,
		},
		{"v1 with several controllers", "9:cpu,memory:/app\n", strings.Replace(v1Mount, "rw,memory", "rw,cpu,memory", 1), map[string]string{
			"memory/app/memory.stat": "hierarchical_memory_limit 44\n",
		}, 44},
		{
			"v1 beside an empty v2", "4:memory:/app\n3:cpu:/\n0::/\n",
			v1Mount + "40 24 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			map[string]string{"memory/app/memory.stat": "hierarchical_memory_limit 55\n", "unified/cgroup.procs": ""}, 55,
		},
		{
			"v1 beside v2 that has the memory", "3:cpu:/\n0::/app\n",
			"40 24 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			map[string]string{"unified/app/memory.max": "66\n"}, 66,
		},
		{"none", "", v1Mount + v2Mount, map[string]string{"memory.max": "1\n"}, Unlimited},
		{"other hierarchies only", "3:cpu,cpuacct:/app\n1:name=systemd:/\n", "", nil, Unlimited},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := groupLimit(machine(test.groups, test.mounts, test.files))
			if err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

// machine is a file system as a process sees it that has the given groups.
func machine(groups, mounts string, files map[string]string) fstest.MapFS {
	root := fstest.MapFS{
		"proc/self/cgroup":    {Data: []byte(groups)},
		"proc/self/mountinfo": {Data: []byte(otherMount + mounts)},
	}
	for name, text := range files {
		root["sys/fs/cgroup/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return root
}

func TestGroupLimitWithoutControlGroups(t *testing.T) {
	t.Parallel()
	if got, err := groupLimit(fstest.MapFS{}); got != Unlimited || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
}

func TestGroupLimitThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, root := range map[string]fstest.MapFS{
		"no mounts":  {"proc/self/cgroup": {Data: []byte("0::/\n")}},
		"odd limit":  machine("0::/app\n", v2Mount, map[string]string{"app/memory.max": "much\n"}),
		"odd limit1": machine("4:memory:/app\n", v1Mount, map[string]string{"memory/app/memory.stat": "hierarchical_memory_limit -1\n"}),
	} {
		if got, err := groupLimit(root); got != Unlimited || err == nil {
			t.Errorf("%s: got %d, %v; want an error", name, got, err)
		}
	}
	denied := denying{machine("0::/app\n", v2Mount, nil), "sys/fs/cgroup/app/memory.max"}
	if _, err := groupLimit(denied); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want that permission is denied", err)
	}
}

// denying is a file system with a file that must not be opened.
type denying struct {
	fs.FS
	name string
}

func (d denying) Open(name string) (fs.File, error) {
	if name == d.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return d.FS.Open(name)
}

// The limit of a group counts if it is less than the machine's memory; otherwise the machine's memory counts.
func TestUsable(t *testing.T) {
	t.Parallel()
	whole, err := installed()
	if err != nil {
		t.Fatal(err)
	}
	if whole < 16<<20 || whole > 1<<50 {
		t.Errorf("this machine has %d bytes of memory, it is said", whole)
	}
	for limit, want := range map[string]uint64{"1048576\n": 1 << 20, "max\n": whole, "1152921504606846976\n": whole} {
		got, err := usable(machine("0::/app\n", v2Mount, map[string]string{"app/memory.max": limit}))
		if err != nil || got != want {
			t.Errorf("limit %q: got %d, %v; want %d", limit, got, err, want)
		}
	}
	if got, err := Usable(); err != nil || got == 0 || got > whole {
		t.Errorf("this process: got %d, %v", got, err)
	}
}
