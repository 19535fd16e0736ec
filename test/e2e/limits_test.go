// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// memoryGroup is a control group with a limit of memory.
type memoryGroup struct {
	dir string
	v2  bool
}

// newMemoryGroup makes a control group for processes of this test, and removes it at the test's end. It uses the memory
// controller where this machine has it: in the hierarchy of version 2, or of version 1.
func newMemoryGroup(t *testing.T, limit int) *memoryGroup {
	t.Helper()
	const root = "/sys/fs/cgroup"
	name := fmt.Sprintf("gizmo-e2e-%d", os.Getpid())
	g := &memoryGroup{dir: filepath.Join(root, "memory", name)}
	limitFile := "memory.limit_in_bytes"
	if controllers, err := os.ReadFile(filepath.Join(root, "cgroup.controllers")); err == nil && strings.Contains(string(controllers), "memory") {
		g.dir, g.v2, limitFile = filepath.Join(root, name), true, "memory.max"
		writeControl(t, filepath.Join(root, "cgroup.subtree_control"), "+memory")
	} else if !exists(filepath.Join(root, "memory", limitFile)) {
		kerneltest.Missing(t, "no control group of memory below %s", root)
	}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eventually(t, "the control group is empty", func() bool { return !errors.Is(unix.Rmdir(g.dir), unix.EBUSY) })
	})
	writeControl(t, filepath.Join(g.dir, limitFile), fmt.Sprint(limit))
	return g
}

func writeControl(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0); err != nil {
		t.Fatal(err)
	}
}

// join moves a process into the group.
func (g *memoryGroup) join(t *testing.T, p *process) {
	t.Helper()
	writeControl(t, filepath.Join(g.dir, "cgroup.procs"), fmt.Sprint(p.cmd.Process.Pid))
}

// start starts gizmo in the group.
func (g *memoryGroup) start(t *testing.T, args ...string) *process {
	t.Helper()
	return startProgram(t, setup{}, append([]string{"sh", "-c", `echo 0 >"$0/cgroup.procs" && exec "$@"`, g.dir, gizmoPath}, args...))
}

// wantNoKill checks that the kernel has killed no process for lack of memory.
func (g *memoryGroup) wantNoKill(t *testing.T) {
	t.Helper()
	file := "memory.oom_control"
	if g.v2 {
		file = "memory.events"
	}
	events, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(events), "oom_kill 0\n") {
		t.Errorf("the kernel has ended a process: %s", events)
	}
}

// bufferSizes returns the sizes of the ring buffers among the objects that a process holds.
func bufferSizes(t *testing.T, held []kerneltest.Object) (sizes []int) {
	t.Helper()
	for _, o := range held {
		if o.Kind != "map" {
			continue
		}
		m, err := ebpf.NewMapFromID(ebpf.MapID(o.ID))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if m.Type() == ebpf.RingBuf {
			sizes = append(sizes, int(m.MaxEntries()))
		}
	}
	return sizes
}

func wantBuffer(t *testing.T, held []kerneltest.Object, size int) {
	t.Helper()
	if got := bufferSizes(t, held); len(got) != 1 || got[0] != size {
		t.Errorf("ring buffers of %v bytes, want one of %d", got, size)
	}
}

// groupLimit is the memory limit of a small container.
const groupLimit = 64 << 20

// In a small control group gizmo takes a small buffer by itself, or the largest that leaves it enough, and
// counts exactly.
func TestSmallControlGroup(t *testing.T) {
	kerneltest.RequireRoot(t)
	for name, c := range map[string]struct {
		flags []string
		size  int
	}{
		"default": {nil, groupLimit / 64},
		"largest": {[]string{"--buffer-size", fmt.Sprint(groupLimit / 2)}, groupLimit / 2},
	} {
		t.Run(name, func(t *testing.T) {
			const opened = 20_000
			group, s := newMemoryGroup(t, groupLimit), startStorm(t)
			g := group.start(t, append([]string{"run", "trace_open", "--host", "-o", "json", "--fields", "proc.tid", "--pid", s.pid(), "-v"}, c.flags...)...)
			wantBuffer(t, g.waitAttached(t), c.size)
			s.open(t, opened, "/proc/version")
			g.interrupt(t)
			delivered := strings.Count(g.out.String(), "\n")
			want := account{produced: opened * len(s.cpus), delivered: delivered, lost: opened*len(s.cpus) - delivered}
			if got := ledgerOf(t, g); got != want || delivered < opened/10 {
				t.Errorf("the ledger says %+v, want %+v", got, want)
			}
			group.wantNoKill(t)
		})
	}
}

// A buffer for which the control group does not have the memory is an error, and the kernel kills no process.
func TestBufferBeyondControlGroup(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, size := range []int{groupLimit/2 + 1, groupLimit, 1 << 30} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			group := newMemoryGroup(t, groupLimit)
			g := group.start(t, "run", "trace_open", "--buffer-size", fmt.Sprint(size), "--timeout", "10")
			g.wantExit(t, 1)
			g.wantNoOut(t)
			g.wantErr(t, fmt.Sprintf("gizmo: buffer size: want at most %d bytes, got %d: this process may use %d bytes of memory", groupLimit/2, size, groupLimit))
			group.wantNoKill(t)
		})
	}
}

// Others in the group may have the memory. Then it is the kernel that refuses the buffer.
func TestSharedControlGroup(t *testing.T) {
	kerneltest.RequireRoot(t)
	group, hog := newMemoryGroup(t, groupLimit), startOnCommand(t, helperHog)
	group.join(t, hog.process)
	hog.open(t, 32, "/")
	g := group.start(t, "run", "trace_open", "--buffer-size", fmt.Sprint(groupLimit/2), "--timeout", "10")
	g.wantExit(t, 1)
	g.wantErr(t, "gizmo: the kernel refuses to load the gadget: it does not have enough memory: choose a smaller buffer", "cannot allocate memory (--buffer-size")
	group.wantNoKill(t)
	hog.commands.Close()
	hog.wait(t)
}

// The kernel wants a power of two, users need not.
func TestOddBufferSize(t *testing.T) {
	kerneltest.RequireRoot(t)
	for size, want := range map[string]int{"4096": 4096, "5000": 8192, "1000000": 1 << 20, "1048577": 2 << 20} {
		o := startOpener(t)
		g := start(t, setup{}, "run", "trace_open", "-o", "json", "--pid", o.pid(), "--buffer-size", size, "-v")
		wantBuffer(t, g.waitAttached(t), want)
		o.open(t, 5, "/proc/version")
		g.interrupt(t)
		if got, want := ledgerOf(t, g), (account{produced: 5, delivered: 5}); got != want {
			t.Errorf("--buffer-size %s: the ledger says %+v, want %+v", size, got, want)
		}
	}
}

func TestAbsurdBufferSizes(t *testing.T) {
	for _, size := range []string{"-1", "1", "4095", "1073741825", "1099511627776", "9223372036854775807", "9223372036854775808", "64M", ""} {
		g := run(t, setup{}, "run", "trace_open", "--buffer-size", size)
		g.wantExit(t, 1)
		g.wantNoOut(t)
		g.wantErr(t, "--buffer-size")
		if strings.Count(g.err.String(), "\n") != 1 {
			t.Errorf("%q: more than one line on standard error:\n%s", size, g.err.String())
		}
	}
}

// Little memory that may be locked does not matter to kernels that count otherwise, with and without the
// right to lift the limit.
func TestLimitOfLockedMemory(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, mode := range []string{helperLockLittle, helperLockLittleForGood} {
		t.Run(mode, func(t *testing.T) {
			o := startOpener(t)
			g := start(t, setup{helper: mode}, "run", "trace_open", "-o", "json", "--pid", o.pid(), "-v")
			g.waitAttached(t)
			o.open(t, 100, "/proc/version")
			g.interrupt(t)
			if got, want := ledgerOf(t, g), (account{produced: 100, delivered: 100}); got != want {
				t.Errorf("the ledger says %+v, want %+v", got, want)
			}
		})
	}
}

// Events that are held to be sorted take no more than the small control group has, and none is lost.
func TestSortInASmallControlGroup(t *testing.T) {
	kerneltest.RequireRoot(t)
	const opened = 40_000
	group, s := newMemoryGroup(t, groupLimit), startStorm(t)
	g := group.start(t, "run", "trace_open", "--host", "-o", "json", "--pid", s.pid(), "-v", "--sort", "-timestamp_raw", "--sort-window", "1h", "--shards", "1")
	g.waitAttached(t)
	s.open(t, opened, "/proc/version")
	g.interrupt(t)
	got := ledgerOf(t, g)
	if want := opened * len(s.cpus); got.produced != want || got.delivered+got.lost != want || got.delivered < want/2 {
		t.Errorf("the ledger says %+v, want %d events, most of them delivered", got, want)
	}
	group.wantNoKill(t)
}
