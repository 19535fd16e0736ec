// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/containertest"
	"github.com/gizmo-ebpf/gizmo/container/runtimes"
)

// promptly is how long a busy machine may take for an answer that waits for nothing. The tests hold up starts for much longer.
const promptly = 3 * time.Second

// get asks for a container. The test fails if that takes long.
func get(t *testing.T, rt container.Runtime, id string) (container.Identity, error) {
	t.Helper()
	asked := time.Now()
	got, err := rt.Get(asks(t), id)
	took := time.Since(asked)
	t.Logf("rank %d answers after %v: process %d, %v", rt.Rank(), took, got.PID, err)
	if took > promptly {
		t.Errorf("Get took %v", took)
	}
	return got, err
}

// listed returns the containers of a list by their ids.
func listed(t *testing.T, rt container.Runtime) map[string]container.Identity {
	t.Helper()
	asked := time.Now()
	list, err := rt.List(asks(t))
	took := time.Since(asked)
	t.Logf("rank %d lists %d containers after %v", rt.Rank(), len(list), took)
	if err != nil {
		t.Fatal(err)
	}
	if took > promptly {
		t.Errorf("List took %v", took)
	}
	byID := make(map[string]container.Identity)
	for _, id := range list {
		byID[id.ID] = id
	}
	return byID
}

// While a test holds up a phase of a pod's start, gizmo gets answers without waiting.
func TestPodStarts(t *testing.T) {
	k := startKubelet(t)
	low, high := runtimes.NewContainerd(k.socket), runtimes.NewCRI(k.socket, "containerd")
	defer low.Close()
	defer high.Close()

	var p pod
	started := k.hold(t, func() error {
		made, err := k.runtime.RunPodSandbox(asks(t), &cri.RunPodSandboxRequest{Config: k.podConfig("shop")})
		p = pod{made.GetPodSandboxId(), k.podConfig("shop")}
		return err
	})
	sandboxID := k.onlyContainer(t)
	want := container.Pod{Namespace: "store", Name: "shop", UID: "uid-of-shop", Labels: map[string]string{"app": "shop"}, Sandbox: true}
	if got, err := get(t, low, sandboxID); err != nil || !reflect.DeepEqual(withoutImage(got).Pod, want) || got.Image != imageName || got.PID != 0 {
		t.Errorf("containerd, of a sandbox that is being started: got %+v, %v", got, err)
	}
	if got, err := get(t, high, sandboxID); !errors.Is(err, container.ErrUnknown) {
		t.Errorf("CRI, of a sandbox that is being started: got %+v, %v", got, err)
	}
	started()
	sandbox := k.saysSandbox(t, p.id)
	for _, rt := range []container.Runtime{low, high} {
		got, err := get(t, rt, p.id)
		if err != nil || got.PID != sandbox.PID || !reflect.DeepEqual(withoutImage(got).Pod, sandbox.Pod) || !reflect.DeepEqual(listed(t, rt)[p.id], got) {
			t.Errorf("rank %d, of a sandbox: got\n\t%+v, %v\nwant\n\t%+v", rt.Rank(), got, err, sandbox)
		}
		if rt == high && !reflect.DeepEqual(got, sandbox) {
			t.Errorf("got\n\t%+v\nwant\n\t%+v", got, sandbox)
		}
	}

	n := k.neighbour(p)
	first := n.Create(t, containertest.Wanted{Name: "first", Labels: map[string]string{"tier": "web"}})
	n.Start(t, first)
	second := n.Create(t, containertest.Wanted{Name: "second", Labels: map[string]string{"tier": "back"}})
	finish := n.Begin(t, second)
	for _, rt := range []container.Runtime{low, high} {
		got, err := get(t, rt, second)
		if err != nil || got.PID != 0 || got.Name != "second" || got.Pod.UID != want.UID || got.Labels["tier"] != "back" || !got.StartedAt.IsZero() {
			t.Errorf("rank %d, of a container that is being started: got %+v, %v", rt.Rank(), got, err)
		}
		if got := listed(t, rt)[second]; got.PID != 0 { // containerd lists it, because its shim does not say that it does not run
			t.Errorf("rank %d lists process %d for a container that is being started", rt.Rank(), got.PID)
		}
	}
	// The shim that starts the second one is that of the first one and of the sandbox. CRI knows the PID of containers.
	if got, err := get(t, high, first); err != nil || got.PID == 0 {
		t.Errorf("CRI, of another container of the pod: got %+v, %v", got, err)
	}
	if _, err := get(t, low, first); err != nil {
		t.Errorf("containerd, of another container of the pod: %v", err)
	}
	if got, err := get(t, high, p.id); err != nil || got.Pod.UID != want.UID {
		t.Errorf("CRI, of the sandbox of the pod: got %+v, %v", got, err)
	}
	finish()
	for _, id := range []string{first, second} {
		said := n.Says(t, id)
		high, err1 := get(t, high, id)
		low, err2 := get(t, low, id)
		if err1 != nil || err2 != nil || low.PID != said.PID || high.PID != said.PID || low.ID != high.ID || low.Name != high.Name || low.Image != high.Image {
			t.Errorf("got\n\t%+v, %v\nand\n\t%+v, %v", high, err1, low, err2)
		}
	}
}

// withoutImage removes the label of the image: for containerd it is a label of the container, for its CRI it is not.
func withoutImage(id container.Identity) container.Identity {
	id.Pod.Labels = maps.Clone(id.Pod.Labels)
	delete(id.Pod.Labels, "of-image")
	return id
}

// onlyContainer returns the id of the only container of Kubernetes.
func (k *kubelet) onlyContainer(t *testing.T) string {
	t.Helper()
	ids := strings.Fields(k.ctr(t, "k8s.io", "containers", "list", "--quiet"))
	if len(ids) != 1 {
		t.Fatalf("containerd has the containers %q", ids)
	}
	return ids[0]
}

// A client that watches knows from events which containers run. It asks no shim, so it does not wait for one.
func TestContainerdStartsWatched(t *testing.T) {
	c := startContainerd(t, "")
	n := c.neighbour()
	rt := runtimes.NewContainerd(c.socket)
	defer rt.Close()
	ctx, cancel := context.WithCancel(context.Background())
	ready, started, done := make(chan bool), make(chan string, 10), make(chan error)
	go func() {
		done <- rt.Watch(ctx, func() { close(ready) }, func(c container.Change) {
			if !c.Ended {
				started <- c.ID
			}
		})
	}()
	<-ready
	id := n.Create(t, containertest.Wanted{Name: "watched"})
	for range 2 { // the container starts, and starts again
		finish := n.Begin(t, id)
		fastest := time.Hour
		for range 5 {
			asked := time.Now()
			if got, err := rt.Get(asks(t), id); err != nil || got.PID != 0 || got.Image != imageName {
				t.Errorf("got %+v, %v", got, err)
			}
			fastest = min(fastest, time.Since(asked))
		}
		t.Logf("the fastest of 5 answers during a start came after %v", fastest)
		if fastest > 100*time.Millisecond { // a third of the client's patience with shims
			t.Errorf("Get takes %v", fastest)
		}
		finish()
		if <-started != id {
			t.Error("another container has started")
		}
		if got, err := get(t, rt, id); err != nil || got.PID == 0 || got.PID != n.Says(t, id).PID {
			t.Errorf("got %+v, %v", got, err)
		}
		n.End(t, id)
	}
	n.Remove(t, id)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// When Watch reports the start of a container or a sandbox, the interface knows all its fields. containerd's event comes
// a little earlier.
func TestCRIKnowsWhatHasStarted(t *testing.T) {
	k := startKubelet(t)
	rt := runtimes.NewCRI(k.socket, "containerd")
	defer rt.Close()
	ctx, cancel := context.WithCancel(context.Background())
	type known struct {
		container.Identity
		err error
	}
	ready, started, done := make(chan bool), make(chan known, 100), make(chan error)
	go func() {
		done <- rt.Watch(ctx, func() { close(ready) }, func(c container.Change) {
			if !c.Ended {
				id, err := rt.Get(asks(t), c.ID)
				started <- known{id, err}
			}
		})
	}()
	<-ready
	p := k.runPod(t, "shop")
	n := k.neighbour(p)
	check := func(want container.Identity) {
		t.Helper()
		select {
		case got := <-started:
			got.StartedAt = got.StartedAt.UTC()
			want.StartedAt = want.StartedAt.UTC()
			if got.err != nil || !reflect.DeepEqual(got.Identity, want) {
				t.Errorf("got\n\t%+v, %v\nwant\n\t%+v", got.Identity, got.err, want)
			}
		case <-time.After(patience):
			t.Fatalf("Watch did not report %s", want.ID)
		}
	}
	check(k.saysSandbox(t, p.id))
	for range 10 {
		id := n.Create(t, containertest.Wanted{Name: "known"})
		n.Start(t, id)
		check(n.Says(t, id))
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
