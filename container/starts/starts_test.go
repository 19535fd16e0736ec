// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package starts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// bed is a folder with a bundle that runc can run.
type bed struct{ dir string }

func newBed(t *testing.T) *bed {
	t.Helper()
	kerneltest.RequireRoot(t)
	for _, program := range []string{"runc", "busybox"} {
		if _, err := exec.LookPath(program); err != nil {
			kerneltest.Missing(t, "%v (scripts/setup.sh test installs it)", err)
		}
	}
	b := &bed{t.TempDir()}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	must(t, os.MkdirAll(b.dir+"/rootfs/bin", 0o755))
	must(t, os.MkdirAll(b.dir+"/rootfs/proc", 0o755))
	must(t, os.MkdirAll(b.dir+"/rootfs/dev", 0o755))
	program, err := os.ReadFile(busybox)
	must(t, err)
	kerneltest.WriteProgram(t, b.dir+"/rootfs/bin/busybox", program)
	spec := map[string]any{
		"ociVersion": "1.0.2",
		"process": map[string]any{
			"user": map[string]int{"uid": 0, "gid": 0}, "args": []string{"/bin/busybox", "sleep", "60"}, "cwd": "/", "noNewPrivileges": true,
		},
		"root": map[string]any{"path": "rootfs"},
		"mounts": []map[string]any{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}, // runtimes make files there: containers that share it disturb each other
		},
		"annotations": map[string]string{"nerdctl/name": "sleeper"},
		"linux": map[string]any{
			"namespaces": []map[string]string{{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"}},
		},
	}
	text, err := json.Marshal(spec)
	must(t, err)
	must(t, os.WriteFile(b.dir+"/config.json", text, 0o644))
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start makes and starts a container, as a shim does: it reads the pid file in between.
func (b *bed) start(t *testing.T, id string) {
	t.Helper()
	pidFile := filepath.Join(b.dir, id+".pid")
	t.Cleanup(func() {
		_ = exec.Command("runc", "--root", b.dir+"/state", "kill", id, "KILL").Run()
		for range 100 {
			if exec.Command("runc", "--root", b.dir+"/state", "delete", id).Run() == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	out, err := exec.Command("sh", "-c", fmt.Sprintf(
		"runc --root %[1]s/state create --bundle %[1]s --pid-file %[2]s %[3]s </dev/null >/dev/null 2>%[2]s.err && cat %[2]s && runc --root %[1]s/state start %[3]s",
		b.dir, pidFile, id)).CombinedOutput()
	if err != nil {
		text, _ := os.ReadFile(pidFile + ".err")
		t.Fatalf("%v: %s%s", err, out, text)
	}
}

func commOf(pid int) string {
	comm, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	return strings.TrimSpace(string(comm))
}

// Containers are seen when they exist and have run nothing, several at once as well.
func TestContainersAreSeenBeforeTheyRun(t *testing.T) {
	b := newBed(t)
	var mu sync.Mutex
	seen := make(map[string]string)
	w, err := Watch(Options{Log: quiet, Created: func(_ context.Context, s Start) {
		if s.Bundle != b.dir {
			return // of another test on this machine
		}
		time.Sleep(10 * time.Millisecond) // it waits
		id, err := s.Identity()
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		seen[id.ID] = id.Name + " " + commOf(id.PID)
	}})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		kerneltest.Missing(t, "the kernel cannot hold up file accesses: %v", err)
	}
	must(t, err)
	var all sync.WaitGroup
	const containers = 4
	for i := range containers {
		all.Go(func() { b.start(t, fmt.Sprintf("starts-%d-%d", os.Getpid(), i)) })
	}
	all.Wait()
	must(t, w.Close())
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != containers {
		t.Errorf("%d containers were seen, want %d", len(seen), containers)
	}
	for id, what := range seen {
		if what != "sleeper runc:[2:INIT]" {
			t.Errorf("%s: %q", id, what)
		}
	}
}

// A slow Created does not keep a container from running.
func TestContainersAreNotHeldUpForLong(t *testing.T) {
	b := newBed(t)
	release := make(chan struct{})
	var held time.Duration
	w, err := Watch(Options{Log: quiet, Created: func(ctx context.Context, s Start) {
		if s.Bundle != b.dir {
			return
		}
		start := time.Now()
		<-ctx.Done()
		held = time.Since(start)
		<-release
	}})
	must(t, err)
	b.start(t, fmt.Sprintf("slow-%d", os.Getpid())) // which would hang
	close(release)
	must(t, w.Close())
	if held == 0 || held > MostDelay {
		t.Errorf("it was held up for %v", held)
	}
}

func TestWatchSaysWhatIsWrong(t *testing.T) {
	kerneltest.RequireRoot(t)
	if _, err := Watch(Options{Binaries: []string{}, Log: quiet}); !errors.Is(err, ErrNothing) {
		t.Errorf("no runtime: %v", err)
	}
	if _, err := Watch(Options{Binaries: []string{"/nonexistent/runc"}, Log: quiet}); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a runtime that is not there: %v", err)
	}
}

// Watch reports each container once, before runc or crun makes it, with a pid file and without, and whether or not the runtime
// succeeds.
func TestRuntimesAreSeenBeforeTheyMakeContainers(t *testing.T) {
	b := newBed(t)
	kerneltest.RequireProgram(t, "crun")
	var mu sync.Mutex
	var seen []string
	w, err := Watch(Options{
		Log:     quiet,
		Created: func(context.Context, Start) {},
		Creating: func(s Start) {
			if s.Bundle != b.dir {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			state, _ := filepath.Glob(b.dir + "/" + s.Runtime + "/" + s.ID + "/stat*") // runc's state.json, crun's status
			seen = append(seen, fmt.Sprint(s, " made: ", len(state) > 0))
		},
	})
	must(t, err)
	var want []string
	for _, runtime := range []string{"runc", "crun"} {
		for _, command := range []string{"create --pid-file " + b.dir + "/pid", "run --detach"} {
			verb, _, _ := strings.Cut(command, " ")
			id := fmt.Sprintf("%s-%s-%d", runtime, verb, os.Getpid())
			root := b.dir + "/" + runtime
			// crun fails where there are several hierarchies of control groups.
			// The shell executes them: a process that watches must not, since Go's scheduler may wait for the execution that it has to allow.
			script := fmt.Sprintf("%[1]s --root %[2]s %[3]s --bundle %[4]s %[5]s; %[1]s --root %[2]s delete --force %[5]s; true", runtime, root, command, b.dir, id)
			must(t, exec.Command("sh", "-c", script).Run())
			want = append(want, fmt.Sprint(Start{Runtime: runtime, ID: id, Bundle: b.dir}, " made: false"))
		}
	}
	must(t, w.Close())
	if !slices.Equal(seen, want) {
		t.Errorf("got\n\t%q\nwant\n\t%q", seen, want)
	}
}
