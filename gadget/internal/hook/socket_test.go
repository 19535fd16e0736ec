// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"slices"
	"strings"
	"testing"
)

const someMounts = `22 27 0:21 / /proc rw,relatime - proc proc rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
37 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
38 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
39 31 0:38 /user.slice /mnt/part rw,relatime - cgroup2 cgroup2 rw
40 31 0:38 / /mnt/with\040space\134 rw - cgroup2 none rw
41 31 0:38 / /mnt/cgroup2 rw - ext4 cgroup2 rw
nonsense - cgroup2
`

func TestCgroupMounts(t *testing.T) {
	t.Parallel()
	got, err := cgroupMounts(strings.NewReader(someMounts))
	if want := []string{"/sys/fs/cgroup/unified", "/mnt/part", `/mnt/with space\`}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for text, want := range map[string]string{`\`: `\`, `a\04`: `a\04`, `\999b`: `\999b`, `\011\012`: "\t\n", `\777`: `\777`} {
		if got := unescapeMount(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzCgroupMounts(f *testing.F) {
	f.Add(someMounts)
	f.Add(`1 2 3 / \0` + "\n" + `1 2 3 / \ - cgroup2`)
	f.Fuzz(func(t *testing.T, text string) {
		points, err := cgroupMounts(strings.NewReader(text))
		for _, p := range points {
			if p == "" && err == nil {
				t.Errorf("%q: a mount without a place", text)
			}
		}
	})
}
