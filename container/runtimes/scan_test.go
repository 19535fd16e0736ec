// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
)

func TestIdentityOfControlGroups(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("0123456789abcdef", 4)
	const uid = "01234567-89ab-cdef-0123-456789abcdef"
	for path, want := range map[string]container.Identity{
		"/docker/" + id:                            {Runtime: "docker"},
		"/system.slice/docker-" + id + ".scope":    {Runtime: "docker"},
		"/machine.slice/libpod-" + id + ".scope":   {Runtime: "podman"},
		"/libpod_parent/libpod-" + id:              {Runtime: "podman"},
		"/k8s.io/" + id:                            {},
		"/kubepods/burstable/pod" + uid + "/" + id: {Pod: container.Pod{UID: uid}},
		"/kubepods/pod" + uid + "/crio-" + id:      {Runtime: "cri-o", Pod: container.Pod{UID: uid}},
		"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice/cri-containerd-" + id + ".scope": {Runtime: "containerd", Pod: container.Pod{UID: uid}},
	} {
		want.ID, want.Name = id, id[:12]
		got, ok := identityOf(path)
		if !ok || got.ID != want.ID || got.Name != want.Name || got.Runtime != want.Runtime || got.Pod.UID != want.Pod.UID {
			t.Errorf("%s: got %+v, %v", path, got, ok)
		}
	}
	for _, path := range []string{
		"/", "/user.slice", "/docker", "/docker/" + id[:63], "/docker/" + id + "0", "/docker/" + strings.ToUpper(id), "/x-" + id,
		"/libpod-conmon-" + id + ".scope", "/docker/" + id + ".service",
	} {
		if got, ok := identityOf(path); ok {
			t.Errorf("%s: got %+v", path, got)
		}
	}
}

// scanned is a folder in the place of the control groups.
func scanned(t *testing.T) *Scan {
	t.Helper()
	s := NewScan()
	s.root, s.every = t.TempDir(), time.Millisecond
	return s
}

func (s *Scan) group(t *testing.T, path, processes string) {
	t.Helper()
	path = filepath.Join(s.root, path)
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+"/cgroup.procs", []byte(processes), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestScanLists(t *testing.T) {
	t.Parallel()
	s := scanned(t)
	self, parent := os.Getpid(), os.Getppid() // the parent is older
	child := exec.Command("sleep", "100")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	}()
	lines := func(pids ...int) string { return strings.Trim(fmt.Sprintln(pids), "[]\n") }
	first, second, empty := strings.Repeat("a", 64), strings.Repeat("b", 64), strings.Repeat("c", 64)
	s.group(t, "docker/"+first, strings.ReplaceAll(lines(child.Process.Pid, self, parent, 1<<30), " ", "\n"))
	s.group(t, "docker/"+first+"/docker/"+second, "1\n") // in the first one
	s.group(t, "k8s.io/"+second, "")
	s.group(t, "k8s.io/"+second+"/init.scope", strings.ReplaceAll(lines(child.Process.Pid, self), " ", "\n"))
	s.group(t, "docker/"+empty, "")
	s.group(t, "user.slice", "1\n")
	all, err := s.List(t.Context())
	if err != nil || len(all) != 2 || all[0].ID != first || all[1].ID != second || all[1].PID != self {
		t.Errorf("got %+v, %v", all, err)
	}
	if all[0].PID != 1 { // a process of a container in the container is the container's, too
		t.Errorf("the oldest process is %d, want 1", all[0].PID)
	}
	if got, err := s.Get(t.Context(), second); err != nil || got.PID != self {
		t.Errorf("Get: %+v, %v", got, err)
	}
	if _, err := s.Get(t.Context(), empty); !errors.Is(err, container.ErrUnknown) {
		t.Errorf("Get of a group without a process: %v", err)
	}
}

// Nothing happens before Poll. After it, containers that come and go are reported.
func TestScanPolls(t *testing.T) {
	t.Parallel()
	s := scanned(t)
	id := strings.Repeat("a", 64)
	ctx, cancel := context.WithCancel(t.Context())
	changes, ended := make(chan container.Change, 10), make(chan error)
	go func() {
		ended <- s.Watch(ctx, func() { s.group(t, "docker/"+id, strconv.Itoa(os.Getpid())) }, func(c container.Change) { changes <- c })
	}()
	select {
	case c := <-changes:
		t.Fatalf("before Poll: %+v", c)
	case <-time.After(20 * time.Millisecond):
	}
	s.Poll()
	s.Poll()
	if got := <-changes; got != (container.Change{ID: id}) {
		t.Errorf("got %+v", got)
	}
	if err := os.RemoveAll(s.root + "/docker"); err != nil {
		t.Fatal(err)
	}
	if got := <-changes; got != (container.Change{ID: id, Ended: true}) {
		t.Errorf("got %+v", got)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch: %v", err)
	}
}
