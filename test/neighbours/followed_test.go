// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package neighbours

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/containertest"
)

// attempts is how often a test tries what a busy machine may disturb: a runtime may answer later than gizmo may hold a container up, and
// then the first events of the container are not known to be its own.
const attempts = 3

// followed starts two containers, of which gizmo is to show one: its first exec, its opens, and its last event, each with what the
// runtime itself says about the container.
func followed(t *testing.T, n containertest.Neighbour, flags ...string) {
	for i := 1; ; i++ {
		f := follow(t, n, flags)
		if len(f.problems) == 0 {
			return
		}
		text := fmt.Sprintf("attempt %d: %s\ngizmo says:\n%s%s", i, strings.Join(f.problems, "\n"), f.execs.err.text(), f.opens.err.text())
		if i == attempts || t.Failed() {
			t.Fatal(text)
		}
		t.Log(text)
	}
}

// following is an attempt to follow a container.
type following struct {
	execs, opens *gizmo
	problems     []string
}

func (f *following) problem(format string, args ...any) {
	f.problems = append(f.problems, fmt.Sprintf(format, args...))
}

func follow(t *testing.T, n containertest.Neighbour, flags []string) *following {
	other, id := n.Create(t, containertest.Wanted{Name: "other"}), n.Create(t, containertest.Wanted{Name: "followed"})
	name := "followed"
	if strings.HasPrefix(id, name) {
		name = id // the runtime has no other names
	}
	selected := "--containername=" + name
	if *slow {
		selected = "--runtime-containerid=" + id
	}
	flags = append(slices.Clone(flags), selected, "-o", "json", "-v")
	f := &following{
		execs: startGizmo(t, append([]string{"run", "trace_exec"}, flags...)...),
		opens: startGizmo(t, append([]string{"run", "trace_open", "--failed"}, flags...)...),
	}
	for _, made := range []string{other, id} {
		defer n.Remove(t, made)
		n.Start(t, made)
	}
	var sleep *row // the shell's arguments contain those of the sleep
	f.waitFor("the sleep of the container", f.execs, func(string) bool {
		sleep = f.execs.row(t, sleepArgs)
		return sleep != nil
	})
	says := n.Says(t, id)
	if sleep != nil {
		endSleep(t, sleep)
		f.waitFor("the last open of the container", f.opens, func(text string) bool { return strings.Contains(text, lastFile) })
	} else {
		n.End(t, id)
	}
	n.End(t, other)
	f.check(t, says)
	return f
}

const sleepArgs = "/bin/busybox sleep 600"

// waitFor waits until gizmo shows what is wanted.
func (f *following) waitFor(what string, g *gizmo, isThere func(text string) bool) {
	for end := time.Now().Add(patience / 2); !isThere(g.out.text()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			f.problem("%s is not shown: %s", what, g.out.text())
			return
		}
	}
}

// check compares the events with what the container did, and with what its runtime says.
func (f *following) check(t *testing.T, says container.Identity) {
	t.Helper()
	var did []string
	for _, row := range slices.Concat(f.execs.end(t), f.opens.end(t)) {
		if id := row.Runtime["containerId"]; id != says.ID {
			t.Errorf("%+v: of the container %v, want %s", row, id, says.ID)
		}
		if row.Args == "" && row.File != firstFile && row.File != lastFile {
			continue // runc opens files in the container before it executes the first program
		}
		did = append(did, cmp.Or(row.Args, row.File))
		if row.Process.PID != says.PID && row.Args != sleepArgs {
			f.problem("%+v: not of the first process, %d", row, says.PID)
		}
		f.wantSaid(row, says)
	}
	if want := []string{"/bin/busybox sh -c " + script, sleepArgs, firstFile, lastFile}; !slices.Equal(did, want) {
		f.problem("got\n\t%q\nwant\n\t%q", did, want)
	}
}

// row is what the test reads of an event.
type row struct {
	Args    string
	File    string            `json:"fname"`
	Process struct{ PID int } `json:"proc"`
	Runtime map[string]any
	K8s     map[string]any
}

// wantSaid compares the fields of a container with what its runtime says.
func (f *following) wantSaid(r row, says container.Identity) {
	runtime := map[string]any{"containerId": says.ID, "containerPid": float64(says.PID)}
	pod := make(map[string]any)
	if !*slow || r.File == lastFile {
		maps.Copy(runtime, map[string]any{"runtimeName": says.Runtime, "containerName": says.Name, "containerImageName": says.Image})
		maps.Copy(pod, map[string]any{"namespace": says.Pod.Namespace, "podName": says.Pod.Name, "containerName": says.Pod.Container})
		// Before a container has started, its runtime has no time for the start, and podman names no digest.
		if r.Runtime["containerStartedAt"] != "" {
			f.wantTime(r, says.StartedAt)
		}
		if r.Runtime["containerStartedAt"] != "" || r.Runtime["containerImageDigest"] != "" {
			runtime["containerImageDigest"] = says.ImageDigest
		}
	}
	f.wantFields(r, "runtime", r.Runtime, runtime)
	f.wantFields(r, "k8s", r.K8s, pod)
}

func (f *following) wantTime(r row, want time.Time) {
	started := fmt.Sprint(r.Runtime["containerStartedAt"])
	if at, err := time.Parse(time.RFC3339Nano, started); err != nil || !at.Equal(want) {
		f.problem("%s%s: started at %v, want %v", r.Args, r.File, started, want)
	}
}

func (f *following) wantFields(r row, what string, got, want map[string]any) {
	for name, value := range want {
		if got[name] != value {
			f.problem("%s%s: %s.%s is %v, want %v", r.Args, r.File, what, name, got[name], value)
		}
	}
}

// endSleep ends the process of a sleep.
func endSleep(t *testing.T, sleep *row) {
	t.Helper()
	if err := syscall.Kill(sleep.Process.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// gizmo is the program, which runs until end is called.
type gizmo struct {
	cmd      *exec.Cmd
	out, err locked
	done     chan struct{}
}

// locked is a buffer that a process fills while the test reads it.
type locked struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *locked) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// slow: runtimes take longer to answer than gizmo may hold a container up, so that what is not in the container's bundle, such as
// its name, is not known from the first event on.
var slow = flag.Bool("slow", false, "the machine is emulated")

var programs = flag.String("programs", "", "take the program from this `folder` instead of building it")

// built is the folder of the program, which TestMain removes; "": it is not built here.
var built string

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

// program builds gizmo once.
var program = sync.OnceValues(func() (path string, err error) {
	if *programs != "" {
		return filepath.Join(*programs, "gizmo"), nil
	}
	if built, err = os.MkdirTemp("", "gizmo-neighbours"); err != nil {
		return "", err
	}
	path = filepath.Join(built, "gizmo")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", path, "../../cmd/gizmo")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return path, err
})

// startGizmo starts gizmo and waits until its gadget is attached: then it gives up system calls.
func startGizmo(t *testing.T, args ...string) *gizmo {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	g := &gizmo{cmd: exec.Command(path, args...), done: make(chan struct{})}
	g.cmd.Stdout, g.cmd.Stderr = &g.out, &g.err
	if err := run(g.cmd, g.done); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = g.cmd.Process.Kill()
		<-g.done
	})
	eventually(t, "gizmo has attached the gadget", func() error {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
		if err == nil && !bytes.Contains(text, []byte("\nSeccomp:\t2\n")) {
			err = errors.New(g.err.text())
		}
		return err
	})
	return g
}

// end ends gizmo and returns its events.
func (g *gizmo) end(t *testing.T) []row {
	t.Helper()
	if err := g.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-g.done
	if !g.cmd.ProcessState.Success() {
		t.Errorf("gizmo: %v: %s", g.cmd.ProcessState, g.err.text())
	}
	return g.rows(t)
}

// row returns the event of a program; nil: gizmo has not shown it.
func (g *gizmo) row(t *testing.T, args string) *row {
	t.Helper()
	rows := g.rows(t)
	if i := slices.IndexFunc(rows, func(r row) bool { return r.Args == args }); i >= 0 {
		return &rows[i]
	}
	return nil
}

func (g *gizmo) rows(t *testing.T) (rows []row) {
	t.Helper()
	for line := range strings.Lines(g.out.text()) {
		if !strings.HasSuffix(line, "\n") {
			break // gizmo is writing it
		}
		var r row
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		rows = append(rows, r)
	}
	return rows
}
