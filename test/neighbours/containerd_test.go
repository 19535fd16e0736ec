// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/containertest"
	"github.com/gizmo-ebpf/gizmo/container/runtimes"
)

func TestContainerd(t *testing.T) {
	c := startContainerd(t, "")
	n := c.neighbour()
	containertest.Runtime(t, containertest.Case{
		New:       func(socket string) container.Runtime { return runtimes.NewContainerd(socket) },
		Neighbour: func(testing.TB) containertest.Neighbour { return n },
		Undated:   true,
		Slow:      true,
	})
	t.Run("gizmo follows it", func(t *testing.T) { followed(t, n, "--runtimes=containerd", "--containerd-socketpath="+n.Socket) })
}

// neighbour returns functions that use ctr. The id of a container is its name.
func (c *containerd) neighbour() containertest.Neighbour {
	var count atomic.Int64
	start := func(id string) error {
		_, err := c.tryCtr("", "tasks", "start", "--detach", "--null-io", id)
		return err
	}
	n := containertest.Neighbour{
		Socket:   c.socket,
		MaxLabel: 4 << 10, // of the key and the value
		Hang:     c.hang,
		Create: func(t testing.TB, w containertest.Wanted) string {
			t.Helper()
			id := fmt.Sprintf("%s-%d", w.Name, count.Add(1))
			args := []string{"containers", "create"}
			for key, value := range w.Labels {
				args = append(args, "--label", key+"="+value)
			}
			c.ctr(t, "", append(args, imageName, id)...)
			return id
		},
		Start: func(t testing.TB, id string) {
			t.Helper()
			if err := start(id); err != nil {
				t.Fatal(err)
			}
		},
		End: func(t testing.TB, id string) {
			t.Helper()
			// ctr exits with the exit code of the container.
			if _, err := c.tryCtr("", "tasks", "delete", "--force", id); err != nil && !strings.Contains(err.Error(), "exit code 137") {
				t.Fatal(err)
			}
		},
		Remove: func(t testing.TB, id string) {
			t.Helper()
			if _, err := c.tryCtr("", "containers", "delete", id); err != nil && !strings.Contains(err.Error(), "not found") {
				t.Fatal(err)
			}
		},
		Pause: func(t testing.TB, id string) { c.ctr(t, "", "tasks", "pause", id) },
		Begin: func(t testing.TB, id string) (finish func()) { return c.hold(t, func() error { return start(id) }) },
		Says:  func(t testing.TB, id string) container.Identity { return c.says(t, "", id) },
		Restart: func(t testing.TB) {
			c.stop(t)
			c.start(t, c.ping)
		},
	}
	return n
}

// says returns what the command ctr shows about a running container.
func (c *containerd) says(t testing.TB, namespace, id string) container.Identity {
	t.Helper()
	info := c.info(t, namespace, id)
	if info.Labels == nil {
		info.Labels = map[string]string{}
	}
	pid, err := strconv.Atoi(c.column(t, namespace, id, 1, "tasks", "list"))
	if err != nil {
		t.Fatal(err)
	}
	return container.Identity{
		Runtime: "containerd", ID: info.ID, Name: info.ID, Image: info.Image, Labels: info.Labels, PID: pid,
		ImageDigest: c.column(t, namespace, info.Image, 2, "images", "list"),
	}
}
