// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// tree makes files of a hierarchy.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func groups(t *testing.T, r *Reader) map[string]Group {
	t.Helper()
	list, err := r.Read(nil)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]Group)
	for _, g := range list {
		if g.ID == 0 {
			t.Errorf("%s has no id", g.Path)
		}
		g.ID = 0
		all[g.Path] = g
	}
	return all
}

func want(t *testing.T, got map[string]Group, groups ...Group) {
	t.Helper()
	if len(got) != len(groups) {
		t.Errorf("got %d groups: %v", len(got), got)
	}
	for _, g := range groups {
		if got[g.Path] != g {
			t.Errorf("got %+v, want %+v", got[g.Path], g)
		}
	}
}

const stat = "usage_usec 9\nuser_usec 5\nsystem_usec 4\nnr_periods 30\nnr_throttled 20\nthrottled_usec 1500000\nnr_bursts 0\nburst_usec 0\n"

func TestVersion2(t *testing.T) {
	t.Parallel()
	self := fmt.Sprint(os.Getpid())
	root := tree(t, map[string]string{
		"cgroup.controllers": "cpuset cpu io\n",
		"a/cpu.max":          "max 100000\n", "a/cpu.stat": stat,
		"a/b/cpu.max": "20000 100000\n", "a/b/cpu.stat": stat, "a/b/cgroup.procs": "",
		"a/b/cpu.pressure":      "some avg10=12.50 avg60=3.25 avg300=0.00 total=77\nfull avg10=9.00 avg60=9.00 avg300=0.00 total=7\n",
		"a/b/leaf/cgroup.procs": "999999999\n" + self + "\n",
		"c/cpu.max":             "50000 10000\n", "c/cpu.stat": "nr_periods 1\n",
		"d/e/cpu.max": "1 1\n", "d/e/cpu.stat": stat, // below a group without the controller there can be none
		"f/cpu.max": "1000 100000\n", // without the rest it is about to go
	})
	r, err := openIn(root)
	if err != nil {
		t.Fatal(err)
	}
	got := groups(t, r)
	b := Group{Path: "/a/b", Periods: 30, Throttled: 20, ThrottledTime: 1500 * time.Millisecond, Quota: 20 * time.Millisecond, Period: 100 * time.Millisecond}
	c := Group{Path: "/c", Periods: 1, Quota: 50 * time.Millisecond, Period: 10 * time.Millisecond}
	want(t, got, b, c)
	if p := r.Pressure(&b); p != (Pressure{12.5, 3.25}) || !r.HasPressure() {
		t.Errorf("pressure %v", p)
	}
	if p := r.Pressure(&c); p != (Pressure{}) {
		t.Errorf("without the file: pressure %v", p)
	}
	var st syscall.Stat_t
	if err := syscall.Stat("/proc/self/ns/mnt", &st); err != nil {
		t.Fatal(err)
	}
	if ns := r.MountNS(&b); ns != st.Ino {
		t.Errorf("mount namespace %d, want %d", ns, st.Ino)
	}
	if ns := r.MountNS(&c); ns != 0 {
		t.Errorf("without a process: mount namespace %d", ns)
	}
}

func TestVersion1(t *testing.T) {
	t.Parallel()
	const stat = "nr_periods 30\nnr_throttled 20\nthrottled_time 1500000000\n"
	root := tree(t, map[string]string{
		"cpu/cpu.stat": stat, "cpu/cpu.cfs_quota_us": "-1\n",
		"cpu/a/cpu.cfs_quota_us": "-1\n", "cpu/a/cpu.cfs_period_us": "100000\n", "cpu/a/cpu.stat": stat,
		"cpu/a/b/cpu.cfs_quota_us": "20000\n", "cpu/a/b/cpu.cfs_period_us": "100000\n", "cpu/a/b/cpu.stat": stat,
		"unified/cgroup.controllers": "",
	})
	r, err := openIn(root)
	if err != nil {
		t.Fatal(err)
	}
	want(t, groups(t, r), Group{
		Path: "/a/b", Periods: 30, Throttled: 20, ThrottledTime: 1500 * time.Millisecond, Quota: 20 * time.Millisecond, Period: 100 * time.Millisecond,
	})
	if r.HasPressure() {
		t.Error("version 1 has no pressure of groups")
	}
}

func TestNoLimits(t *testing.T) {
	t.Parallel()
	for _, files := range []map[string]string{nil, {"cgroup.controllers": "memory pids\n"}, {"cpu/tasks": ""}} {
		if _, err := openIn(tree(t, files)); !errors.Is(err, ErrNoLimits) {
			t.Errorf("%v: %v", files, err)
		}
	}
}

func TestMicroseconds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"5\n": 5 * time.Microsecond, "max": 0, "-1": 0, "": 0, "9223372036854775807": 0, "9223372036854775": 9223372036854775 * time.Microsecond,
	} {
		if got := microseconds([]byte(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// BenchmarkRead reads 1,000 control groups with limits, as files of a temporary folder.
func BenchmarkRead(b *testing.B) {
	files := map[string]string{"cgroup.controllers": "cpu"}
	for i := range 1000 {
		dir := fmt.Sprintf("kubepods.slice/pod-%d/container", i)
		files[dir+"/cpu.max"], files[dir+"/cpu.stat"], files[filepath.Dir(dir)+"/cpu.max"] = "20000 100000\n", stat, "max 100000\n"
	}
	files["kubepods.slice/cpu.max"] = "max 100000\n"
	r, err := openIn(tree(b, files))
	if err != nil {
		b.Fatal(err)
	}
	var list []Group
	for b.Loop() {
		if list, err = r.Read(list[:0]); err != nil || len(list) != 1000 {
			b.Fatal(err, len(list))
		}
	}
}
