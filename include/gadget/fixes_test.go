// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

package gadget_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// loadFix loads one program of testdata/fixes.bpf.c.
func loadFix(t *testing.T, name string, set globals) *ebpf.Collection {
	t.Helper()
	spec := parse(t, "fixes")
	spec.Programs = map[string]*ebpf.ProgramSpec{name: spec.Programs[name]}
	return load(t, spec, set)
}

func results(t *testing.T, coll *ebpf.Collection) [16]uint64 {
	t.Helper()
	return get[[16]uint64](t, coll, "results")
}

// states are those of a task by the letter that /proc has for them.
var states = map[string]uint64{"R": 0, "S": 1, "D": 2, "T": 4}

func TestTaskState(t *testing.T) {
	requireKernel(t)
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		child.Process.Kill()
		child.Wait()
	}()
	coll := loadFix(t, "task_state", globals{"only_pid": uint32(child.Process.Pid)})
	iter, err := link.AttachIter(link.IterOptions{Program: coll.Programs["task_state"]})
	if err != nil {
		t.Fatal(err)
	}
	defer iter.Close()

	for letter, signal := range map[string]syscall.Signal{"S": syscall.SIGCONT, "T": syscall.SIGSTOP} {
		if err := child.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		waitForState(t, child.Process.Pid, letter)
		iterate(t, iter)
		// Above the states there are flags: that a signal may end it, that it may be frozen.
		if got := results(t, coll); got[1] != 1 || got[0]&0xff != states[letter] {
			t.Errorf("%s: got %v, want state %d", letter, got[:2], states[letter])
		}
	}
}

func iterate(t *testing.T, iter *link.Iter) {
	t.Helper()
	reader, err := iter.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := io.Copy(io.Discard, reader); err != nil {
		t.Fatal(err)
	}
}

func waitForState(t *testing.T, pid int, letter string) {
	t.Helper()
	for range 500 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if strings.HasPrefix(rest, letter) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("process %d does not come into state %s", pid, letter)
}

// TestHas compares with the kernel's types, read in another way.
func TestHas(t *testing.T) {
	requireKernel(t)
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	has := func(name string) bool {
		types, err := kernel.AnyTypesByName(name)
		return err == nil && len(types) > 0
	}
	var renamedata *btf.Struct
	if err := kernel.TypeByName("renamedata", &renamedata); err != nil && !errors.Is(err, btf.ErrNotFound) {
		t.Fatal(err)
	}
	member := func(names ...string) (found bool) {
		for _, m := range renamedata.Members {
			for _, name := range names {
				found = found || m.Name == name
			}
		}
		return found
	}
	want := []bool{
		has("trace_event_raw_block_rq_completion"), has("trace_event_raw_kfree"), has("trace_event_raw_kmem_cache_free"),
		renamedata != nil && member("old_mnt_userns"), renamedata != nil && member("new_mnt_idmap", "mnt_idmap"),
	}
	coll := loadFix(t, "has", nil)
	got := run(t, coll.Programs["has"])
	for i, want := range want {
		if got>>i&1 == 1 != want {
			t.Errorf("number %d: %v, want %v", i, !want, want)
		}
	}
}

func TestInodeTimes(t *testing.T) {
	requireKernel(t)
	coll := loadFix(t, "times", nil)
	path := filepath.Join(t.TempDir(), "file")
	fd := open(t, path, unix.O_CREAT|unix.O_RDWR)
	check := func() {
		t.Helper()
		// Twice: before and after a call, here fstat, that reads the times.
		var got [2][16]uint64
		var st unix.Stat_t
		run(t, coll.Programs["times"], uint64(fd))
		got[0] = results(t, coll)
		if err := unix.Fstat(fd, &st); err != nil {
			t.Fatal(err)
		}
		run(t, coll.Programs["times"], uint64(fd))
		got[1] = results(t, coll)
		for i, got := range got {
			if ctime := uint64(st.Ctim.Nano()); got[0] != ctime {
				t.Errorf("%d: changed at %d, want %d", i, got[0], ctime)
			}
			if mtime := uint64(st.Mtim.Nano()); got[1] != mtime {
				t.Errorf("%d: written at %d, want %d", i, got[1], mtime)
			}
		}
	}
	check()
	if err := os.Chtimes(path, time.Unix(1, 2), time.Unix(3, 999999999)); err != nil {
		t.Fatal(err)
	}
	check()
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	check()
	if _, err := unix.Write(fd, []byte("x")); err != nil {
		t.Fatal(err)
	}
	check()
}

func TestSyscallRegisters(t *testing.T) {
	requireKernel(t)
	onOwnThread(func() {
		coll := loadFix(t, "sys_enter", globals{"only_pid": uint32(unix.Gettid()), "results": [16]uint64{8: unix.SYS_GETPPID}})
		l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: "sys_enter", Program: coll.Programs["sys_enter"]})
		if err != nil {
			t.Error(err)
			return
		}
		args := [6]uintptr{1 << 40, 2, 0x33333333, ^uintptr(0), 5, 1<<63 | 6}
		unix.RawSyscall6(unix.SYS_GETPPID, args[0], args[1], args[2], args[3], args[4], args[5])
		l.Close()
		got := results(t, coll)
		for i, arg := range args {
			if got[i+1] != uint64(arg) {
				t.Errorf("argument %d is %#x, want %#x", i+1, got[i+1], arg)
			}
		}
		if got[0] != 1 {
			t.Errorf("seen %d times", got[0])
		}
	})
}

// diskOf finds the disk that a folder is on, as the kernel numbers it.
func diskOf(t *testing.T, dir string) (disk uint32, ok bool) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		t.Fatal(err)
	}
	sys := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	if _, err := os.Stat(sys + "/partition"); err == nil {
		sys += "/.."
	}
	number, err := os.ReadFile(sys + "/dev")
	if err != nil {
		return 0, false
	}
	major, minor, _ := strings.Cut(strings.TrimSpace(string(number)), ":")
	a, aErr := strconv.ParseUint(major, 10, 12)
	b, bErr := strconv.ParseUint(minor, 10, 20)
	if aErr != nil || bErr != nil {
		t.Fatalf("disk %q", number)
	}
	return uint32(a<<20 | b), true
}

// Bytes written to a disk must come by as requests and bios of that disk.
func TestDisks(t *testing.T) {
	requireKernel(t)
	dir := t.TempDir()
	disk, ok := diskOf(t, dir)
	if !ok { // in the lab's machine all is in memory
		t.Log("no disk here: the programs are only loaded")
	}
	for i, name := range []string{"rq_issue", "bio_queue"} {
		coll := loadFix(t, name, globals{"only_disk": disk})
		if !ok {
			continue
		}
		hook := map[string]string{"rq_issue": "block_rq_issue", "bio_queue": "block_bio_queue"}[name]
		l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: hook, Program: coll.Programs[name]})
		if err != nil {
			t.Fatal(err)
		}
		file, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(make([]byte, 1<<16)); err != nil {
			t.Error(err)
		}
		if err := file.Sync(); err != nil {
			t.Error(err)
		}
		file.Close()
		l.Close()
		if got := results(t, coll); got[i] == 0 {
			t.Errorf("%s: nothing of disk %d:%d", name, disk>>20, disk&(1<<20-1))
		}
	}
}

// A connection whose first packet gets no answer, because the listener's queue is full.
func TestTCPRetransmit(t *testing.T) {
	requireKernel(t)
	mountTracefs(t)
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(listener)
	if err := unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(listener, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(listener)
	if err != nil {
		t.Fatal(err)
	}
	to := fmt.Sprint("127.0.0.1:", name.(*unix.SockaddrInet4).Port)
	first, err := net.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()

	from := freePort(t)
	coll := loadFix(t, "retransmit", globals{"only_port": uint32(from)})
	l, err := link.Tracepoint("tcp", "tcp_retransmit_skb", coll.Programs["retransmit"], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: from}, Timeout: 1500 * time.Millisecond}
	if second, err := dialer.Dial("tcp", to); err == nil {
		second.Close()
		t.Fatal("there was room in the queue")
	}
	const syn = 2
	if got := results(t, coll); got[1] == 0 || got[0] != syn {
		t.Errorf("seen %d times, a packet with flags %#x, want %#x", got[1], got[0], syn)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestUnreachable(t *testing.T) {
	requireKernel(t)
	loadFix(t, "unreachable", nil)
	spec := parse(t, "fixes")
	spec.Programs = map[string]*ebpf.ProgramSpec{"unreachable": spec.Programs["unreachable"]}
	_, err := tryLoad(t, spec, globals{"come_here": true})
	if err == nil || !strings.Contains(verbose(err), "unknown#195896080") {
		t.Errorf("error %v", err)
	}
}
