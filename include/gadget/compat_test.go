// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

package gadget_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// loadCompat loads one program of testdata/compat.bpf.c. Variable 7 of its results chooses the calls that count.
func loadCompat(t *testing.T, name string, pid int, counts uint64) *ebpf.Collection {
	t.Helper()
	spec := parse(t, "compat")
	spec.Programs = map[string]*ebpf.ProgramSpec{name: spec.Programs[name]}
	return load(t, spec, globals{"only_pid": uint32(pid), "results": [8]uint64{7: counts}})
}

func compatResults(t *testing.T, coll *ebpf.Collection) [8]uint64 {
	t.Helper()
	return get[[8]uint64](t, coll, "results")
}

// libc is the file with the function syscall that perl calls.
func libc(t *testing.T) string {
	t.Helper()
	for _, pattern := range []string{"/lib/*-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/usr/lib*/libc.so.6"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0]
		}
	}
	skip(t, "needs libc")
	return ""
}

// perl calls libc's syscall(number, arguments...), whose registers are those of any function.
func perl(t *testing.T, args ...uint64) {
	t.Helper()
	path, err := exec.LookPath("perl")
	if err != nil {
		skip(t, "needs perl: %v", err)
	}
	script := "syscall(" + strings.Trim(strings.Join(strings.Fields(fmt.Sprint(args)), ","), "[]") + ")"
	if out, err := exec.Command(path, "-e", script).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
}

func TestUprobeArguments(t *testing.T) {
	requireKernel(t)
	file, err := link.OpenExecutable(libc(t))
	if err != nil {
		t.Fatal(err)
	}
	coll := loadCompat(t, "on_syscall", 0, unix.SYS_GETPPID)
	l, err := file.Uprobe("syscall", coll.Programs["on_syscall"], nil)
	if err != nil {
		t.Fatal(err)
	}
	perl(t, unix.SYS_GETPPID, 1001, 1002, 1003, 1004, 1005)
	l.Close()
	if got, want := compatResults(t, coll), [8]uint64{1001, 1002, 1003, 1004, 1005, 1, 0, unix.SYS_GETPPID}; got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

func TestUretprobe(t *testing.T) {
	requireKernel(t)
	file, err := link.OpenExecutable(libc(t))
	if err != nil {
		t.Fatal(err)
	}
	coll := loadCompat(t, "after_syscall", 0, 0)
	l, err := file.Uretprobe("syscall", coll.Programs["after_syscall"], nil)
	if err != nil {
		t.Fatal(err)
	}
	perl(t, unix.SYS_GETPPID)
	l.Close()
	if got := compatResults(t, coll)[6]; got != uint64(os.Getpid()) {
		t.Errorf("perl's parent is %d, want %d", got, os.Getpid())
	}
}

// Direct loads and probe reads must return the same values for a system call's registers.
func TestSyscallArguments(t *testing.T) {
	requireKernel(t)
	attach := map[string]func(p *ebpf.Program) (link.Link, error){
		"on_sys_enter": func(p *ebpf.Program) (link.Link, error) {
			return link.AttachRawTracepoint(link.RawTracepointOptions{Name: "sys_enter", Program: p})
		},
		"on_btf_sys_enter": func(p *ebpf.Program) (link.Link, error) {
			return link.AttachTracing(link.TracingOptions{Program: p})
		},
	}
	for name, attach := range attach {
		coll := loadCompat(t, name, os.Getpid(), unix.SYS_GETPPID)
		l, err := attach(coll.Programs[name])
		if err != nil {
			t.Fatal(err)
		}
		unix.RawSyscall6(unix.SYS_GETPPID, 11, 12, 13, 14, 15, 16)
		l.Close()
		if got, want := compatResults(t, coll), [8]uint64{11, 14, 15, 16, 0, 1, 0, unix.SYS_GETPPID}; got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
}

// Where the kernel has kprobes, they run; elsewhere the programs are only loaded.
func TestKprobeArguments(t *testing.T) {
	requireKernel(t)
	const length = 3 * 4096 // no other mapping of this process has it
	kprobes := kernelHas("/sys/bus/event_source/devices/kprobe")
	for name, symbol := range map[string]string{"on_mmap": "sys_mmap", "on_ksys_mmap": "ksys_mmap_pgoff"} {
		coll := loadCompat(t, name, os.Getpid(), length)
		if !kprobes {
			t.Logf("%s: this kernel has no kprobes", name)
			continue
		}
		l, err := link.Kprobe(symbol, coll.Programs[name], nil)
		if err != nil {
			t.Fatal(err)
		}
		file := open(t, "/proc/self/exe", unix.O_RDONLY)
		const offset = 1 << 12
		addr, _, errno := unix.Syscall6(unix.SYS_MMAP, 0, length, unix.PROT_READ, unix.MAP_PRIVATE, uintptr(file), offset)
		if errno != 0 {
			t.Fatal(errno)
		}
		l.Close()
		unix.Syscall(unix.SYS_MUNMAP, addr, length, 0)
		last := uint64(offset)
		if name == "on_ksys_mmap" {
			last /= 4096 // in pages
		}
		want := [8]uint64{0, unix.PROT_READ, unix.MAP_PRIVATE, uint64(file), last, 1, 0, length}
		if got := compatResults(t, coll); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
}

func kernelHas(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// hasFunction reports whether the kernel offers a function to programs.
func hasFunction(t *testing.T, name string) bool {
	t.Helper()
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var f *btf.Func
	return kernel.TypeByName(name, &f) == nil
}

func TestLoops(t *testing.T) {
	requireKernel(t)
	coll := loadCompat(t, "loops", 0, 0)
	bounds := loadCompat(t, "bounds", 0, 0)
	if !hasFunction(t, "bpf_iter_num_new") {
		if run(t, coll.Programs["loops"], 10) != 7 || run(t, bounds.Programs["bounds"]) != 7 {
			t.Error("loops on a kernel that has none")
		}
		return
	}
	for _, n := range []uint64{0, 1, 10, 100000} {
		if run(t, coll.Programs["loops"], n) != 0 {
			t.Fatal("no loops")
		}
		var want [8]uint64
		for i := uint64(0); i < n && i <= 1000; i += 2 {
			want[0] += i
			want[1] += 10
		}
		want[2] = n
		for i := uint64(5); i < n; i++ {
			want[3] += i
		}
		if got := compatResults(t, coll); got != want {
			t.Errorf("%d times: got %d, want %d", n, got, want)
		}
	}
	run(t, bounds.Programs["bounds"])
	for i, got := range get[[100]uint64](t, bounds, "table") {
		if got != uint64(i) {
			t.Errorf("entry %d is %d", i, got)
		}
	}
}

func TestCast(t *testing.T) {
	requireKernel(t)
	coll := loadCompat(t, "cast", 0, 0)
	has := hasFunction(t, "bpf_rdonly_cast")
	onOwnThread(func() {
		got := run(t, coll.Programs["cast"])
		if !has {
			if got != 7 {
				t.Error("casts on a kernel that has none")
			}
			return
		}
		if r := compatResults(t, coll); got != 0 || r[0] != uint64(unix.Gettid()) || r[1] != 0 {
			t.Errorf("returned %d: thread %d, want %d; at a bad address: %d", got, r[0], unix.Gettid(), r[1])
		}
	})
}

// The compiler's own way to write bit fields is the oracle.
func TestWriteBitfield(t *testing.T) {
	requireKernel(t)
	coll := loadCompat(t, "bitfield", 0, 0)
	for doff := range uint64(18) {
		for syn := range uint64(3) {
			if run(t, coll.Programs["bitfield"], doff, syn) != 0 {
				t.Errorf("%d, %d: not what the compiler makes of it", doff, syn)
			}
			if got, want := compatResults(t, coll), [8]uint64{doff % 16, syn % 2}; got != want {
				t.Errorf("%d, %d: read back as %d", doff, syn, got[:2])
			}
		}
	}
}
