// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/containertest"
	"github.com/gizmo-ebpf/gizmo/container/runtimes"
)

// knownAs checks that a set knows exactly the wanted containers when a keeper has asked several runtimes.
func knownAs(t *testing.T, want []container.Identity, sockets map[string]string, names ...string) {
	t.Helper()
	clients, err := runtimes.Open(names, sockets)
	if err != nil {
		t.Fatal(err)
	}
	set := container.NewSet("node")
	defer set.Close()
	keeper, err := container.NewKeeper(set, slog.New(slog.DiscardHandler), clients...)
	if err != nil {
		t.Fatal(err)
	}
	keeper.Start()
	defer keeper.Close()
	byID := make(map[string]container.Identity)
	for _, w := range want {
		byID[w.ID] = w
	}
	eventually(t, "the set knows the containers", func() error {
		for _, c := range set.All() {
			got, w := c.Identity, byID[c.ID]
			got.Bundle = "" // which runtimes do not say
			got.StartedAt, w.StartedAt = got.StartedAt.UTC(), w.StartedAt.UTC()
			if !reflect.DeepEqual(got, w) {
				return fmt.Errorf("got\n\t%+v\nwant\n\t%+v", got, w)
			}
		}
		if len(set.All()) != len(want) {
			return fmt.Errorf("%d containers, want %d", len(set.All()), len(want))
		}
		return nil
	})
}

// containerd and its interface list the same containers of a pod. Names and labels are those of the interface, and
// containers outside of pods are those of containerd. Only runc knows when a sandbox started.
func TestContainersOfPodsAreKnownOnce(t *testing.T) {
	k := startKubelet(t)
	k.ctr(t, "", "images", "import", k.path("image.tar"))
	p := k.runPod(t, "shop")
	n, plain := k.neighbour(p), k.containerd.neighbour()
	sandbox := k.saysSandbox(t, p.id)
	sandbox.StartedAt = k.created(t, p.id)
	want := []container.Identity{sandbox}
	for name, labels := range map[string]map[string]string{"with-labels": {"tier": "web"}, "without": nil} {
		id := n.Create(t, containertest.Wanted{Name: name, Labels: labels})
		n.Start(t, id)
		want = append(want, n.Says(t, id))
	}
	id := plain.Create(t, containertest.Wanted{Name: "plain"})
	defer plain.Remove(t, id)
	plain.Start(t, id)
	defer plain.End(t, id)
	want = append(want, plain.Says(t, id))
	knownAs(t, want, map[string]string{"containerd": k.socket}, "containerd")
}

// created returns the start of a container of Kubernetes, as runc shows it.
func (k *kubelet) created(t *testing.T, id string) time.Time {
	t.Helper()
	out, err := exec.Command("runc", "--root", k.path("runc", "k8s.io"), "state", id).Output()
	if err != nil {
		t.Fatal(err)
	}
	var state struct{ Created time.Time }
	if err := json.Unmarshal(out, &state); err != nil || state.Created.IsZero() {
		t.Fatalf("%s: %v", out, err)
	}
	return state.Created
}

// The containerd that dockerd uses lists Docker's containers, too. What Docker reports about them counts.
func TestContainersOfDockerAreKnownOnce(t *testing.T) {
	n, _ := startDocker(t)
	containerd := filepath.Join(filepath.Dir(n.Socket), "exec", "containerd", "containerd.sock")
	id := n.Create(t, containertest.Wanted{Name: "web", Labels: map[string]string{"tier": "web"}})
	defer n.Remove(t, id)
	n.Start(t, id)
	defer n.End(t, id)
	want := n.Says(t, id)
	sockets := map[string]string{"docker": n.Socket, "containerd": containerd}
	for _, names := range [][]string{{"docker", "containerd"}, {"containerd", "docker"}} {
		knownAs(t, []container.Identity{want}, sockets, names...)
	}
	low := runtimes.NewContainerd(containerd)
	defer low.Close()
	if got := listed(t, low)[id]; got.Runtime != "docker" || got.Name != id || got.PID != want.PID {
		t.Errorf("containerd: got %+v", got)
	}
}
