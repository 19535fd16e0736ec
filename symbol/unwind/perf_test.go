// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build amd64

package unwind

import (
	"bufio"
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

const stackCopy = 22 << 10 // bytes of a sample's copy of the stack

// taken is a sample that the kernel took of a thread in user mode.
type taken struct {
	all    Registers // all that the kernel gives
	sample Sample    // what a BPF program sends
	chain  []uint64  // what the kernel found by frame pointers
}

// target is a process that runs, and what is mapped where.
type target struct {
	pid    int
	thread int // to sample
	spaces []space
}

// space is an executable mapping.
type space struct {
	start, end, off uint64
	path            string
	table           *Table
	symbols         []elf.Symbol
}

// start runs a program until the end of the test. The program writes a byte when it begins with what it is for.
func start(t testing.TB, path string, args ...string) *target {
	t.Helper()
	cmd := exec.Command(path, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatalf("%s ended: %v", path, err)
	}
	tg := &target{pid: cmd.Process.Pid, thread: cmd.Process.Pid}
	tg.readMaps(t)
	return tg
}

func (tg *target) readMaps(t testing.TB) {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", tg.pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for line := bufio.NewScanner(f); line.Scan(); {
		var s space
		var mode, device string
		var inode uint64
		_, _ = fmt.Sscanf(line.Text(), "%x-%x %s %x %s %d %s", &s.start, &s.end, &mode, &s.off, &device, &inode, &s.path)
		if len(mode) < 3 || mode[2] != 'x' {
			continue
		}
		switch {
		case filepath.IsAbs(s.path):
			s.table = openTable(t, s.path)
			f, err := elf.Open(s.path)
			s.symbols = symbols(t, f, err)
		case s.path == "[vdso]":
			image := bytes.NewReader(tg.read(t, s.start, s.end))
			s.table, err = NewTable(image, image.Size())
			if err != nil {
				t.Fatal(err)
			}
			f, err := elf.NewFile(image)
			s.symbols = symbols(t, f, err)
		}
		tg.spaces = append(tg.spaces, s)
	}
}

// read reads memory of the process.
func (tg *target) read(t testing.TB, start, end uint64) []byte {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", tg.pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, end-start)
	if _, err := f.ReadAt(b, int64(start)); err != nil {
		t.Fatal(err)
	}
	return b
}

// second makes the second thread of the process the one to sample.
func (tg *target) second(t testing.TB) {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", tg.pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if id, err := strconv.Atoi(task.Name()); err == nil && id != tg.pid {
			tg.thread = id
		}
	}
}

func symbols(t testing.TB, f *elf.File, err error) []elf.Symbol {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, _ := f.Symbols()
	if len(all) == 0 {
		all, _ = f.DynamicSymbols()
	}
	all = slices.DeleteFunc(all, func(s elf.Symbol) bool { return elf.ST_TYPE(s.Info) != elf.STT_FUNC || s.Value == 0 })
	slices.SortStableFunc(all, func(a, b elf.Symbol) int { return int(int64(a.Value - b.Value)) })
	return all
}

func (tg *target) space(addr uint64) *space {
	for i := range tg.spaces {
		if s := &tg.spaces[i]; addr >= s.start && addr < s.end {
			return s
		}
	}
	return nil
}

func (tg *target) find(addr uint64) (t *Table, fileAddress uint64, ok bool) {
	s := tg.space(addr)
	if s == nil {
		return nil, 0, false
	}
	if s.table == nil {
		return nil, addr, true
	}
	return s.table, s.fileAddress(addr), true
}

func (s *space) fileAddress(addr uint64) uint64 {
	off := addr - s.start + s.off
	for _, g := range s.table.segments {
		if off >= g.off && off-g.off < g.size {
			return off - g.off + g.addr
		}
	}
	return 0
}

// name names the function at an address: the file's name if the file has no name for it.
func (tg *target) name(addr uint64) string {
	s := tg.space(addr)
	if s == nil {
		return "?"
	}
	if s.table == nil {
		return cmp.Or(s.path, "[anonymous]")
	}
	v := s.fileAddress(addr)
	i := sort.Search(len(s.symbols), func(i int) bool { return s.symbols[i].Value > v }) - 1
	if i >= 0 && v-s.symbols[i].Value < max(1, s.symbols[i].Size) {
		return s.symbols[i].Name
	}
	return "[" + filepath.Base(s.path) + "]"
}

// names returns the functions of a stack, the innermost first.
func (tg *target) names(stack []uint64) []string {
	out := make([]string, len(stack))
	exact := uint64(0)
	for i, addr := range stack {
		out[i] = tg.name(addr - exact)
		exact = 1
	}
	return out
}

// take takes samples of the process while it is in user mode, until there are enough.
func (tg *target) take(t testing.TB, count int) []taken {
	t.Helper()
	const size = 1 << 20
	attr := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Sample: 997, Bits: unix.PerfBitFreq | unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv,
		Sample_type:       unix.PERF_SAMPLE_CALLCHAIN | unix.PERF_SAMPLE_REGS_USER | unix.PERF_SAMPLE_STACK_USER,
		Sample_regs_user:  perfRegisterMask,
		Sample_stack_user: stackCopy,
	}
	fd, err := unix.PerfEventOpen(&attr, tg.thread, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		kerneltest.Missing(t, "the kernel takes no samples: %v", err)
	}
	defer unix.Close(fd)
	ring, err := unix.Mmap(fd, 0, os.Getpagesize()+size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(ring) }()
	page := (*unix.PerfEventMmapPage)(unsafe.Pointer(&ring[0]))
	data := ring[os.Getpagesize():]
	var all []taken
	for end := time.Now().Add(30 * time.Second); len(all) < count; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("only %d samples in 30 s", len(all))
		}
		head := atomic.LoadUint64(&page.Data_head)
		for page.Data_tail < head {
			b := make([]byte, 8)
			copyRing(b, data, page.Data_tail)
			b = make([]byte, binary.NativeEndian.Uint16(b[6:]))
			copyRing(b, data, page.Data_tail)
			if binary.NativeEndian.Uint32(b) == unix.PERF_RECORD_SAMPLE {
				all = append(all, parseSample(t, b[8:])...)
			}
			atomic.StoreUint64(&page.Data_tail, page.Data_tail+uint64(len(b)))
		}
	}
	return all[:count]
}

func copyRing(b, ring []byte, at uint64) {
	for i := range b {
		b[i] = ring[(at+uint64(i))%uint64(len(ring))]
	}
}

// perfRegisterMask are the general registers and the instruction pointer, by the numbers of perf_event_open(2).
const perfRegisterMask = 0x1ff | 0xff<<16

// dwarfNumbers is the order in which the kernel writes them.
func dwarfNumbers() [17]int {
	return [...]int{0, 3, 2, 1, 4, 5, 6, 7, 16, 8, 9, 10, 11, 12, 13, 14, 15}
}

// parseSample reads a record of the kernel, from behind its header; nothing if it has no registers.
func parseSample(t testing.TB, b []byte) []taken {
	t.Helper()
	u64 := func() uint64 {
		v := binary.NativeEndian.Uint64(b)
		b = b[8:]
		return v
	}
	var s taken
	for range u64() {
		// The chain has marks in between: what follows is of the kernel, of the user.
		if addr := u64(); addr < 1<<63 {
			s.chain = append(s.chain, addr)
		}
	}
	if u64() == 0 { // the registers' ABI
		return nil
	}
	for _, number := range dwarfNumbers() {
		s.all.Set(number, u64())
	}
	size := u64()
	stack := b[:size]
	b = b[size:]
	if size > 0 {
		stack = stack[:u64()]
	}
	if err := s.sample.Decode(encodeSample(&s.all, stack)); err != nil {
		t.Fatal(err)
	}
	return []taken{s}
}

// compile compiles a file of testdata.
func compile(t testing.TB, source string, flags ...string) string {
	t.Helper()
	cc := kerneltest.RequireProgram(t, "gcc", "clang-19", "clang")
	out := filepath.Join(t.TempDir(), "program")
	args := append([]string{"-o", out, filepath.Join("testdata", source)}, flags...)
	if text, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", cc, strings.Join(args, " "), err, text)
	}
	return out
}
