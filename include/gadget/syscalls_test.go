// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

package gadget_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/int80"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// calls are the names in __GADGET_CALLS, in its order.
func calls(t *testing.T) (names []string) {
	t.Helper()
	source, err := os.ReadFile("syscalls.bpf.h")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(source), "#define __GADGET_CALLS(X)")
	list, _, _ = strings.Cut(list, "\n\n")
	for _, m := range regexp.MustCompile(`\bX\(([A-Z0-9_]+),`).FindAllStringSubmatch(list, -1) {
		names = append(names, m[1])
	}
	if len(names) < 20 || len(names) > 32 {
		t.Fatal(names)
	}
	return names
}

// callNumbers reads the numbers of system calls from a header of the kernel.
func callNumbers(t *testing.T, header string) map[string]uint64 {
	t.Helper()
	text, err := os.ReadFile(header)
	if err != nil {
		skip(t, "needs the headers of the kernel: %v", err)
	}
	list := map[string]uint64{}
	for _, m := range regexp.MustCompile(`#define __NR_(\w+)\s+(?:\(__X32_SYSCALL_BIT \+ )?(\d+)`).FindAllStringSubmatch(string(text), -1) {
		var n uint64
		fmt.Sscan(m[2], &n)
		list[strings.ToUpper(m[1])] = n
	}
	return list
}

const asmHeaders = "/usr/include/x86_64-linux-gnu/asm/"

// The kernel's own lists are the oracle. A call that an architecture lacks has a number that no call has.
func TestCallNumbers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ arch, prefix, header string }{
		{"amd64", "GADGET_NR_", asmHeaders + "unistd_64.h"},
		{"amd64", "__GADGET_NR32_", asmHeaders + "unistd_32.h"},
		{"amd64", "__GADGET_NRX32_", asmHeaders + "unistd_x32.h"},
		{"arm64", "GADGET_NR_", "/usr/include/asm-generic/unistd.h"},
	} {
		if runtime.GOARCH == "arm64" && tt.arch == "amd64" {
			continue // the headers are of this machine
		}
		has := callNumbers(t, tt.header)
		source := "#include <gadget/syscalls.bpf.h>\n"
		for _, name := range calls(t) {
			want := " >= 0x10000"
			if n, ok := has[name]; ok {
				want = fmt.Sprint(" == ", n)
			}
			source += fmt.Sprintf("_Static_assert(%s%s%s, \"\");\n", tt.prefix, name, want)
		}
		cmd := exec.Command(clang(t), append(clangFlagsFor(tt.arch, "-fsyntax-only"), "-x", "c", "-")...)
		cmd.Stdin = strings.NewReader(source)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", tt.header, err, out)
		}
	}
}

// gadgetCall is struct gadget_call.
type gadgetCall struct {
	NR, PointerSize uint32
	Args            [6]uint64
}

type callResult struct {
	Given, Current, Resolved gadgetCall
	Syscall                  int64
	Raw, MayBe, Error, Seen  uint32
	IsCurrent, IsCompat      bool
	_                        [6]byte
}

// marked is the fifth argument of the calls that the tests make, none of which does anything.
const marked = 0x600d

// harmless has the kernel fail each call of this thread that is marked, before it does anything.
func harmless(t *testing.T) {
	t.Helper()
	const args, low = 16, 4*8 + 0
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: args + low},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: marked, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EXDEV)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	kerneltest.FilterCalls(t, filter)
}

// callWatcher runs the program for the calls of one thread.
type callWatcher struct {
	coll *ebpf.Collection
	seen uint32
}

func watchCalls(t *testing.T) *callWatcher {
	t.Helper()
	spec := parse(t, "syscalls")
	spec.Programs = map[string]*ebpf.ProgramSpec{"on_exit": spec.Programs["on_exit"]}
	coll := load(t, spec, globals{"only_tid": uint32(unix.Gettid()), "marker": uint64(marked)})
	l, err := link.AttachTracing(link.TracingOptions{Program: coll.Programs["on_exit"]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &callWatcher{coll: coll}
}

// after returns what the program found about the call that was just made.
func (w *callWatcher) after(t *testing.T, what string) callResult {
	t.Helper()
	r := get[callResult](t, w.coll, "result")
	if r.Seen != w.seen+1 || r.Error != uint32(unix.EXDEV) {
		t.Errorf("%s: seen %d times, error %d", what, r.Seen-w.seen, r.Error)
	}
	w.seen = r.Seen
	if !r.IsCurrent || r.Current != r.Given {
		t.Errorf("%s: given %+v, but the task has %+v, %t", what, r.Given, r.Current, r.IsCurrent)
	}
	return r
}

// Calls of all ABIs are reported as calls of the 64-bit ABI.
func TestCalls(t *testing.T) {
	requireKernel(t)
	if runtime.GOARCH != "amd64" {
		t.Log("other architectures have one ABI that is known")
	}
	native, old, x32 := callNumbers(t, asmHeaders+"unistd_64.h"), callNumbers(t, asmHeaders+"unistd_32.h"), callNumbers(t, asmHeaders+"unistd_x32.h")
	onOwnThread(func() {
		harmless(t)
		w := watchCalls(t)
		for i, name := range calls(t) {
			if nr, ok := native[name]; ok {
				unix.RawSyscall6(uintptr(nr), 1<<40+1, 1<<40+2, 1<<40+3, 1<<40+4, marked, 6)
				r := w.after(t, name)
				want := gadgetCall{uint32(nr), 8, [6]uint64{1<<40 + 1, 1<<40 + 2, 1<<40 + 3, 1<<40 + 4, marked, 6}}
				w.check(t, name, r, want, i, nr, nr)
			}
			if nr, ok := x32[name]; ok {
				const bit = 0x40000000
				unix.RawSyscall6(uintptr(nr|bit), 1, 2, 3, 4, marked, 6)
				r := w.after(t, name+" of x32")
				want := gadgetCall{uint32(native[name]), 4, [6]uint64{1, 2, 3, 4, marked, 6}}
				w.check(t, name+" of x32", r, want, i, nr, nr|bit)
			}
			if nr, ok := old[name]; ok && int80.Available() == nil {
				int80.Call(uintptr(nr), 1<<32-1, 2, 3, 4, marked)
				r := w.after(t, name+" of 32 bits")
				number, known := native[name]
				if !known {
					number = uint64(r.Given.NR) // the multiplexer, which has none
				}
				r.Given.Args[5] = 0 // the frame pointer
				want := gadgetCall{uint32(number), 4, [6]uint64{1<<32 - 1, 2, 3, 4, marked}}
				w.check(t, name+" of 32 bits", r, want, i, nr, nr|1<<32)
			}
		}
	})
}

func (w *callWatcher) check(t *testing.T, what string, r callResult, want gadgetCall, bit int, raw, syscall uint64) {
	t.Helper()
	if r.Given != want || r.Raw != uint32(raw) || r.Syscall != int64(syscall) || r.IsCompat != (syscall>>32 != 0) {
		t.Errorf("%s: got %+v, number %d, %#x; want %+v, %d, %#x", what, r.Given, r.Raw, r.Syscall, want, raw, syscall)
	}
	if r.MayBe&(1<<bit) == 0 {
		t.Errorf("%s: said to be none of its kind", what)
	}
}

// Other numbers, including those of a known call in another ABI, are not reported as known calls.
func TestOtherCalls(t *testing.T) {
	requireKernel(t)
	const none, x32Bit = 0x1ffff, 0x40000000
	onOwnThread(func() {
		harmless(t)
		w := watchCalls(t)
		for _, nr := range []uint32{unix.SYS_GETPID, 500} {
			unix.RawSyscall6(uintptr(nr), 1, 2, 3, 4, marked, 6)
			if r := w.after(t, "another call"); r.Given.NR != nr || r.MayBe != 0 {
				t.Errorf("call %d: taken for %d, %b", nr, r.Given.NR, r.MayBe)
			}
			if runtime.GOARCH != "amd64" {
				continue
			}
			unix.RawSyscall6(uintptr(nr|x32Bit), 1, 2, 3, 4, marked, 6)
			if r := w.after(t, "another call of x32"); r.Given.NR != none {
				t.Errorf("call %d of x32: taken for %d", nr, r.Given.NR)
			}
		}
		if int80.Available() != nil {
			t.Logf("no calls of 32-bit programs: %v", int80.Available())
			return
		}
		for _, nr := range []uintptr{20, 59 /* execve of 64 bits */, 257 /* openat */} {
			int80.Call(nr, 1, 2, 3, 4, marked)
			if r := w.after(t, "another call of 32 bits"); r.Given.NR != none {
				t.Errorf("call %d of 32 bits: taken for %d", nr, r.Given.NR)
			}
		}
	})
}

func TestSocketcalls(t *testing.T) {
	requireKernel(t)
	if runtime.GOARCH != "amd64" || int80.Available() != nil {
		t.Logf("no calls of 32-bit programs: %v", int80.Available())
		return
	}
	const socketcall, none = 102, 0x1ffff
	onOwnThread(func() {
		harmless(t)
		w := watchCalls(t)
		err := int80.With(func(low *int80.LowMemory) error {
			at := low.Numbers(77, 1<<32-8, 16)
			for kind, want := range map[uintptr]uint32{
				1: none, 2: unix.SYS_BIND, 3: unix.SYS_CONNECT, 5: unix.SYS_ACCEPT, 11: unix.SYS_SENDTO, 13: unix.SYS_SHUTDOWN,
				16: unix.SYS_SENDMSG, 18: unix.SYS_ACCEPT4, 20: unix.SYS_SENDMMSG, 99: none,
			} {
				int80.Call(socketcall, kind, at, 0, 0, marked)
				r := w.after(t, "socketcall").Resolved
				if r.NR != want || r.Args[0] != 77 || r.Args[1] != 1<<32-8 || r.Args[2] != 16 {
					t.Errorf("socketcall %d: got call %d of %d; want call %d", kind, r.NR, r.Args[:3], want)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestErrorOf(t *testing.T) {
	requireKernel(t)
	spec := parse(t, "syscalls")
	delete(spec.Programs, "on_exit")
	coll := load(t, spec, nil)
	for ret, want := range map[int64]uint32{
		0: 0, 7: 0, 1 << 40: 0, -1: 1, -2: 2, -511: 511, -512: 4, -514: 4, -516: 4, -517: 517, -4095: 4095,
	} {
		if got := run(t, coll.Programs["error_of"], uint64(ret)); got != want {
			t.Errorf("%d: error %d, want %d", ret, got, want)
		}
		restart := uint32(0)
		if ret <= -512 && ret >= -516 {
			restart = 1
		}
		if got := run(t, coll.Programs["is_restart"], uint64(ret)); got != restart {
			t.Errorf("%d: to be made again: %d", ret, got)
		}
	}
}

func TestTexts(t *testing.T) {
	requireKernel(t)
	spec := parse(t, "syscalls")
	delete(spec.Programs, "on_exit")
	coll := load(t, spec, nil)
	check := func(prog string, arg uint64, text string, length uint32, cut bool) {
		t.Helper()
		before := [9]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		if err := coll.Variables["text"].Set(before); err != nil {
			t.Fatal(err)
		}
		n := run(t, coll.Programs[prog], arg)
		got := get[[9]byte](t, coll, "text")
		if n != length || string(got[:len(text)+1]) != text+"\x00" || got[8] != 0xff || get[bool](t, coll, "cut") != cut {
			t.Errorf("%s: length %d, %q, cut: %t", prog, n, got, get[bool](t, coll, "cut"))
		}
	}
	for _, text := range []string{"", "a", "sixsix", "sevenle", "eighteig", "nine long"} {
		memory := append([]byte(text), 0)
		kept, length := text[:min(len(text), 7)], uint32(min(len(text)+1, 8))
		check("user_text", uint64(uintptr(unsafe.Pointer(&memory[0]))), kept, length, len(text) > 7)
		runtime.KeepAlive(memory)
		var from [16]byte
		copy(from[:], text)
		if err := coll.Variables["from"].Set(from); err != nil {
			t.Fatal(err)
		}
		check("kernel_text", 0, kept, length, len(text) > 7)
	}
	check("user_text", 1, "", 1, false)
	check("kernel_text", 1, "", 1, false)
}
