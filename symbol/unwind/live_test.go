// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build amd64

package unwind

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// liveSamples is the number of samples of each program; 997 a second.
const liveSamples = 150

// TestStacksOfC unwinds real samples. Every one of them must be complete, and have the functions that the source has.
func TestStacksOfC(t *testing.T) {
	levels := "level3 level2 level1 main"
	for _, test := range []struct {
		what  string
		flags string
		want  string // functions that follow each other, though others may be between
	}{
		{"levels", "-O2 -fomit-frame-pointer", levels},
		{"levels", "-O2 -fno-omit-frame-pointer", levels},
		{"levels", "-O0", levels},
		{"levels", "-O2 -no-pie", levels},
		{"levels", "-O2 -static", levels},
		{"levels", "-O2 -static -Wl,--no-eh-frame-hdr", levels},
		{"levels", "-O2 -Wl,--no-eh-frame-hdr", levels},
		{"sort", "-O2", "qsort_r sorter main"},
		{"sort", "-O2 -fno-omit-frame-pointer", "qsort_r sorter main"},
		{"sort", "-O2 -static", "sorter main"},
		{"deep", "-O2 -fno-optimize-sibling-calls", "level3 level2 level1 deep deep deep main"},
		{"variable", "-O2", "main"},
		{"aligned", "-O2", levels},
		{"signal", "-O2", "interrupted main"},
		{"signal", "-O2 -static", "interrupted main"},
		{"clock", "-O2", "clock_gettime clock_reader main"},
		{"clock", "-O2 -static", "clock_reader main"},
		{"made", "-O2", "level3 level2 level1 [anonymous] main"},
		{"made", "-O2 -static", "level3 level2 level1 [anonymous] main"},
	} {
		t.Run(test.what+" "+test.flags, func(t *testing.T) {
			program := compile(t, "spin.c", strings.Fields(test.flags)...)
			checkStacks(t, start(t, program, test.what), strings.Fields(test.want), "_start")
		})
	}
}

// TestStacksOfThread expects stacks that end in the function that starts a thread. Most C libraries have no name for it.
func TestStacksOfThread(t *testing.T) {
	for _, flags := range []string{"-O2 -pthread", "-O2 -pthread -static"} {
		tg := start(t, compile(t, "spin.c", strings.Fields(flags)...), "thread")
		tg.second(t)
		checkStacks(t, tg, strings.Fields("level3 level2 level1 in_thread"), "clone3", "__clone3", "clone", "["+filepath.Base(libc(t))+"]")
	}
}

// checkStacks expects functions on each stack, and one of the outermost.
func checkStacks(t *testing.T, tg *target, want []string, outermost ...string) {
	u := NewUnwinder()
	out := make([]uint64, 256)
	const madeCode = "[anonymous]"
	// Code that was made at run time has no CFI. Before it has set up its frame pointer, and after it has restored its caller's, nothing
	// says where its caller is.
	bad, frameless := 0, 0
	seen := map[string]int{}
	for _, s := range tg.take(t, liveSamples) {
		n, truncated := u.Unwind(&s.sample.Registers, s.sample.Stack, tg.find, out)
		names := tg.names(out[:n])
		seen[strings.Join(names, " ")]++
		if slices.Contains(want, madeCode) && truncated && slices.Equal(names, []string{madeCode}) {
			frameless++
			continue
		}
		if truncated || !slices.Contains(outermost, names[n-1]) || !follow(names, want) {
			if bad++; bad <= 3 {
				t.Errorf("truncated %v: %v, want %v, to %v", truncated, names, want, outermost)
			}
		}
	}
	if bad > 0 || frameless > liveSamples/50 {
		t.Errorf("%d of %d samples are wrong, %d have no frame", bad, liveSamples, frameless)
	}
	t.Logf("%d distinct: %.300v", len(seen), seen)
}

// follow says whether all of want are in names, in that order. The innermost functions may be missing: a sample
// can be taken between two calls of main.
func follow(names, want []string) bool {
	for len(want) > 0 && !slices.Contains(names, want[0]) {
		want = want[1:]
	}
	for _, w := range want {
		i := slices.Index(names, w)
		if i < 0 {
			return false
		}
		names = names[i+1:]
	}
	return len(want) > 0
}

// TestStackDeeperThanItsCopy expects what is in the copy, and that there is more.
func TestStackDeeperThanItsCopy(t *testing.T) {
	program := compile(t, "spin.c", "-O2", "-fno-optimize-sibling-calls")
	tg := start(t, program, "deepest")
	u := NewUnwinder()
	out := make([]uint64, 10000)
	for _, s := range tg.take(t, 20) {
		n, truncated := u.Unwind(&s.sample.Registers, s.sample.Stack, tg.find, out)
		names := tg.names(out[:n])
		if slices.Contains(names, "main") {
			continue // near its start
		}
		if !truncated || n < 100 || names[n-1] != "deep" {
			t.Errorf("truncated %v, %d calls, the last %v", truncated, n, names[max(0, n-5):])
		}
	}
}

// TestStackOfSignalHandler looks for stacks on which the kernel called a handler.
func TestStackOfSignalHandler(t *testing.T) {
	tg := start(t, compile(t, "spin.c", "-O2"), "signal")
	u := NewUnwinder()
	out := make([]uint64, 256)
	handled := 0
	for _, s := range tg.take(t, liveSamples) {
		n, _ := u.Unwind(&s.sample.Registers, s.sample.Stack, tg.find, out)
		names := tg.names(out[:n])
		if i := slices.Index(names, "handle"); i >= 0 {
			handled++
			if !slices.Contains(names[i:], "main") {
				t.Errorf("%v", names)
			}
		}
	}
	if handled < liveSamples/10 {
		t.Errorf("only %d of %d samples are in the handler", handled, liveSamples)
	}
}

// TestStacksOfGo expects what the kernel finds by frame pointers, which Go's programs have, and no CFI.
func TestStacksOfGo(t *testing.T) {
	goTool := kerneltest.RequireProgram(t, "go")
	for _, flags := range []string{"-ldflags=", "-ldflags=-s -w", "-buildmode=pie"} {
		t.Run(flags, func(t *testing.T) {
			dir := t.TempDir()
			source, err := os.ReadFile(filepath.Join("testdata", "spin.go.txt"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "main.go"), source, 0o600); err != nil {
				t.Fatal(err)
			}
			program := filepath.Join(dir, "program")
			build := exec.Command(goTool, "build", flags, "-o", program, filepath.Join(dir, "main.go"))
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			if text, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			t.Run("within the copy", func(t *testing.T) { checkGo(t, start(t, program), true) })
			t.Run("beyond the copy", func(t *testing.T) { checkGo(t, start(t, program, "large"), false) })
		})
	}
}

// checkGo expects the kernel's stacks; if the copies have only parts of them, then those.
func checkGo(t *testing.T, tg *target, within bool) {
	u := NewUnwinder()
	out := make([]uint64, 127)
	unclear, parts := 0, 0
	for _, s := range tg.take(t, liveSamples) {
		n, truncated := u.Unwind(&s.sample.Registers, s.sample.Stack, tg.find, out)
		sp, _ := s.all.get(RegisterSP)
		bp, _ := s.all.get(RegisterBP)
		elsewhere := bp-sp >= uint64(len(s.sample.Stack))
		if bp == 0 || within && elsewhere || !u.FollowsFramePointers(s.chain, tg.find) {
			// The runtime is about to change to another stack, or handles a signal on a stack of its own: the frame pointer can still be that of
			// the other stack.
			unclear++
			continue
		}
		part := n < len(s.chain)
		if part {
			parts++
		}
		if truncated != part || !slices.Equal(out[:n], s.chain[:min(n, len(s.chain))]) {
			t.Fatalf("unwound %#x, truncated %v; the kernel %#x", out[:n], truncated, s.chain)
		}
	}
	if unclear > liveSamples/10 || within && parts > 0 || !within && parts < liveSamples*9/10 {
		t.Errorf("of %d stacks %d are unclear, %d larger than the copy", liveSamples, unclear, parts)
	}
}

// TestLinkageTable unwinds from each place in a linker's table of jumps, whose CFA is an expression.
func TestLinkageTable(t *testing.T) {
	path := compile(t, "spin.c", "-O2", "-Wl,-z,lazy", "-fcf-protection=none")
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	plt := f.Section(".plt")
	if plt == nil || plt.Size < 48 {
		t.Fatal("no .plt, or a small one")
	}
	table := openTable(t, path)
	find := func(addr uint64) (*Table, uint64, bool) {
		if addr < withCFI {
			return nil, addr, addr >= withoutCFI>>1
		}
		return table, addr - withCFI, true
	}
	const caller = withoutCFI>>1 + 8
	u := NewUnwinder()
	for off := uint64(16); off < plt.Size; off++ {
		stack := words(caller, 0)
		switch off % 16 {
		case 0, 6: // jmp *entry; push index
		case 11: // jmp to the first
			stack = words(99, caller, 0)
		default:
			continue // not the start of an instruction
		}
		out := make([]uint64, 2)
		ip := withCFI + plt.Addr + off
		if n, _ := u.Unwind(at(ip, stackStart, 0), stack, find, out); n != 2 || out[1] != caller {
			t.Errorf("at .plt+%d: %#x", off, out[:n])
		}
	}
}

// BenchmarkUnwind unwinds samples of a program that sorts: some 18 calls, most of them in the C library.
func BenchmarkUnwind(b *testing.B) {
	tg := start(b, compile(b, "spin.c", "-O2"), "sort")
	samples := tg.take(b, 100)
	if err := unix.Kill(tg.pid, unix.SIGSTOP); err != nil { // it would take a CPU
		b.Fatal(err)
	}
	out := make([]uint64, 128)
	for _, name := range []string{"known code", "new code"} {
		b.Run(name, func(b *testing.B) {
			u := NewUnwinder()
			calls := 0
			b.ReportAllocs()
			for i := range b.N {
				s := &samples[i%len(samples)]
				if name == "new code" {
					clear(u.cache.keys[:])
				}
				n, _ := u.Unwind(&s.sample.Registers, s.sample.Stack, tg.find, out)
				calls += n
			}
			b.ReportMetric(float64(calls)/float64(b.N), "calls/op")
		})
	}
}
