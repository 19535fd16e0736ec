// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/containertest"
	"github.com/gizmo-ebpf/gizmo/container/runtimes"
)

func TestPodman(t *testing.T) {
	n := startPodman(t)
	containertest.Runtime(t, containertest.Case{
		New:       func(socket string) container.Runtime { return runtimes.NewPodman(socket) },
		Neighbour: func(testing.TB) containertest.Neighbour { return n },
		Slow:      true,
	})
	t.Run("gizmo follows it", func(t *testing.T) { followed(t, n, "--runtimes=podman", "--podman-socketpath="+n.Socket) })
}

// podmanConfig is containers.conf. static_dir is where podman's own clean-up of ended containers looks: elsewhere it would
// find an empty database. The limits are those that podman would raise, which needs a capability.
const podmanConfig = `
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "DIR/tmp"
static_dir = "DIR/graph/libpod"
volume_path = "DIR/graph/volumes"
runtime = "held"
[engine.runtimes]
held = ["RUNTIME"]
[containers]
default_ulimits = [LIMITS]
[network]
network_config_dir = "DIR/networks"
`

const podmanStorage = `
[storage]
driver = "overlay"
runroot = "DIR/run"
graphroot = "DIR/graph"
`

// startPodman starts podman's service.
func startPodman(t testing.TB) containertest.Neighbour {
	t.Helper()
	b := newBed(t, "podman", "conmon", "runc", "busybox")
	fill := strings.NewReplacer("DIR", b.dir, "RUNTIME", b.holdingRuntime(t), "LIMITS", limits(t)).Replace
	env := []string{
		"CONTAINERS_CONF=" + b.write(t, "containers.conf", fill(podmanConfig), 0o600),
		"CONTAINERS_STORAGE_CONF=" + b.write(t, "storage.conf", fill(podmanStorage), 0o600),
	}
	socket := b.path("podman.sock")
	a := newAPI(t, socket, "/v4.0.0/libpod")
	d := b.spawn(t, env, a.ping, "podman", "system", "service", "--time=0", "unix://"+socket)
	a.do(t, "POST", "/images/load", image(t), nil)
	n := a.neighbour(b, socket)
	n.Create = func(t testing.TB, w containertest.Wanted) string {
		t.Helper()
		var made struct{ ID string }
		a.do(t, "POST", "/containers/create", text(t, map[string]any{
			"name": w.Name, "image": imageName, "labels": w.Labels, "netns": map[string]string{"nsmode": "none"},
		}), &made)
		return made.ID
	}
	n.Says = func(t testing.TB, id string) container.Identity { return podmanSays(t, env, id) }
	n.Hang = d.hang
	n.Restart = func(t testing.TB) {
		d.kill(t)
		d.start(t, a.ping)
	}
	return n
}

// limits returns the limits that podman wants, but at most those of this process. podman itself lowers the number of processes to
// the kernel's limit.
func limits(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		t.Fatal(err)
	}
	processes, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	var limits []string
	for _, l := range []struct {
		name     string
		resource int
		most     uint64
	}{{"nofile", unix.RLIMIT_NOFILE, 1 << 20}, {"nproc", unix.RLIMIT_NPROC, processes}} {
		var now unix.Rlimit
		if err := unix.Getrlimit(l.resource, &now); err != nil {
			t.Fatal(err)
		}
		limits = append(limits, fmt.Sprintf(`"%s=%d:%[2]d"`, l.name, min(now.Max, l.most)))
	}
	return strings.Join(limits, ", ")
}

// podmanSays returns what the command podman shows about a running container.
func podmanSays(t testing.TB, env []string, id string) container.Identity {
	t.Helper()
	var details []struct {
		ID, Name, ImageName, ImageDigest string
		State                            struct {
			Pid       int
			StartedAt time.Time
		}
		Config struct{ Labels map[string]string }
	}
	ask(t, env, &details, "podman", "inspect", "--type", "container", id)
	d := details[0]
	return container.Identity{
		Runtime: "podman", ID: d.ID, Name: d.Name, Image: d.ImageName, ImageDigest: d.ImageDigest, PID: d.State.Pid,
		StartedAt: d.State.StartedAt.Truncate(time.Second), // as "podman ps" has it
		Labels:    d.Config.Labels,
	}
}
