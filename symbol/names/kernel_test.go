// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/gizmo-ebpf/gizmo/internal/elffile/elftest"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/symbol/names"
)

// played is a kernel that the test plays.
type played struct {
	t        *testing.T
	dir      string
	now      time.Time
	programs ebpf.ProgramID // the highest id
	denied   bool           // no process may ask for it
	reads    int            // of the table: before each, the programs are counted from the first
}

func play(t *testing.T, lines ...string) (*played, *names.Kernel) {
	p := &played{t: t, dir: t.TempDir(), now: time.Unix(1000, 0)}
	p.write("kallsyms", lines...)
	p.write("modules")
	next := func(id ebpf.ProgramID) (ebpf.ProgramID, error) {
		if id == 0 {
			p.reads++
		}
		switch {
		case p.denied:
			return 0, os.ErrPermission
		case id >= p.programs:
			return 0, fmt.Errorf("next: %w", os.ErrNotExist)
		}
		return id + 1, nil
	}
	return p, names.NewTestKernel(p.dir, p.dir, func() time.Time { return p.now }, next)
}

func (p *played) write(name string, lines ...string) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Join(append(lines, ""), "\n")), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func checkKernel(t *testing.T, k *names.Kernel, addr uint64, want string) {
	t.Helper()
	module, fn := k.Lookup(addr)
	got := module.Name
	if fn != nil {
		got += " " + fn.Name
	}
	if got != want {
		t.Errorf("%#x: %q, want %q", addr, got, want)
	}
	if !module.Kernel {
		t.Errorf("%#x: module %s is not the kernel's", addr, module.Name)
	}
}

var core = []string{
	"ffffffff81000000 T _stext",
	"ffffffff81000000 T startup",
	"ffffffff81000100 W __weak_name",
	"ffffffff81000100 t local_name",
	"ffffffff81000200 t _RNvNtCsb7mbsFMgYQE_4core3fmt5write",
	"ffffffff81000280 D data",
	"ffffffff81000300 T _etext",
	"ffffffff81000400 d more",
}

func TestKernelNames(t *testing.T) {
	t.Parallel()
	p, k := play(t, append(core, "ffffffffc0000000 t nft_do_chain\t[nf_tables]", "ffffffffc0001000 t bpf_prog_6deef7357e7b4530_go\t[bpf]")...)
	p.write("module/nf_tables/notes/.note.gnu.build-id", string(elftest.Pack(uint32(4), uint32(3), uint32(3), []byte("GNU\x00abc"))))
	checkKernel(t, k, 0xffffffff81000000, "[kernel] startup")
	checkKernel(t, k, 0xffffffff810000ff, "[kernel] startup")
	checkKernel(t, k, 0xffffffff81000180, "[kernel] local_name")
	checkKernel(t, k, 0xffffffff81000280, "[kernel] core::fmt::write")
	checkKernel(t, k, 0xffffffff81000300, "[kernel]") // behind the code
	checkKernel(t, k, 0xffffffff80ffffff, "[kernel]")
	checkKernel(t, k, 0xffffffffc0000010, "[nf_tables] nft_do_chain")
	checkKernel(t, k, 0xffffffffc0001010, "[bpf] bpf_prog_6deef7357e7b4530_go")
	checkKernel(t, k, 0xffffffffc0001000+4<<20, "[kernel]") // no function is so long
	if m, _ := k.Lookup(0xffffffffc0000010); m.BuildID != "616263" {
		t.Errorf("build id %q", m.BuildID)
	}
	if err := k.Err(); err != nil {
		t.Error(err)
	}
}

// What was loaded later gets its name, but the table is not read more than once a second.
func TestKernelChanges(t *testing.T) {
	t.Parallel()
	const old, module = "ffffffffc0001000 t bpf_prog_old\t[bpf]", "ffffffffc0000000 t init\t[first]"
	p, k := play(t, append(core, module, old)...)
	p.programs = 7
	p.write("modules", "first 4096 0 - Live 0xffffffffc0000000")
	if err := k.Load(); err != nil {
		t.Fatal(err)
	}
	checkKernel(t, k, 0xffffffffc0001100, "[bpf] bpf_prog_old")
	p.write("kallsyms", append(core, module, old, "ffffffffc0001080 t bpf_prog_new\t[bpf]", "ffffffffa0000000 t far\t[second]")...)
	checkKernel(t, k, 0xffffffffc0001100, "[bpf] bpf_prog_old") // it was not loaded: the file is not read for nothing
	p.programs = 8
	checkKernel(t, k, 0xffffffffc0001100, "[kernel]") // the old name may be wrong now
	checkKernel(t, k, 0xffffffffa0000000, "[kernel]")
	p.now = p.now.Add(time.Second)
	checkKernel(t, k, 0xffffffffc0001100, "[bpf] bpf_prog_new")
	checkKernel(t, k, 0xffffffffa0000000, "[second] far")

	// The use of a module changes nothing, but another module may be in its place.
	_, before := k.Lookup(0xffffffffc0000010)
	p.write("modules", "first 4096 3 - Live 0xffffffffc0000000")
	if _, fn := k.Lookup(0xffffffffc0000010); fn != before {
		t.Errorf("another function: %v", fn)
	}
	p.write("modules", "other 4096 0 - Live 0xffffffffc0000000")
	p.write("kallsyms", append(core, "ffffffffc0000000 t start\t[other]")...)
	checkKernel(t, k, 0xffffffffc0000010, "[kernel]")
	p.now = p.now.Add(time.Second)
	checkKernel(t, k, 0xffffffffc0000010, "[other] start")

	// A process that may not list programs reads again.
	checkKernel(t, k, 0xffffffffc0001000, "[kernel]") // behind the module
	p.denied = true
	p.now = p.now.Add(time.Second)
	p.write("kallsyms", append(core, old)...)
	checkKernel(t, k, 0xffffffffc0001000, "[bpf] bpf_prog_old")
	p.write("kallsyms", append(core, "ffffffffc0001000 t bpf_prog_third\t[bpf]")...)
	checkKernel(t, k, 0xffffffffc0001000, "[kernel]")
	p.now = p.now.Add(time.Second)
	checkKernel(t, k, 0xffffffffc0001000, "[bpf] bpf_prog_third")
}

// A process that has given up its privileges still knows the kernel's own functions, which stay where they are.
func TestKernelBecomesHidden(t *testing.T) {
	t.Parallel()
	p, k := play(t, append(core, "ffffffffc0001000 t bpf_prog_old\t[bpf]")...)
	checkKernel(t, k, 0xffffffffc0001000, "[bpf] bpf_prog_old")
	p.denied = true
	p.now = p.now.Add(time.Second)
	p.write("kallsyms", "0000000000000000 T startup", "0000000000000000 t bpf_prog_new\t[bpf]")
	checkKernel(t, k, 0xffffffffc0001000, "[kernel]")
	checkKernel(t, k, 0xffffffff81000000, "[kernel] startup")
}

// The table is read less and less often if that is of no use.
func TestUselessReads(t *testing.T) {
	t.Parallel()
	p, k := play(t, core...)
	checkKernel(t, k, 0xffffffff81000000, "[kernel] startup")
	const unknown = 0xffffffff90000000
	p.reads = 0
	for range 3600 {
		p.now = p.now.Add(time.Second)
		checkKernel(t, k, unknown, "[kernel]")
	}
	reads := p.reads
	if reads < 60 || reads > 70 {
		t.Errorf("%d reads in an hour", reads)
	}
	p.write("kallsyms", append(core, "ffffffff90000000 t late\t[bpf]")...)
	p.now = p.now.Add(time.Minute)
	checkKernel(t, k, unknown, "[bpf] late")
	p.write("kallsyms", append(core, "ffffffff90000000 t late\t[bpf]", "ffffffff90000100 t later\t[bpf]")...)
	p.now = p.now.Add(time.Second)
	p.programs++
	checkKernel(t, k, unknown+0x100, "[bpf] later")
}

// A program that is loaded later gets its name.
func TestNewProgram(t *testing.T) {
	kerneltest.RequireRoot(t)
	k := names.NewKernel()
	if err := k.Load(); err != nil {
		t.Fatal(err)
	}
	const name = "gizmo_names"
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: name, Type: ebpf.SocketFilter, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	text, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		t.Fatal(err)
	}
	i := strings.Index(string(text), "_"+name)
	if i < 0 {
		kerneltest.Missing(t, "the kernel does not list its BPF programs: net.core.bpf_jit_kallsyms")
	}
	line := string(text[strings.LastIndexByte(string(text[:i]), '\n')+1 : i])
	var addr uint64
	if _, err := fmt.Sscanf(line, "%x", &addr); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		m, fn := k.Lookup(addr)
		if fn != nil && m.Name == "[bpf]" && strings.HasSuffix(fn.Name, name) {
			break
		}
		if fn != nil || time.Now().After(end) {
			t.Fatalf("%#x: %+v, %+v", addr, m, fn)
		}
	}
}

func TestHiddenKernel(t *testing.T) {
	t.Parallel()
	p, k := play(t, "0000000000000000 T startup", "0000000000000000 t f\t[nf_tables]")
	p.write("sys/kernel/kptr_restrict", "2")
	checkKernel(t, k, 0xffffffff81000000, "[kernel]")
	if err := k.Err(); !errors.Is(err, names.ErrHidden) || !strings.Contains(err.Error(), "kptr_restrict is 2") {
		t.Errorf("got %v", err)
	}
	p.write("sys/kernel/kptr_restrict", "1")
	p.now = p.now.Add(time.Minute)
	checkKernel(t, k, 0xffffffff81000000, "[kernel]")
	if err := k.Err(); !errors.Is(err, names.ErrHidden) || !strings.Contains(err.Error(), "CAP_SYSLOG") {
		t.Errorf("got %v", err)
	}
	p.write("kallsyms", core...)
	p.now = p.now.Add(time.Minute)
	checkKernel(t, k, 0xffffffff81000000, "[kernel] startup")
	if err := os.Remove(filepath.Join(p.dir, "kallsyms")); err != nil {
		t.Fatal(err)
	}
	p.now = p.now.Add(time.Minute)
	checkKernel(t, k, 1, "[kernel]")
	if err := k.Err(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// The functions of this kernel, at their first byte and behind it.
func TestThisKernel(t *testing.T) {
	kerneltest.RequireRoot(t)
	k := names.NewKernel()
	if err := k.Load(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := make(map[uint64][]string)
	for in := bufio.NewScanner(f); in.Scan(); {
		part := strings.Fields(in.Text()) // address, type, name and, for what is not the kernel itself, the module
		if len(part) != 3 || !strings.Contains("tTwW", part[1]) {
			continue
		}
		addr, err := strconv.ParseUint(part[0], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		at[addr] = append(at[addr], part[2])
	}
	named := 0
	for addr, list := range at {
		for _, a := range []uint64{addr, addr + 1} {
			if at[addr+1] != nil && a != addr {
				continue
			}
			m, fn := k.Lookup(a)
			if m.Name != "[kernel]" {
				continue
			}
			if fn == nil {
				if list[0] != "_etext" && list[0] != "_einittext" {
					t.Errorf("no name for %v", list)
				}
				continue
			}
			if !strings.Contains(strings.Join(append(list, ""), " "), fn.System+" ") {
				t.Errorf("%#x: %s, want one of %v", a, fn.System, list)
			}
			named++
		}
	}
	if named < 10_000 {
		t.Errorf("only %d functions", named)
	}
	if m, _ := k.Lookup(0); len(m.BuildID) != 40 {
		t.Logf("the kernel has the build id %q", m.BuildID)
	}
}

func FuzzKernel(f *testing.F) {
	f.Add([]byte(strings.Join(core, "\n")), uint64(0xffffffff81000100))
	f.Add([]byte("ffffffffc0000000 t f\t[m]\n\n 1 2 3\nffffffffffffffffff t g\n"), uint64(1))
	f.Fuzz(func(t *testing.T, text []byte, addr uint64) {
		if n, _ := names.ParseKernel(text, addr, 0, 1<<64-1); n > len(text)/5 {
			t.Errorf("%d functions in %d bytes", n, len(text))
		}
	})
}

func BenchmarkKernelLoad(b *testing.B) {
	kerneltest.RequireRoot(b)
	for b.Loop() {
		if err := names.NewKernel().Load(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkKernelLookup(b *testing.B) {
	kerneltest.RequireRoot(b)
	k := names.NewKernel()
	if err := k.Load(); err != nil {
		b.Fatal(err)
	}
	addr := uint64(0xffffffff81000000)
	for b.Loop() {
		k.Lookup(addr)
		addr = addr&^0xffffff | (addr+0x9e37)&0xffffff
	}
}
