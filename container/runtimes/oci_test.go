// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
)

// write makes a file with its folders.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const created = "2026-11-29T21:52:40.5Z"

// The state of runc and the status of crun name the container by its bundle.
func TestStateOfOCIRuntimes(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	folder := filepath.Join(root, "io.containerd.runtime.v2.task", "k8s.io", "one")
	write(t, folder+"/config.json", `{"annotations":{"io.kubernetes.cri.container-name":"front","io.kubernetes.cri.sandbox-name":"web-0",
		"io.kubernetes.cri.sandbox-namespace":"shop","io.kubernetes.cri.image-name":"nginx:1","io.kubernetes.cri.container-type":"container"}}`)
	write(t, root+"/runc/one/state.json", fmt.Sprintf(`{"init_process_pid":77,"created":%q,"config":{"labels":["a=b","bundle=%s"]}}`, created, folder))
	write(t, root+"/runc/gone/state.json", `{"init_process_pid":0}`)
	write(t, root+"/runc/damaged/state.json", `{`)
	write(t, root+"/runc/no-state/x", "")
	write(t, root+"/crun/two/status", fmt.Sprintf(`{"pid":78,"created":%q,"bundle":"/my/bundle"}`, created))
	began, err := time.Parse(time.RFC3339Nano, created)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		client *OCI
		want   container.Identity
	}{
		{NewRunc(root + "/runc"), container.Identity{Runtime: "containerd", ID: "one", Name: "front", Image: "nginx:1", PID: 77, Bundle: folder,
			Pod: container.Pod{Namespace: "shop", Name: "web-0", Container: "front"}}},
		{NewCrun(root + "/crun"), container.Identity{Runtime: "crun", ID: "two", Name: "two", PID: 78, Bundle: "/my/bundle"}},
	} {
		c.want.StartedAt = began
		all, err := c.client.List(t.Context())
		if err != nil || len(all) != 1 || fmt.Sprint(all[0]) != fmt.Sprint(c.want) {
			t.Errorf("%s: %+v, %v\nwant %+v", c.client.Name(), all, err, c.want)
		}
	}
	client := NewRunc(root + "/runc")
	for _, id := range []string{"", "none", "no-state", "../runc/one", ".", "damaged"} {
		if found, err := client.Get(t.Context(), id); err == nil || id != "damaged" && id != "." && !errors.Is(err, container.ErrUnknown) {
			t.Errorf("%q: %+v, %v", id, found, err)
		}
	}
	if _, err := NewRunc(root + "/none").List(t.Context()); err == nil {
		t.Error("a folder that is not there: no error")
	}
}

// The kernel reports containers that appear and disappear. The state file of a new container may exist at once, or a moment later.
func TestWatchOCIState(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	changes := make(chan container.Change, 10)
	ready, ended := make(chan struct{}), make(chan error)
	client := NewRunc(root)
	go func() {
		ended <- client.Watch(ctx, func() { close(ready) }, func(c container.Change) { changes <- c })
	}()
	<-ready
	state := `{"init_process_pid":1}`
	write(t, root+"/late/other", "")
	time.Sleep(20 * time.Millisecond)
	write(t, root+"/late/temporary", state)
	if err := os.Rename(root+"/late/temporary", root+"/late/state.json"); err != nil {
		t.Fatal(err)
	}
	want := []container.Change{{ID: "late"}, {ID: "late", Ended: true}}
	var got []container.Change
	next := func() {
		select {
		case c := <-changes:
			got = append(got, c)
		case <-time.After(5 * time.Second):
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	next()
	if err := os.RemoveAll(root + "/late"); err != nil {
		t.Fatal(err)
	}
	next()
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch returned %v", err)
	}
}

// A folder that is removed ends the watching, so that it can be waited for.
func TestWatchEndsWithTheFolder(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "runc")
	client := NewRunc(root)
	if err := client.Watch(t.Context(), func() { t.Error("ready without a folder") }, nil); err == nil {
		t.Error("no folder: no error")
	}
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	err := client.Watch(t.Context(), func() {
		if err := os.Remove(root); err != nil {
			t.Error(err)
		}
	}, func(container.Change) {})
	if err == nil {
		t.Error("the folder is gone: no error")
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	all, err := Open(nil, nil)
	if err != nil || len(all) < len(Kinds()) {
		t.Errorf("%d clients, %v", len(all), err)
	}
	some, err := Open([]string{"runc", "crun", "runc"}, map[string]string{"runc": "/mine"})
	if err != nil || len(some) != 2 || some[0].Socket() != "/mine" || some[1].Socket() != "/run/crun" {
		t.Errorf("got %v, %v", some, err)
	}
	if _, err := Open([]string{"dockerr"}, nil); err == nil || err.Error() != `there is no container runtime "dockerr"; did you mean "docker"?` {
		t.Errorf("got %v", err)
	}
}
