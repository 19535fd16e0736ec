// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
)

// Announcements reach their subscribers before the container. Containers that the set knows are not announced.
func TestAnnounce(t *testing.T) {
	f := newFakeSet(t)
	var got []string
	stopAnnounced := f.OnAnnounced(func(id Identity) { got = append(got, "announced "+id.ID) })
	stop := f.Subscribe(func(n Notice) { got = append(got, fmt.Sprint(n.ID, " ended: ", n.Ended)) })
	defer stop()
	f.Announce(Identity{ID: "a"})
	f.start(RankBundle, Identity{ID: "a"}, 10, 20)
	f.Announce(Identity{ID: "a"})
	f.End("a")
	f.Announce(Identity{ID: "a"})
	stopAnnounced()
	f.Announce(Identity{ID: "b"})
	if want := []string{"announced a", "a ended: false", "a ended: true", "announced a"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The id of the control group is the inode number of its folder.
func TestCgroupID(t *testing.T) {
	c, err := readCgroup("/proc/self")
	if err != nil {
		t.Fatal(err)
	}
	var found bool
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory"} {
		if info, err := os.Stat(root + c.path); err == nil {
			found = found || info.Sys().(*syscall.Stat_t).Ino == c.id
		}
	}
	if !found || c.id == 0 {
		t.Errorf("%+v is no control group", c)
	}
	for _, path := range []string{"", "/../outside", "/nonexistent"} {
		if id := cgroupID(cgroupRoot, path); id != 0 {
			t.Errorf("%q has the id %d", path, id)
		}
	}
}

// The bundle is that of the source that knows one, and the id of the control group stays when a source completes a container.
func TestBundleAndCgroupStay(t *testing.T) {
	f := newFakeSet(t)
	f.start(RankHigh, Identity{ID: "a", Name: "web", PID: 1}, 10, 20)
	f.mu.Lock()
	m := f.live["a"]
	m.learn(RankBundle, Identity{ID: "a", Name: "a", Bundle: "/b"})
	f.publish(m, process{})
	f.mu.Unlock()
	c := f.All()[0]
	if c.Name != "web" || c.Bundle != "/b" || c.CgroupID != 1 || c.Cgroup != "/a" {
		t.Errorf("got %+v", c)
	}
}
