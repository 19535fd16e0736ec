// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package heap

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

const regions = `00400000-00500000 r-xp 00000000 fe:00 11                                 /opt/a gizmo
Size:               1024 kB
Rss:                 900 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
00500000-00600000 r--p 00100000 fe:00 11                                 /opt/a gizmo
Anonymous:             0 kB
00600000-00700000 r--p 00200000 fe:00 11                                 /opt/a gizmo
Anonymous:             8 kB
00700000-00800000 rw-p 00300000 fe:00 11                                 /opt/a gizmo
Anonymous:             0 kB
00800000-00900000 r--p 00000000 fe:00 12                                 /opt/other/opt/a gizmo
Anonymous:             0 kB
00900000-00a00000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7ffd00000000-7ffd00001000 r--p 00000000 00:00 0                          [vvar]
Anonymous:             0 kB
`

// Only pages of the file that nobody has changed or can change are found.
func TestUnchangedRegions(t *testing.T) {
	want := []span{{0x400000, 0x500000}, {0x500000, 0x600000}}
	if got := unchanged([]byte(regions), "/opt/a gizmo"); !slices.Equal(got, want) {
		t.Errorf("unchanged regions are %x, want %x", got, want)
	}
	if got := unchanged([]byte("-\n- - - -\nzz-1 r-xp 0 0 0 /opt/a gizmo\nAnonymous: 0 kB\n"), "/opt/a gizmo"); got != nil {
		t.Errorf("text that is no list of regions gives %x", got)
	}
}

// The process goes on without the pages, and has fewer of them.
func TestReleaseCode(t *testing.T) {
	before := filePages(t)
	ReleaseCode()
	after := filePages(t)
	t.Logf("%d KiB of files before, %d after", before, after)
	if after >= before {
		t.Errorf("%d KiB of files are mapped after the release, and %d were before", after, before)
	}
}

var filePagesLine = regexp.MustCompile(`(?m)^RssFile:\s+(\d+) kB$`)

func filePages(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	m := filePagesLine.FindSubmatch(status)
	if m == nil {
		t.Fatalf("no RssFile in %s", status)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func BenchmarkCode(b *testing.B) {
	for b.Loop() {
		code()
	}
}
