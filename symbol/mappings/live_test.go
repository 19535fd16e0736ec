// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// openTracker opens a tracker that follows processes, and closes it at the end of the test.
func openTracker(t testing.TB, o Options) *Tracker {
	t.Helper()
	kerneltest.RequireRoot(t)
	// The machine may be busy.
	if o.Wait == 0 {
		o.Wait = 20 * time.Second
	}
	if o.Keep == 0 {
		o.Keep = time.Minute
	}
	tracker, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tracker.Close() })
	if !o.WithoutPerf && tracker.Degraded() != nil {
		t.Fatal(tracker.Degraded())
	}
	return tracker
}

// one resolves an address.
func one(tracker *Tracker, pid uint32, at, addr uint64) Place {
	var out [1]Place
	tracker.Resolve(pid, nil, at, []uint64{addr}, out[:])
	return out[0]
}

// content makes a file whose bytes tell it apart from others.
func content(t testing.TB, path, text string) []byte {
	t.Helper()
	data := bytes.Repeat([]byte(text+" "), 1<<16/(len(text)+1)+1)
	kerneltest.WriteProgram(t, path, data)
	return data
}

// wantFile checks that a place is an offset of a file with these contents.
func wantFile(t testing.TB, what string, p Place, path string, offset uint64, data []byte) {
	t.Helper()
	if p.Kind != InFile || p.File == nil {
		t.Errorf("%s: %+v, want %s", what, p, path)
		return
	}
	if p.File.Path() != path || p.Offset != offset {
		t.Errorf("%s: %s+%#x, want %s+%#x", what, p.File.Path(), p.Offset, path, offset)
	}
	if !p.File.Opened() {
		t.Errorf("%s: %s was not opened", what, path)
		return
	}
	got, err := io.ReadAll(io.NewSectionReader(p.File, 0, p.File.Size()))
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%s: read %d bytes of %s, %v; want others, %d bytes", what, len(got), path, err, len(data))
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A process that was there before, and maps a file later, as dlopen does.
func TestMapsAfterStart(t *testing.T) {
	m := startMapper(t, nil)
	tracker := openTracker(t, Options{})
	path := filepath.Join(t.TempDir(), "library")
	data := content(t, path, "library")
	before := bootTime()
	addr := m.address("map %s", path)
	wantFile(t, "after it was mapped", one(tracker, m.pid, bootTime(), addr+0x234), path, 0x234, data)
	wantFile(t, "now", one(tracker, m.pid, 0, addr+0x234), path, 0x234, data)
	if p := one(tracker, m.pid, before, addr); p.Kind != Unknown {
		t.Errorf("before it was mapped: %+v", p)
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	addr, offset := executable(t, m.pid, exe)
	wantFile(t, "the executable", one(tracker, m.pid, bootTime(), addr), exe, offset, read(t, exe))
}

// The code that the kernel maps into each process, read in /proc and reported by the kernel.
func TestVDSO(t *testing.T) {
	before := startMapper(t, nil)
	tracker := openTracker(t, Options{})
	after := startMapper(t, nil)
	for what, m := range map[string]*mapper{"before": before, "after": after} {
		addr, _ := executable(t, m.pid, "[vdso]")
		if p := one(tracker, m.pid, bootTime(), addr); p.Kind != VDSO || p.Offset != 16 || p.File != nil {
			t.Errorf("a process that started %s: %+v, want offset 16 of the VDSO", what, p)
		}
	}
}

// executable returns an address in the executable mapping of a file, and its place in the file, as /proc shows them.
func executable(t testing.TB, pid uint32, path string) (addr, offset uint64) {
	t.Helper()
	for line := range strings.Lines(string(read(t, fmt.Sprintf("/proc/%d/maps", pid)))) {
		f := strings.Fields(line)
		if len(f) < 6 || f[5] != path || !strings.Contains(f[1], "x") {
			continue
		}
		lo, _, _ := strings.Cut(f[0], "-")
		addr, err := strconv.ParseUint(lo, 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		offset, err := strconv.ParseUint(f[2], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		return addr + 16, offset + 16
	}
	t.Fatalf("process %d does not map %s", pid, path)
	return 0, 0
}

// What was mapped is known by its time when another file took its place, and when the file was deleted.
func TestReplacedMapping(t *testing.T) {
	tracker := openTracker(t, Options{})
	m := startMapper(t, nil)
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	data1, data2 := content(t, first, "first"), content(t, second, "second")
	addr := m.address("map %s", first)
	at1 := bootTime()
	m.tell("replace %x %s", addr, second)
	at2 := bootTime()
	waitOpened(t, tracker, first)
	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	wantFile(t, "at the second time", one(tracker, m.pid, at2, addr), second, 0, data2)
	wantFile(t, "at the first time", one(tracker, m.pid, at1, addr), first, 0, data1)
	m.stop()
	wantFile(t, "at the second time, after the end", one(tracker, m.pid, at2, addr), second, 0, data2)
}

// An executable that is replaced at its path is another file, and so is one that is written to.
func TestReplacedFile(t *testing.T) {
	tracker := openTracker(t, Options{})
	path := filepath.Join(t.TempDir(), "library")
	data1 := content(t, path, "one")
	m1 := startMapper(t, nil)
	addr1 := m1.address("map %s", path)
	first := one(tracker, m1.pid, bootTime(), addr1)
	wantFile(t, "the first", first, path, 0, data1)

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	data2 := content(t, path, "two")
	m2 := startMapper(t, nil)
	addr2 := m2.address("map %s", path)
	second := one(tracker, m2.pid, bootTime(), addr2)
	wantFile(t, "the second", second, path, 0, data2)
	wantFile(t, "the first again", one(tracker, m1.pid, bootTime(), addr1), path, 0, data1)
	if first.File.ID() == second.File.ID() {
		t.Errorf("both have the identity %+v", first.File.ID())
	}

	time.Sleep(2 * time.Duration(recheckAfter))
	data3 := content(t, path, "three") // the same inode
	m3 := startMapper(t, nil)
	addr3 := m3.address("map %s", path)
	third := one(tracker, m3.pid, bootTime(), addr3)
	wantFile(t, "the third", third, path, 0, data3)
	if second.File.ID() == third.File.ID() {
		t.Error("a file that was written to has the same identity")
	}
	if _, err := second.File.ReadAt(make([]byte, 1), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the contents before that can be read: %v", err)
	}
}

// Exec: before it a process has what it forked with.
func TestForkThenExec(t *testing.T) {
	tracker := openTracker(t, Options{})
	dir := t.TempDir()
	path, other := filepath.Join(dir, "library"), filepath.Join(dir, "other")
	data := content(t, path, "library")
	kerneltest.WriteProgram(t, other, read(t, "/proc/self/exe"))
	m := startMapper(t, nil)
	addr := m.address("map %s", path)
	before := bootTime()
	if got := m.tell("exec %s", other); got != "ready" {
		t.Fatal(got)
	}
	code, offset := executable(t, m.pid, other)
	after := bootTime()
	waitOpened(t, tracker, other)
	m.stop()
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	wantFile(t, "before exec", one(tracker, m.pid, before, addr), path, 0, data)
	if p := one(tracker, m.pid, after, addr); p.Kind == InFile && p.File.Path() == path {
		t.Errorf("after exec: %s", p.File.Path())
	}
	wantFile(t, "after exec", one(tracker, m.pid, after, code), other, offset, read(t, "/proc/self/exe"))
}

// A process that is gone within a millisecond or so, and whose executable is deleted then.
func TestShortLived(t *testing.T) {
	tracker := openTracker(t, Options{})
	dir := t.TempDir()
	data := read(t, "/bin/true")
	const n = 50
	var pids [n]uint32
	var at [n]uint64
	path := func(i int) string { return filepath.Join(dir, "program"+strconv.Itoa(i)) }
	for i := range n {
		kerneltest.WriteProgram(t, path(i), data)
		cmd := exec.Command(path(i))
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		pids[i], at[i] = uint32(cmd.Process.Pid), bootTime()
	}
	for i := range n {
		addr, offset := lastMapped(t, tracker, pids[i], path(i))
		wantFile(t, "the program", one(tracker, pids[i], at[i], addr), path(i), offset, data)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	addr, offset := lastMapped(t, tracker, pids[0], path(0))
	wantFile(t, "the deleted program", one(tracker, pids[0], at[0], addr), path(0), offset, data)
}

// waitOpened waits until the tracker has opened a file, which takes longer than a process may live if the machine is busy.
func waitOpened(t testing.TB, tracker *Tracker, path string) {
	t.Helper()
	for range 500 {
		tracker.files.mu.Lock()
		for f := range tracker.files.open {
			if f.name.path == path {
				tracker.files.mu.Unlock()
				return
			}
		}
		tracker.files.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s was not opened", path)
}

// lastMapped returns an address of a file that a process had mapped, which has ended.
func lastMapped(t testing.TB, tracker *Tracker, pid uint32, path string) (addr, offset uint64) {
	t.Helper()
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	tracker.drain(always)
	for sp := tracker.state.procs[pid]; sp != nil; sp = sp.prev {
		for _, m := range sp.maps.list {
			if m.file != nil && m.file.name.path == path {
				return m.lo + 16, m.offset + 16
			}
		}
	}
	t.Fatalf("process %d has not mapped %s", pid, path)
	return 0, 0
}

// A process in a mount namespace of its own has files that this process does not see. When both are gone the file stays readable.
func TestMountNamespace(t *testing.T) {
	tracker := openTracker(t, Options{})
	kerneltest.RequireProgram(t, "unshare")
	dir := t.TempDir()
	const script = `mount -t tmpfs none "$1" && cp /bin/sleep "$1/program" && exec "$1/program" 60`
	cmd := exec.Command("unshare", "-m", "sh", "-c", script, "sh", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	path := filepath.Join(dir, "program")
	waitOpened(t, tracker, path)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal("the file is not hidden: ", err)
	}
	pid, at := uint32(cmd.Process.Pid), bootTime()
	addr, offset := executable(t, pid, path)
	cmd.Process.Kill()
	cmd.Wait()
	wantFile(t, "the program", one(tracker, pid, at, addr), path, offset, read(t, "/bin/sleep"))
}

// Overlay on two file systems: stat shows another device there than mappings do.
func TestOverlay(t *testing.T) {
	tracker := openTracker(t, Options{})
	dir := t.TempDir()
	for _, name := range []string{"lower", "upper", "merged"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount := func(source, name, kind, data string) {
		t.Helper()
		if err := unix.Mount(source, filepath.Join(dir, name), kind, 0, data); err != nil {
			t.Fatal(kind, err)
		}
		t.Cleanup(func() { unix.Unmount(filepath.Join(dir, name), unix.MNT_DETACH) })
	}
	mount("none", "lower", "tmpfs", "")
	mount("none", "upper", "tmpfs", "")
	for _, name := range []string{"upper/u", "upper/w"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	low := content(t, filepath.Join(dir, "lower/low"), "low")
	data := "lowerdir=" + dir + "/lower,upperdir=" + dir + "/upper/u,workdir=" + dir + "/upper/w"
	mount("none", "merged", "overlay", data)
	high := content(t, filepath.Join(dir, "merged/high"), "high")

	early := startMapper(t, nil)
	for name, data := range map[string][]byte{"merged/low": low, "merged/high": high} {
		path := filepath.Join(dir, name)
		m := startMapper(t, nil)
		addr := m.address("map %s", path)
		wantFile(t, name, one(tracker, m.pid, bootTime(), addr), path, 0, data)
		addr = early.address("map %s", path)
		second := openTracker(t, Options{})
		wantFile(t, name+" from /proc", one(second, early.pid, bootTime(), addr), path, 0, data)
		second.Close()
	}
}

// A process in a PID namespace has the PID that gizmo's own namespace gives it; its runtime knows another.
func TestPIDNamespace(t *testing.T) {
	tracker := openTracker(t, Options{})
	m := startMapper(t, func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	})
	path := filepath.Join(t.TempDir(), "library")
	data := content(t, path, "library")
	addr := m.address("map %s", path)
	wantFile(t, "the library", one(tracker, m.pid, bootTime(), addr), path, 0, data)
	addr = m.address("anonymous")
	p := one(tracker, m.pid, bootTime(), addr+8)
	if p.Kind != Anonymous || p.Process == nil || p.Process.PID != m.pid || p.Process.NSPID != 1 || p.Process.UID != 0 {
		t.Fatalf("code without a file: %+v of %+v", p, p.Process)
	}
	root, err := p.Process.OpenRoot()
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	m.stop()
	if _, err := p.Process.OpenRoot(); err == nil {
		t.Error("the root of a process that has ended was opened")
	}
	if p := one(tracker, m.pid, bootTime(), addr+8); p.Kind != Anonymous || p.Process == nil || p.Process.NSPID != 1 {
		t.Errorf("after its end: %+v", p)
	}
}

// A PID that is used again belongs to another process from then on.
func TestReusedPID(t *testing.T) {
	tracker := openTracker(t, Options{})
	dir := t.TempDir()
	path1, path2 := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	data1, data2 := content(t, path1, "one"), content(t, path2, "two")
	m1 := startMapper(t, nil)
	addr1 := m1.address("map %s", path1)
	at1 := bootTime()
	m1.stop()
	m2 := startWithPID(t, m1.pid)
	at2 := bootTime()
	if p := one(tracker, m1.pid, at2, addr1); p.Kind == InFile && p.File.Path() == path1 {
		t.Errorf("the new process has what the old one mapped: %s", p.File.Path())
	}
	m2.tell("replace %x %s", addr1, path2)
	wantFile(t, "the new process", one(tracker, m1.pid, bootTime(), addr1), path2, 0, data2)
	wantFile(t, "the old process", one(tracker, m1.pid, at1, addr1), path1, 0, data1)
}

// startWithPID starts a process that gets a PID which was another's.
func startWithPID(t *testing.T, pid uint32) *mapper {
	t.Helper()
	for range 200 {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(int(pid)-1)), 0); err != nil {
			kerneltest.Missing(t, "the kernel gives no choice of PIDs: %v", err)
		}
		m := startMapper(t, nil)
		if m.pid == pid {
			return m
		}
		m.stop()
	}
	t.Fatalf("no process got the PID %d again", pid)
	return nil
}

// Without perf events, gizmo makes sure that a process is the one that it read about.
func TestWithoutPerf(t *testing.T) {
	tracker := openTracker(t, Options{WithoutPerf: true})
	dir := t.TempDir()
	path, later := filepath.Join(dir, "library"), filepath.Join(dir, "later")
	data, data2 := content(t, path, "library"), content(t, later, "later")
	m := startMapper(t, nil)
	addr := m.address("map %s", path)
	time.Sleep(20 * time.Millisecond) // /proc rounds the start of a process
	at := bootTime()
	wantFile(t, "the library", one(tracker, m.pid, at, addr), path, 0, data)
	addr2 := m.address("map %s", later)
	time.Sleep(2 * time.Duration(staleAfter))
	wantFile(t, "one that came later", one(tracker, m.pid, bootTime(), addr2), later, 0, data2)

	proof, err := readProof(m.pid)
	if err != nil || proof.hash == 0 {
		t.Fatal(proof, err)
	}
	var out [1]Place
	m.stop()
	tracker.Resolve(m.pid, &Identity{BaseAddrHash: proof.hash}, bootTime(), []uint64{addr}, out[:])
	wantFile(t, "after the end, by identity", out[0], path, 0, data)
	tracker.Resolve(m.pid, &Identity{BaseAddrHash: proof.hash + 1}, bootTime(), []uint64{addr}, out[:])
	if out[0].Kind != Unknown {
		t.Errorf("another identity: %+v", out[0])
	}
	if p := one(tracker, m.pid, bootTime(), addr); p.Kind != Unknown {
		t.Errorf("after the end, without an identity: %+v", p)
	}
	wantFile(t, "before the end, without an identity", one(tracker, m.pid, at, addr), path, 0, data)
	m2 := startWithPID(t, m.pid)
	wantFile(t, "before the new process began", one(tracker, m2.pid, at, addr), path, 0, data)
	if p := one(tracker, m2.pid, bootTime(), addr); p.Kind == InFile && p.File.Path() == path {
		t.Errorf("the new process: %s", p.File.Path())
	}
}

// An identity that names another program than the process runs gives no names.
func TestIdentity(t *testing.T) {
	tracker := openTracker(t, Options{})
	m := startMapper(t, nil)
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(exe, &st); err != nil {
		t.Fatal(err)
	}
	addr, offset := executable(t, m.pid, exe)
	var out [1]Place
	right := Identity{Inode: st.Ino, ModifiedSec: uint64(st.Mtim.Sec), ModifiedNsec: uint32(st.Mtim.Nsec), BaseAddrHash: 1}
	tracker.Resolve(m.pid, &right, bootTime(), []uint64{addr}, out[:])
	wantFile(t, "the right identity", out[0], exe, offset, read(t, exe))
	right.Inode++ // as on overlay, for a file that was copied up
	tracker.Resolve(m.pid, &right, bootTime(), []uint64{addr}, out[:])
	wantFile(t, "the right time", out[0], exe, offset, read(t, exe))
	right.ModifiedNsec++
	tracker.Resolve(m.pid, &right, bootTime(), []uint64{addr}, out[:])
	if out[0].Kind != Unknown {
		t.Errorf("another identity: %+v", out[0])
	}
	if got := tracker.Stats().Doubtful; got != 1 {
		t.Errorf("%d doubtful look-ups, want 1", got)
	}
}
