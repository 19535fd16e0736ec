// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/cpus"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// Records that were lost leave a doubt, and what /proc says removes it.
func TestLostRecords(t *testing.T) {
	tracker := openTracker(t, Options{ringSize: ringMin})
	dir := t.TempDir()
	path1, path2 := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	data1, data2 := content(t, path1, "one"), content(t, path2, "two")
	m, ended := startMapper(t, nil), startMapper(t, nil)
	addr, addr2 := m.address("map %s", path1), ended.address("map %s", path1)
	before := bootTime()
	wantFile(t, "before", one(tracker, m.pid, before, addr), path1, 0, data1)

	tracker.mu.Lock() // so that the tracker cannot read the rings
	for range 200 {
		if err := exec.Command("/bin/true").Run(); err != nil {
			t.Error(err)
		}
	}
	m.tell("replace %x %s", addr, path2)
	ended.stop()
	tracker.mu.Unlock()
	at := bootTime()
	wantFile(t, "after the loss", one(tracker, m.pid, at, addr), path2, 0, data2)
	wantFile(t, "before the loss", one(tracker, m.pid, before, addr), path1, 0, data1)
	if p := one(tracker, ended.pid, at, addr2); p.Kind != Unknown {
		t.Errorf("a process that ended meanwhile: %+v", p)
	}
	wantFile(t, "before it ended", one(tracker, ended.pid, before, addr2), path1, 0, data1)
	// The kernel counts what was lost when it writes the next record of the CPU.
	for i := 0; tracker.Stats().Lost == 0; i++ {
		if i == 100 {
			t.Fatal("no lost records were counted")
		}
		if err := exec.Command("/bin/true").Run(); err != nil {
			t.Fatal(err)
		}
		one(tracker, m.pid, 0, addr)
	}
	for i := 0; ; i++ {
		tracker.mu.Lock()
		doubts := tracker.state.doubts
		tracker.mu.Unlock()
		if !doubts {
			break
		}
		if i == 100 {
			t.Fatal("processes are still in doubt")
		}
		time.Sleep(100 * time.Millisecond)
	}
	if got := tracker.Stats(); got.Doubtful == 0 {
		t.Errorf("no look-up was doubtful: %+v", got)
	}
}

// Close leaves no descriptor and no goroutine.
func TestCloseLeavesNothing(t *testing.T) {
	kerneltest.RequireRoot(t)
	count := func() (descriptors, goroutines int) {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(names), runtime.NumGoroutine()
	}
	fds, goroutines := count()
	for range 3 {
		tracker, err := Open(Options{})
		if err != nil {
			t.Fatal(err)
		}
		one(tracker, uint32(os.Getpid()), 0, 1)
		for range 2 {
			if err := tracker.Close(); err != nil {
				t.Error(err)
			}
		}
		if p := one(tracker, uint32(os.Getpid()), 0, 1); p.Kind != Unknown {
			t.Errorf("after Close: %+v", p)
		}
	}
	for i := 0; ; i++ {
		nowFds, nowGoroutines := count()
		if nowFds <= fds && nowGoroutines <= goroutines {
			break
		}
		if i == 100 {
			t.Fatalf("%d descriptors and %d goroutines, before that %d and %d", nowFds, nowGoroutines, fds, goroutines)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Without privileges the tracker says what it lacks, and does what it can.
func TestWithoutPrivileges(t *testing.T) {
	kerneltest.RequireRoot(t)
	// A copy that any user may run.
	dir, err := os.MkdirTemp("", "mappings")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "program")
	kerneltest.WriteProgram(t, program, read(t, "/proc/self/exe"))
	cmd := exec.Command(program, "look-at-itself")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	paranoid, err := strconv.Atoi(strings.TrimSpace(string(read(t, "/proc/sys/kernel/perf_event_paranoid"))))
	if err != nil {
		t.Fatal(err)
	}
	why, place, _ := strings.Cut(string(out), "\n")
	if paranoid > 0 && !strings.Contains(why, "CAP_PERFMON") || paranoid <= 0 && why != "<nil>" {
		t.Errorf("perf_event_paranoid is %d, and the tracker says %q", paranoid, why)
	}
	if want := program + " true\n"; place != want {
		t.Errorf("the process is in %q, want %q", place, want)
	}
}

// A look-up of a known process allocates nothing.
func TestResolveAllocatesNothing(t *testing.T) {
	tracker := openTracker(t, Options{})
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(exe, &st); err != nil {
		t.Fatal(err)
	}
	addr, _ := executable(t, uint32(os.Getpid()), exe)
	addrs := []uint64{addr, addr + 1, 1, addr + 2}
	out := make([]Place, len(addrs))
	id := &Identity{Inode: st.Ino}
	pid, at := uint32(os.Getpid()), bootTime()
	tracker.Resolve(pid, id, at, addrs, out)
	if out[0].Kind != InFile || !out[0].File.Opened() || out[2].Kind != Unknown {
		t.Fatalf("%+v", out)
	}
	for what, at := range map[string]uint64{"a time in the past": at, "now": 0} {
		if n := testing.AllocsPerRun(200, func() { tracker.Resolve(pid, id, at, addrs, out) }); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}

func BenchmarkResolve(b *testing.B) {
	tracker := openTracker(b, Options{})
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		b.Fatal(err)
	}
	addr, _ := executable(b, uint32(os.Getpid()), exe)
	addrs := make([]uint64, 24)
	for i := range addrs {
		addrs[i] = addr + uint64(i)
	}
	out := make([]Place, len(addrs))
	b.ReportAllocs()
	for b.Loop() {
		tracker.Resolve(uint32(os.Getpid()), nil, bootTime(), addrs, out)
	}
}

// A CPU that comes online later is followed from then on.
func TestNewCPU(t *testing.T) {
	all, err := cpus.Online()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 2 {
		kerneltest.Missing(t, "it needs two CPUs")
	}
	var more atomic.Bool
	tracker := openTracker(t, Options{online: func() ([]int, error) {
		if more.Load() {
			return all, nil
		}
		return all[:1], nil
	}})
	path := filepath.Join(t.TempDir(), "library")
	data := content(t, path, "library")
	last := strconv.Itoa(all[len(all)-1])
	m := startMapper(t, func(c *exec.Cmd) {
		program, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		c.Path = kerneltest.RequireProgram(t, "taskset")
		c.Args = []string{"taskset", "-c", last, program, "map-on-request"}
	})
	early := m.address("map %s", path)
	if p := one(tracker, m.pid, bootTime(), early); p.Kind == InFile && p.File.Path() == path {
		wantFile(t, "read in /proc", p, path, 0, data)
	}
	more.Store(true)
	for i := 0; ; i++ {
		tracker.mu.Lock()
		rings := len(tracker.rings)
		tracker.mu.Unlock()
		if rings == len(all) {
			break
		}
		if i == 100 {
			t.Fatalf("%d rings for %d CPUs", rings, len(all))
		}
		time.Sleep(100 * time.Millisecond)
	}
	wantFile(t, "what the process mapped before", one(tracker, m.pid, bootTime(), early), path, 0, data)
	addr := m.address("map %s", path)
	wantFile(t, "what it mapped after that", one(tracker, m.pid, bootTime(), addr), path, 0, data)
}

// The rings stay the same as long as the CPUs do, and the machine does not sleep.
func TestRingsStay(t *testing.T) {
	tracker := openTracker(t, Options{})
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	first := tracker.rings[0]
	for range 100 {
		tracker.followCPUs()
	}
	if tracker.rings[0] != first {
		t.Error("the rings were opened again")
	}
	tracker.slept -= time.Minute // as if the machine had slept since
	tracker.followCPUs()
	if tracker.rings[0] == first {
		t.Error("the rings were not opened again after the machine slept")
	}
}
