// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/containertest"
	"github.com/gizmo-ebpf/gizmo/container/runtimes"
)

func TestDocker(t *testing.T) {
	n, a := startDocker(t)
	containertest.Runtime(t, containertest.Case{
		New:       func(socket string) container.Runtime { return runtimes.NewDocker(socket) },
		Neighbour: func(testing.TB) containertest.Neighbour { return n },
		Slow:      true,
	})
	t.Run("files are copied out of it", func(t *testing.T) { copying(t, n, a) })
	t.Run("gizmo follows it", func(t *testing.T) { followed(t, n, "--runtimes=docker", "--docker-socketpath="+n.Socket) })
}

// copying copies a file, which locks the container for as long as the copy takes.
func copying(t *testing.T, n containertest.Neighbour, a *api) {
	id := n.Create(t, containertest.Wanted{Name: "copying"})
	defer n.Remove(t, id)
	n.Start(t, id)
	defer n.End(t, id)
	copied, err := a.http.Get("http://localhost/containers/" + id + "/archive?path=/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Body.Close()
	if copied.StatusCode != http.StatusOK {
		t.Fatalf("copying: HTTP status %d", copied.StatusCode)
	}
	d := runtimes.NewDocker(n.Socket)
	defer d.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	all, err := d.List(ctx)
	if err != nil || len(all) != 1 || all[0].ID != id || all[0].Name != "copying" || all[0].PID != 0 {
		t.Errorf("List: got %+v, %v", all, err)
	}
	if got, err := d.Get(ctx, id); err != nil || got.Name != "copying" || got.PID != 0 {
		t.Errorf("Get: got %+v, %v", got, err)
	}
	if _, err := io.Copy(io.Discard, copied.Body); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Get(ctx, id); err != nil || got.PID == 0 {
		t.Errorf("Get after the copy: got %+v, %v", got, err)
	}
}

// startDocker starts a dockerd, which starts a containerd of its own.
func startDocker(t testing.TB) (containertest.Neighbour, *api) {
	t.Helper()
	b := newBed(t, "dockerd", "docker", "containerd", "runc", "busybox")
	socket := b.path("docker.sock")
	a := newAPI(t, socket, "")
	d := b.spawn(t, nil, a.ping, "dockerd", "--host", "unix://"+socket,
		"--config-file", b.write(t, "daemon.json", "{}", 0o600), // else it reads the machine's
		"--data-root", b.path("data"), "--exec-root", b.path("exec"), "--pidfile", b.path("pid"),
		"--exec-opt", "native.cgroupdriver=cgroupfs", "--bridge", "none", "--iptables=false", "--ip-forward=false",
		"--add-runtime", "held="+b.holdingRuntime(t), "--default-runtime", "held")
	a.do(t, "POST", "/images/load", image(t), nil)
	n := a.neighbour(b, socket)
	n.Create = func(t testing.TB, w containertest.Wanted) string {
		t.Helper()
		var made struct{ ID string }
		a.do(t, "POST", "/containers/create?name="+url.QueryEscape(w.Name), text(t, map[string]any{"Image": imageName, "Labels": w.Labels}), &made)
		return made.ID
	}
	env := []string{"DOCKER_HOST=unix://" + socket, "DOCKER_CONFIG=" + b.dir}
	b.write(t, "config.json", "{}", 0o600)
	n.Says = func(t testing.TB, id string) container.Identity { return dockerSays(t, env, id) }
	n.Hang = d.hang
	n.Restart = func(t testing.TB) {
		d.stop(t)
		d.start(t, a.ping)
	}
	return n, a
}

// dockerSays returns what the command docker shows about a running container.
func dockerSays(t testing.TB, env []string, id string) container.Identity {
	t.Helper()
	var details struct {
		ID, Name, Image string
		State           struct {
			Pid       int
			StartedAt time.Time
		}
		Config struct{ Labels map[string]string }
	}
	ask(t, env, &details, "docker", "inspect", "--format", "{{json .}}", id)
	var image string
	ask(t, env, &image, "docker", "ps", "--no-trunc", "--filter", "id="+id, "--format", "{{json .Image}}")
	return container.Identity{
		Runtime: "docker", ID: details.ID, Name: strings.TrimPrefix(details.Name, "/"), Image: image,
		ImageDigest: details.Image, // no registry has it
		PID:         details.State.Pid, StartedAt: details.State.StartedAt, Labels: details.Config.Labels,
	}
}
