// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/sink/structs"
)

// buildInside compiles testdata/inside.c.
func buildInside(t *testing.T) string {
	t.Helper()
	cc := kerneltest.RequireProgram(t, "gcc", "clang-19", "clang")
	out := filepath.Join(t.TempDir(), "inside")
	if text, err := exec.Command(cc, "-O1", "-o", out, "testdata/inside.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}

// libraryOf returns the path of a program's C library.
func libraryOf(t *testing.T, program string) string {
	t.Helper()
	text, err := exec.Command("ldd", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if _, rest, ok := strings.Cut(line, "libc.so.6 => "); ok {
			path, _, _ := strings.Cut(rest, " ")
			if path, err = filepath.EvalSymlinks(path); err != nil {
				t.Fatal(err)
			}
			return path
		}
	}
	t.Fatalf("ldd: %s", text)
	return ""
}

// copyOf returns a copy of a file.
func copyOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "copy")
	kerneltest.WriteProgram(t, out, data)
	return out
}

// inside is a process of a fake container.
type inside struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startInside starts the program in namespaces of its own, where the file library takes the place of the C library; empty: it has the
// host's library.
func startInside(t *testing.T, program, library string, flags uintptr) *inside {
	t.Helper()
	script := `exec "$1"`
	if library != "" {
		flags |= unix.CLONE_NEWNS
		script = `mount --make-rprivate / && mount --bind "$2" "$3" && exec "$1"`
	}
	cmd := exec.Command("sh", "-c", script, "sh", program, library, libraryOf(t, program))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	i := &inside{cmd, in, bufio.NewReader(out)}
	i.tell(t, "m") // it runs in its namespaces
	return i
}

// tell has the process do something and returns its answer.
func (i *inside) tell(t *testing.T, what string) string {
	t.Helper()
	if _, err := fmt.Fprintln(i.in, what); err != nil {
		t.Fatal(err)
	}
	line, err := i.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// put adds the process to the set as a container, and returns how long that took.
func (i *inside) put(t *testing.T, set *container.Set, name string) time.Duration {
	t.Helper()
	begin := time.Now()
	err := set.Put(container.RankHigh, container.Identity{Runtime: "docker", ID: name, Name: name, PID: i.cmd.Process.Pid})
	if err != nil {
		t.Fatal(err)
	}
	return time.Since(begin)
}

// links counts this process's descriptors of attached programs.
func links(t *testing.T) (n int) {
	t.Helper()
	all, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range all {
		to, _ := os.Readlink(fd)
		if strings.Contains(to, "bpf_link") || strings.Contains(to, "bpf-link") {
			n++
		}
	}
	return n
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("not within 20 s: %s", what)
			return
		}
	}
}

func selectNames(t *testing.T, names string) *container.Selector {
	t.Helper()
	s, err := container.NewSelector(map[string]string{"containername": names})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// runInside runs a gadget while do runs. do may be nil: then the run ends by itself.
func runInside(t *testing.T, gadget string, o run.Options, do func()) {
	t.Helper()
	img, err := catalog.Builtin(gadget)
	if err != nil {
		t.Fatal(err)
	}
	runImage(t, img, o, do)
}

// runImage is runInside for an image.
func runImage(t *testing.T, img *image.Image, o run.Options, do func()) {
	t.Helper()
	attached := make(chan struct{})
	o.Gadgets = []run.Gadget{{Image: img}}
	o.OnAttached = func() error { close(attached); return nil }
	plan, err := run.NewPlan(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := plan.Load(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	select {
	case <-attached:
	case err := <-ended:
		t.Fatal(err)
	}
	if do != nil {
		do()
		cancel()
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// Programs at functions of a library are attached to that of each selected container, as long as the container lives: one that runs
// already, one that starts with a library of its own, and one that shares the library of another.
func TestProbesInContainers(t *testing.T) {
	kerneltest.RequireRoot(t)
	program := buildInside(t)
	library := libraryOf(t, program)
	shared := copyOf(t, library)
	host := startInside(t, program, "", 0)
	web, twin := startInside(t, program, shared, 0), startInside(t, program, shared, 0)
	db, late := startInside(t, program, copyOf(t, library), 0), startInside(t, program, copyOf(t, library), 0)
	before := links(t)
	const programs = 23 // of trace_malloc
	for name, c := range map[string]struct {
		host bool
		want []string
	}{
		"containers": {false, []string{"late", "twin", "web"}},
		"and host":   {true, []string{"", "", "late", "twin", "web"}}, // web's namespace is no container's after its end
	} {
		t.Run(name, func(t *testing.T) {
			set := container.NewSet("")
			defer set.Close()
			web.put(t, set, "web")
			db.put(t, set, "db")
			var got opens
			o := run.Options{
				Containers: &run.Containers{Set: set, Selector: selectNames(t, "web,twin,late"), Host: c.host},
				Sinks: []pipeline.NamedSink{{Name: "values", Sink: structs.Each(func(e *struct {
					Container string `event:"runtime.containerName"`
					Operation string `event:"operation"`
					Comm      string `event:"proc.comm"`
					Size      uint64 `event:"size"`
				}) error {
					if e.Comm == "inside" && e.Operation == "malloc" && e.Size == 123457 {
						got.mu.Lock()
						defer got.mu.Unlock()
						got.list = append(got.list, e.Container)
					}
					return nil
				})}},
			}
			runInside(t, "trace_malloc", o, func() {
				first := links(t)
				want := programs
				if c.host {
					want += programs
				}
				if first-before != want {
					t.Errorf("%d links before the second container, want %d", first-before, want)
				}
				host.tell(t, "m")
				web.tell(t, "m")
				db.tell(t, "m")
				t.Logf("%v for a container with a known library", twin.put(t, set, "twin"))
				twin.tell(t, "m")
				if n := links(t); n != first {
					t.Errorf("%d links after a container with the same library, want %d", n, first)
				}
				t.Logf("%v for a container with a new library", late.put(t, set, "late"))
				eventually(t, "the programs are attached in the container", func() bool { return links(t) == first+programs })
				late.tell(t, "m")
				set.End("late")
				set.End("web") // twin stays
				eventually(t, "the programs are detached", func() bool { return links(t) == first })
				late.tell(t, "m")
				web.tell(t, "m") // the library is still probed
			})
			slices.Sort(got.list)
			if !slices.Equal(got.list, c.want) {
				t.Errorf("got %q, want %q", got.list, c.want)
			}
			if n := links(t); n != before {
				t.Errorf("%d links are left", n-before)
			}
		})
	}
}

// The sockets in the network namespaces of selected containers are listed, each with its container.
func TestSocketsInContainers(t *testing.T) {
	kerneltest.RequireRoot(t)
	program := buildInside(t)
	host := startInside(t, program, "", 0)
	set := container.NewSet("")
	defer set.Close()
	names := map[string]string{host.tell(t, "l"): ""} // by ports
	for _, name := range []string{"web", "web-2", "db"} {
		i := startInside(t, program, "", unix.CLONE_NEWNS|unix.CLONE_NEWNET)
		port := i.tell(t, "l")
		for _, taken := names[port]; taken; _, taken = names[port] { // by chance
			i = startInside(t, program, "", unix.CLONE_NEWNS|unix.CLONE_NEWNET)
			port = i.tell(t, "l")
		}
		i.put(t, set, name)
		names[port] = name
	}
	gone := startInside(t, program, "", unix.CLONE_NEWNS|unix.CLONE_NEWNET)
	gone.put(t, set, "web-3") // its process ends, which the set learns later
	_ = gone.cmd.Process.Kill()
	_ = gone.cmd.Wait()
	for name, c := range map[string]struct {
		host bool
		want []string
	}{
		"containers": {false, []string{"web", "web-2"}},
		"and host":   {true, []string{"", "web", "web-2"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			runInside(t, "snapshot_socket", run.Options{
				Containers: &run.Containers{Set: set, Selector: selectNames(t, "web,web-2,web-3"), Host: c.host},
				Sinks: []pipeline.NamedSink{{Name: "values", Sink: structs.Each(func(e *struct {
					Container string `event:"runtime.containerName"`
					State     string `event:"state"`
					Port      uint16 `event:"src.port"`
				}) error {
					if owner, ok := names[strconv.Itoa(int(e.Port))]; ok && e.State == "LISTEN" {
						got = append(got, e.Container)
						if e.Container != owner {
							t.Errorf("port %d of %q is shown for %q", e.Port, owner, e.Container)
						}
					}
					return nil
				})}},
			}, nil)
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
