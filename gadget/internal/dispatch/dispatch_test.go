// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

var kinds = []ebpf.ProgramType{ebpf.SocketFilter, ebpf.SchedCLS}

// run calls a program with a packet of some length and returns its result.
func run(t *testing.T, prog *ebpf.Program, size int) int32 {
	t.Helper()
	result, _, err := prog.Test(make([]byte, size))
	if err != nil {
		t.Fatal(err)
	}
	return int32(result)
}

func load(t *testing.T, spec *ebpf.ProgramSpec) *ebpf.Program {
	t.Helper()
	kerneltest.RequireRoot(t)
	spec.License = "GPL"
	prog, err := ebpf.NewProgram(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	return prog
}

func newArray(t *testing.T, kind ebpf.MapType, size uint32) *ebpf.Map {
	t.Helper()
	kerneltest.RequireRoot(t)
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: kind, KeySize: 4, ValueSize: size, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// reporter is a program that stores cb[0] in an array and returns 7.
func reporter(t *testing.T, kind ebpf.ProgramType, to *ebpf.Map) *ebpf.Program {
	t.Helper()
	return load(t, &ebpf.ProgramSpec{Type: kind, Instructions: asm.Instructions{
		asm.LoadMem(asm.R1, asm.R1, offsetCB, asm.Word),
		asm.LoadMapValue(asm.R2, to.FD(), 0),
		asm.StoreMem(asm.R2, 0, asm.R1, asm.Word),
		asm.Mov.Imm(asm.R0, 7),
		asm.Return(),
	}})
}

// The program finds the inode in cb[0], and the address of the packet in the map, if there is one.
func TestDispatcher(t *testing.T) {
	for _, kind := range kinds {
		for _, withMap := range []bool{false, true} {
			seen := newArray(t, ebpf.Array, 4)
			var packet *ebpf.Map
			if withMap {
				packet = newArray(t, ebpf.PerCPUArray, 8)
			}
			target, err := NewTarget(reporter(t, kind, seen), ebpf.AttachNone, packet)
			if err != nil {
				t.Fatal(err)
			}
			for _, inode := range []uint64{4026531840, 1, math.MaxUint32} {
				prog, err := target.For(inode)
				if err != nil {
					t.Fatal(err)
				}
				result := run(t, prog.Program, 64)
				prog.Close()
				var got uint32
				if err := seen.Lookup(uint32(0), &got); err != nil || uint64(got) != inode || result != 7 {
					t.Errorf("%s: result %d, cb[0] is %d, want %d: %v", kind, result, got, inode, err)
				}
			}
			if withMap {
				checkPacket(t, packet)
			}
			if _, err := target.For(1 << 32); err == nil || !strings.Contains(err.Error(), "4294967296 has more than 32 bits") {
				t.Errorf("a large inode: %v", err)
			}
			if err := target.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// checkPacket fails the test unless one CPU has an address of the kernel.
func checkPacket(t *testing.T, packet *ebpf.Map) {
	t.Helper()
	var addresses []uint64
	if err := packet.Lookup(uint32(0), &addresses); err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if int64(a) < 0 {
			return
		}
	}
	t.Errorf("addresses %x", addresses)
}

// A dispatcher that outlives its target leaves packets to others.
func TestDispatcherWithoutTarget(t *testing.T) {
	for _, kind := range kinds {
		target, err := NewTarget(reporter(t, kind, newArray(t, ebpf.Array, 4)), ebpf.AttachNone, nil)
		if err != nil {
			t.Fatal(err)
		}
		prog, err := target.For(1)
		if err != nil {
			t.Fatal(err)
		}
		defer prog.Close()
		if err := target.Close(); err != nil {
			t.Fatal(err)
		}
		// The kernel empties the array in the background.
		for end := time.Now().Add(10 * time.Second); run(t, prog.Program, 64) != Undecided(kind); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: the dispatcher still calls the program", kind)
			}
		}
	}
}

// verdicts is a program that returns 1 for packets of 64 bytes and, from another function, 2 for all others, over an instruction of double size.
func verdicts(kind ebpf.ProgramType) *ebpf.ProgramSpec {
	return &ebpf.ProgramSpec{Type: kind, Instructions: asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 0, asm.Word).WithSymbol("main"),
		{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.JNE).SetSource(asm.ImmSource), Dst: asm.R2, Constant: 64, Offset: 2},
		asm.Mov.Imm(asm.R0, 1),
		asm.Return(),
		asm.LoadImm(asm.R3, 1<<40, asm.DWord),
		asm.Call.Label("other"),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 2).WithSymbol("other"),
		asm.Return(),
	}}
}

func TestFixResult(t *testing.T) {
	for _, kind := range kinds {
		plain, fixed := verdicts(kind), verdicts(kind)
		if err := FixResult(fixed); err != nil {
			t.Fatal(err)
		}
		before, after := load(t, plain), load(t, fixed)
		for size, want := range map[int]int32{64: 1, 100: 2} {
			if kind == ebpf.SocketFilter {
				size += 14 // a test run takes the link layer's header away
			}
			if got := run(t, before, size); got != want {
				t.Errorf("%s: the program itself returns %d, want %d", kind, got, want)
			}
			if got := run(t, after, size); got != Undecided(kind) {
				t.Errorf("%s: returns %d, want %d", kind, got, Undecided(kind))
			}
		}
	}
}

// Where no return is there is nothing to do; a distance that a jump cannot cover is an error.
func TestFixResultLimits(t *testing.T) {
	t.Parallel()
	endless := &ebpf.ProgramSpec{Type: ebpf.SchedCLS, Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0)}}
	if err := FixResult(endless); err != nil || len(endless.Instructions) != 1 {
		t.Errorf("%v, %v", endless.Instructions, err)
	}
	long := func(behind int) error {
		code := slices.Repeat(asm.Instructions{asm.Mov.Imm(asm.R0, 0)}, 1+behind)
		code[0] = asm.Return()
		return FixResult(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, Instructions: code})
	}
	if err := long(math.MaxInt16); err != nil {
		t.Error(err)
	}
	if err := long(math.MaxInt16 + 1); err == nil || !strings.Contains(err.Error(), "the limit is 32767") {
		t.Error(err)
	}
}

func TestErrorsOfTargets(t *testing.T) {
	kerneltest.RequireRoot(t)
	prog := load(t, &ebpf.ProgramSpec{Type: ebpf.SocketFilter, Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}})
	target, err := NewTarget(prog, ebpf.AttachNone, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := target.For(1); err == nil || errors.Is(err, ebpf.ErrNotSupported) {
		t.Errorf("a dispatcher of a closed target: %v", err)
	}
}
