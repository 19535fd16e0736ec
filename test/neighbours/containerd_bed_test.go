// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// containerdConfig is containerd's configuration. All its files are in the folder DIR. containerd would lower the OOM score
// of the sandbox, which needs CAP_SYS_RESOURCE.
const containerdConfig = `version = 2
root = "DIR/root"
state = "DIR/state"
[grpc]
  address = "DIR/containerd.sock"
[ttrpc]
  address = "DIR/containerd.sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "DIR/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "IMAGE"
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "DIR/cni"
    conf_dir = "DIR/cni.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "DIR/runc"
`

// containerd is a containerd of a test.
type containerd struct {
	*bed
	*daemon
	socket string
	// name is the namespace of containerd that the test uses, and the parent of its containers' control groups.
	name string
}

// startContainerd starts a containerd that has the image in some of its namespaces, "" for the test's own one.
func startContainerd(t testing.TB, namespaces ...string) *containerd {
	t.Helper()
	b := newBed(t, "containerd", "ctr", "runc", "busybox")
	c := &containerd{bed: b, socket: b.path("containerd.sock"), name: "t" + filepath.Base(b.dir)}
	for _, path := range outside() {
		if parent, ok := strings.CutSuffix(path, "/docker"); ok { // a hierarchy of control groups
			b.absent = append(b.absent, filepath.Join(parent, c.name))
		}
	}
	config := strings.NewReplacer("DIR", b.dir, "IMAGE", imageName).Replace(containerdConfig)
	bin := c.holdRunc(t)
	c.daemon = b.spawn(t, []string{"PATH=" + bin + ":" + os.Getenv("PATH")}, c.ping, "containerd", "--config", b.write(t, "config.toml", config, 0o600))
	archive := b.write(t, "image.tar", string(image(t)), 0o600)
	for _, namespace := range namespaces {
		c.ctr(t, namespace, "images", "import", archive)
	}
	return c
}

// holdRunc makes a folder with a program runc that hold can hold up. Shims find it by PATH.
func (c *containerd) holdRunc(t testing.TB) (bin string) {
	t.Helper()
	script, err := os.ReadFile(c.holdingRuntime(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(c.path("bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	c.write(t, "bin/runc", strings.Replace(string(script), "exec runc", "exec "+kerneltest.RequireProgram(t, "runc"), 1), 0o755)
	return c.path("bin")
}

// ping asks for the version. ctr would wait for a missing socket.
func (c *containerd) ping() error {
	if _, err := os.Stat(c.socket); err != nil {
		return err
	}
	_, err := c.tryCtr("", "version")
	return err
}

// tryCtr runs ctr in a namespace, "" for the test's own one, and returns its output.
func (c *containerd) tryCtr(namespace string, args ...string) (string, error) {
	if namespace == "" {
		namespace = c.name
	}
	args = append([]string{"--address", c.socket, "--namespace", namespace}, args...)
	out, err := exec.Command("ctr", args...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("ctr %.200q: %w: %s", args, err, exit.Stderr)
	}
	return string(out), err
}

// ctr is tryCtr for commands that must succeed.
func (c *containerd) ctr(t testing.TB, namespace string, args ...string) string {
	t.Helper()
	out, err := c.tryCtr(namespace, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// column returns a column of a table that ctr prints, from the line that begins with a word; empty if there is no such line.
func (c *containerd) column(t testing.TB, namespace, word string, column int, args ...string) string {
	t.Helper()
	for line := range strings.Lines(c.ctr(t, namespace, args...)) {
		if f := strings.Fields(line); len(f) > column && f[0] == word {
			return f[column]
		}
	}
	return ""
}

// info returns what ctr shows about a container.
func (c *containerd) info(t testing.TB, namespace, id string) (info struct {
	ID, Image string
	Labels    map[string]string
}) {
	t.Helper()
	if err := json.Unmarshal([]byte(c.ctr(t, namespace, "containers", "info", id)), &info); err != nil {
		t.Fatal(err)
	}
	return info
}
