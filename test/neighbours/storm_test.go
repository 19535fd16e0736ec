// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

var stormSize = flag.Int("containers", 100, "the number of containers of TestStormOfContainers")

// atOnce is how many containers are started at once.
const atOnce = 4

// Many short containers, several at once: gizmo shows each exec of each, from the first, with the name of its own container. None may be
// missing in one of a few attempts, and none may ever have a wrong name.
func TestStormOfContainers(t *testing.T) {
	s := newStorm(t)
	for i := 1; ; i++ {
		problems := s.run(t, i)
		if len(problems) == 0 {
			return
		}
		if i == attempts || t.Failed() {
			t.Fatalf("attempt %d: %s", i, strings.Join(problems, "\n"))
		}
		t.Logf("attempt %d: %s", i, strings.Join(problems, "\n"))
	}
}

// run starts the containers and returns which execs gizmo has not shown.
func (s *storm) run(t *testing.T, attempt int) (missing []string) {
	g := startGizmo(t, "run", "trace_exec", "-o", "json", "--runtimes=runc", "--runc-root="+s.state, "-v")
	ids := make(chan string)
	var starters sync.WaitGroup
	for range atOnce {
		starters.Go(func() {
			for id := range ids {
				if err := s.runContainer(id); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var all []string
	for n := range *stormSize {
		all = append(all, fmt.Sprintf("storm-%d-%d-%d", os.Getpid(), attempt, n))
		ids <- all[n]
	}
	close(ids)
	starters.Wait()
	seen := make(map[string]int)
	for _, r := range g.end(t) { // which still shows what is in the buffer
		words := strings.Fields(r.Args)
		own := words[len(words)-1] // the last argument is the id of the container
		if name := r.Runtime["containerName"]; name != own {
			t.Errorf("%q is shown as of the container %q", r.Args, name)
		}
		seen[own]++
	}
	for _, id := range all {
		if seen[id] != 2 {
			missing = append(missing, fmt.Sprintf("%d execs of %s, want 2", seen[id], id))
		}
	}
	wantHeldUp(t, g.err.text(), len(all))
	if left, err := os.ReadDir(s.state); len(left) > 0 || err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("runc has %d containers left, %v", len(left), err)
	}
	if len(missing) > 0 {
		missing = append(missing, g.err.text())
	}
	return missing
}

var heldUp = regexp.MustCompile(`a container is about to start" id=\S+ held_up_for=(\S+)`)

// wantHeldUp checks that gizmo says of each container how long it has held it up.
func wantHeldUp(t *testing.T, said string, containers int) {
	t.Helper()
	var all []time.Duration
	for _, m := range heldUp.FindAllStringSubmatch(said, -1) {
		d, err := time.ParseDuration(m[1])
		if err != nil {
			t.Error(err)
		}
		all = append(all, d)
	}
	if len(all) != containers {
		t.Errorf("gizmo says of %d containers that they are about to start, want %d", len(all), containers)
	}
	if slices.Sort(all); len(all) > 0 {
		t.Logf("gizmo held containers up for %v (median), at most for %v", all[len(all)/2], all[len(all)-1])
	}
}

// storm has what its containers share.
type storm struct {
	*bed
	root, state string
}

func newStorm(t *testing.T) *storm {
	t.Helper()
	b := newBed(t, "runc", "busybox")
	s := &storm{b, b.path("rootfs"), b.path("runc")}
	busybox, err := os.ReadFile(kerneltest.RequireProgram(t, "busybox"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{s.root + "/bin", s.root + "/proc", s.root + "/dev"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(s.root+"/bin/busybox", busybox, 0o755); err != nil {
		t.Fatal(err)
	}
	return s
}

// startScript does what a shim does: it makes a container, reads the id of its process, starts it, and removes it when it has ended.
const startScript = `set -e
runc --root "$1" create --bundle "$2" --pid-file "$2/pid" "$3" </dev/null >/dev/null 2>"$2/log"
pid=$(cat "$2/pid")
runc --root "$1" start "$3"
while kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null; do sleep 0.01; done
runc --root "$1" delete --force "$3"`

// runContainer runs a container that executes two programs and ends.
func (s *storm) runContainer(id string) error {
	bundle := s.path(id)
	if err := os.Mkdir(bundle, 0o700); err != nil {
		return err
	}
	spec, err := s.spec(id)
	if err != nil {
		return err
	}
	if err := os.WriteFile(bundle+"/config.json", spec, 0o600); err != nil {
		return err
	}
	if out, err := exec.Command("sh", "-c", startScript, "sh", s.state, bundle, id).CombinedOutput(); err != nil {
		log, _ := os.ReadFile(bundle + "/log")
		return fmt.Errorf("%s: %w: %s%s", id, err, out, log)
	}
	return os.RemoveAll(bundle)
}

// spec returns the config.json of a container. Both programs have its id as their last argument.
func (s *storm) spec(id string) ([]byte, error) {
	return json.Marshal(map[string]any{
		"ociVersion": "1.0.2",
		"process": map[string]any{
			"user": map[string]int{"uid": 0, "gid": 0}, "cwd": "/", "noNewPrivileges": true,
			"args": []string{"/bin/busybox", "sh", "-c", "/bin/busybox true $0; exit 0", id},
		},
		"root": map[string]any{"path": s.root, "readonly": true},
		"mounts": []map[string]any{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}, // runc makes devices, and all share the root
		},
		"linux": map[string]any{
			"cgroupsPath": "/" + id,
			"namespaces":  []map[string]string{{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}},
		},
	})
}
