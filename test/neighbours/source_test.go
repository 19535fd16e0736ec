// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// containerEvent is an event of the data source of containers.
type containerEvent struct {
	Type   string `json:"event_type"`
	ID     string `json:"container_id"`
	Cgroup uint64 `json:"cgroup_id"`
	Mount  uint64 `json:"mntns_id"`
	Name   string `json:"name"`
	Config string `json:"container_config"`
}

// askingGadget makes a gadget that asks for the data source of containers.
func askingGadget(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program, err := os.ReadFile("../../gadgets/trace_exec/program.bpf.c")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"program.bpf.c": program, "gadget.yaml": []byte("name: asking\nannotations: {enable-containers-datasource: true}\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// bundles are containers that runc makes without another runtime.
type bundles struct{ *bed }

// make makes a bundle of a container that sleeps.
func (b bundles) make(t *testing.T, id string) {
	t.Helper()
	b.makeFor(t, id, []string{"/busybox", "sleep", "600"}, "pid", "mount")
}

// makeFor makes a bundle of a container that runs a command in new namespaces.
func (b bundles) makeFor(t *testing.T, id string, command []string, namespaces ...string) {
	t.Helper()
	var types []map[string]string
	for _, ns := range namespaces {
		types = append(types, map[string]string{"type": ns})
	}
	busybox, err := os.ReadFile(kerneltest.RequireProgram(t, "busybox"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(b.path(id, "rootfs", "proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.write(t, id+"/rootfs/busybox", string(busybox), 0o755)
	config, err := json.Marshal(map[string]any{
		"ociVersion":  "1.0.2",
		"process":     map[string]any{"user": map[string]int{"uid": 0, "gid": 0}, "args": command, "cwd": "/"},
		"root":        map[string]any{"path": "rootfs"},
		"mounts":      []map[string]any{{"destination": "/proc", "type": "proc", "source": "proc"}},
		"annotations": map[string]string{"nerdctl/name": "name-of-" + id},
		"linux":       map[string]any{"namespaces": types},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.write(t, id+"/config.json", string(config), 0o600)
}

// runc runs runc.
func (b bundles) runc(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("runc", append([]string{"--root", b.path("state"), "--log", b.path("log")}, args...)...)
	var out bytes.Buffer
	if args[0] != "create" { // whose output the container keeps
		cmd.Stdout = &out
	}
	if err := cmd.Run(); err != nil {
		log, _ := os.ReadFile(b.path("log"))
		t.Fatalf("runc %q: %v: %s", args, err, log)
	}
	return out.Bytes()
}

// start starts a container as other runtimes do: they read the pid file before the container runs.
func (b bundles) start(t *testing.T, id string) {
	t.Helper()
	b.runc(t, "create", "--bundle", b.path(id), "--pid-file", b.path(id+".pid"), id)
	if _, err := os.ReadFile(b.path(id + ".pid")); err != nil {
		t.Fatal(err)
	}
	b.runc(t, "start", id)
}

// event returns the event that a running container must have caused when it was made.
func (b bundles) event(t *testing.T, id string) containerEvent {
	t.Helper()
	var state struct{ PID int }
	if err := json.Unmarshal(b.runc(t, "state", id), &state); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(b.path(id, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	mount, err := os.Stat(fmt.Sprintf("/proc/%d/ns/mnt", state.PID))
	if err != nil {
		t.Fatal(err)
	}
	return containerEvent{"CREATED", id, cgroupOf(t, state.PID), mount.Sys().(*syscall.Stat_t).Ino, "name-of-" + id, string(config)}
}

// A gadget that asks for it is told of the containers of runc: of one that is there, and of one before it is made, when it is
// made, and when it has ended.
func TestSourceOfContainers(t *testing.T) {
	b := bundles{newBed(t, "runc", "busybox")}
	there, later, other := fmt.Sprintf("there-%d", os.Getpid()), fmt.Sprintf("later-%d", os.Getpid()), fmt.Sprintf("other-%d", os.Getpid())
	for _, id := range []string{there, later, other} {
		b.make(t, id)
		defer func() { _ = exec.Command("runc", "--root", b.path("state"), "delete", "--force", id).Run() }()
	}
	b.start(t, there)
	g := startGizmo(t, "run", askingGadget(t), "-o", "exec:none,containers:json", "--runtimes=runc", "--runc-root="+b.path("state"),
		"--containername=!name-of-"+other)
	b.start(t, other)
	b.start(t, later)
	want := []containerEvent{b.event(t, there), b.event(t, later), b.event(t, later), b.event(t, later)}
	want[1].Type, want[1].Cgroup, want[1].Mount = "PRECREATE", 0, 0
	want[3].Type, want[3].Config = "DELETED", ""
	b.runc(t, "delete", "--force", later)
	eventually(t, "the end of the container is shown", func() error {
		if got := strings.Count(g.out.text(), "\n"); got < len(want) {
			return fmt.Errorf("%d events; standard error: %s", got, g.err.text())
		}
		return nil
	})
	if err := g.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-g.done
	var got []containerEvent
	for line := range strings.Lines(g.out.text()) {
		var e containerEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got = append(got, e)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n\t%.3000s\nwant\n\t%.3000s\ngizmo says: %s", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want), g.err.text())
	}
}

// cgroupOf returns the inode number of a process's control group: in the unified hierarchy, if the process is not in its root.
func cgroupOf(t *testing.T, pid int) uint64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		t.Fatal(err)
	}
	paths := make(map[string]string) // by controllers; the unified hierarchy has none
	for line := range strings.Lines(string(text)) {
		_, group, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, _ := strings.Cut(group, ":")
		paths[controllers] = path
	}
	root, path := "/sys/fs/cgroup", paths[""]
	if memory, ok := paths["memory"]; ok && path == "/" {
		root, path = root+"/memory", memory
	} else if ok {
		root += "/unified"
	}
	info, err := os.Stat(root + path)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}
