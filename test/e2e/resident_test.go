// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/stage/stack"
)

// The most memory that a run may use, by the kernel's figures: everything counts, including the pages of the program's file. How many of
// these the kernel maps around a page in use differs by 2 MiB from machine to machine.
const (
	// idleMemoryBudget is for a run that waits for events.
	idleMemoryBudget = 13 << 20
	// startMemoryBudget is for its start, where the kernel's types can be mapped, and readTypesBudget where they cannot.
	startMemoryBudget = 34 << 20
	readTypesBudget   = 38 << 20
	// socketsBudget comes on top for gadgets that ask for the owners of sockets: gizmo reads the objects that find them.
	socketsBudget = 8 << 20
	// stacksBudget comes on top for gadgets with stacks: gizmo keeps the names of the kernel's functions. startStacksBudget is for the start: most
	// of the programs of trace_malloc have the code that takes stacks, until gizmo finds that the params leave it out. The peak differs by 5 MiB
	// from run to run.
	stacksBudget      = 5 << 20
	startStacksBudget = 12 << 20
	// restMemoryBudget is for a run that waits again after a storm. Go gives the memory of the storm back to the system within minutes.
	restMemoryBudget = 18 << 20
	// stormMemoryBudget is for a storm of events, without the event buffer.
	stormMemoryBudget = 24 << 20
)

// A run that waits is small, whatever the gadget and however large its buffer, and its start is not much larger.
func TestIdleMemoryBudget(t *testing.T) {
	kerneltest.RequireRoot(t)
	startBudget := readTypesBudget
	if typesCanBeMapped(t) {
		startBudget = startMemoryBudget
	}
	for _, name := range gadgetNames(t) {
		t.Run(name, func(t *testing.T) {
			w := startWorkload(t, name, t.TempDir())
			if w.Snapshot || len(hooksOf(t, name, w.Args).missing(offered(t))) > 0 {
				return // it does not wait, or TestGadgets checks the error about it
			}
			g := start(t, setup{}, append([]string{"run", name, "-o", "json"}, w.Args...)...)
			g.waitAttached(t)
			idle, budget := idleMemoryBudget, startBudget
			if hasStacks(t, name) {
				idle, budget = idle+stacksBudget, budget+startStacksBudget
			}
			m := g.waitSmall(t, idle)
			t.Logf("%s: %v", name, m)
			if asksForSockets(t, name) {
				budget += socketsBudget
			}
			if m.peak > budget {
				t.Errorf("%s: the budget of the start is %d MiB, and it took %v", name, budget>>20, m)
			}
			g.interrupt(t)
		})
	}
}

func asksForSockets(t *testing.T, name string) bool {
	t.Helper()
	img, err := catalog.Builtin(name)
	if err != nil {
		t.Fatal(err)
	}
	return img.HasMap(gadget.SocketsMap)
}

func hasStacks(t *testing.T, name string) bool {
	t.Helper()
	img, err := catalog.Builtin(name)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(img.DataSources, func(d image.DataSource) bool { return stack.HasStacks(d.Schema) })
}

// A storm may fill the buffer, whose pages count as gizmo's while they are read, and takes little else. After it the run is as
// small as before.
func TestMemoryAfterAStorm(t *testing.T) {
	kerneltest.RequireRoot(t)
	o := startOpener(t)
	g := start(t, setup{}, "run", "trace_open", "-o", "json", "--pid", o.pid())
	g.waitAttached(t)
	const opened = 100_000
	o.open(t, opened, "/proc/version")
	eventually(t, "the last event comes out", func() bool {
		o.open(t, 1, "/proc/nonexistent/last")
		return lastPath.MatchString(g.out.tail(4096))
	})
	m := g.waitSmall(t, restMemoryBudget)
	buffer := gadget.DefaultBufferSize()
	t.Logf("after %d events with a buffer of %d MiB: %v", opened, buffer>>20, m)
	if m.peak > stormMemoryBudget+buffer {
		t.Errorf("the budget of a storm is %d MiB and the buffer of %d, and it took %v", stormMemoryBudget>>20, buffer>>20, m)
	}
	g.interrupt(t)
}

var lastPath = regexp.MustCompile(`"fname":"/proc/nonexistent/last"`)

// waitSmall waits until the program is within the budget, and returns its memory then.
func (p *process) waitSmall(t *testing.T, budget int) resident {
	t.Helper()
	const most = 10 * time.Second
	time.Sleep(300 * time.Millisecond) // a moment after its start it releases the memory of the start
	for deadline := time.Now().Add(most); ; time.Sleep(50 * time.Millisecond) {
		m := residentOf(t, p.cmd.Process.Pid)
		if m.now <= budget {
			return m
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v without an event it takes %v; the budget is %d MiB", most, m, budget>>20)
		}
	}
}

// resident is the memory of a process, in bytes.
type resident struct {
	now, peak       int
	anonymous, file int // parts of now: memory of its own, and pages of files and of event buffers
}

func (r resident) String() string {
	mib := func(n int) float64 { return float64(n) / (1 << 20) }
	return fmt.Sprintf("%.1f MiB (%.1f of its own, %.1f of files and buffers), at its peak %.1f", mib(r.now), mib(r.anonymous), mib(r.file), mib(r.peak))
}

var residentLine = regexp.MustCompile(`(?m)^(VmHWM|VmRSS|RssAnon|RssFile):\s+(\d+) kB$`)

// residentOf reads the memory of a running process. The kernel's figures for an ended process would include the memory of the test, because
// the process was a copy of the test before exec.
func residentOf(t *testing.T, pid int) resident {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	bytes := make(map[string]int)
	for _, m := range residentLine.FindAllSubmatch(status, -1) {
		n, err := strconv.Atoi(string(m[2]))
		if err != nil {
			t.Fatal(err)
		}
		bytes[string(m[1])] = n << 10
	}
	if len(bytes) != 4 || bytes["RssAnon"] == 0 || bytes["RssFile"] == 0 {
		t.Fatalf("not all of a process's memory is in %s", status)
	}
	return resident{now: bytes["VmRSS"], peak: bytes["VmHWM"], anonymous: bytes["RssAnon"], file: bytes["RssFile"]}
}

// typesCanBeMapped reports whether the kernel lets its types be mapped into memory (since Linux 6.16). Where it does not, each
// start of a gadget reads them, several MiB.
func typesCanBeMapped(t *testing.T) bool {
	t.Helper()
	f, err := os.Open("/sys/kernel/btf/vmlinux")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page, err := unix.Mmap(int(f.Fd()), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return false
	}
	return unix.Munmap(page) == nil
}
