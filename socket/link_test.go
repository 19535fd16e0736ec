// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"bytes"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/gizmo-ebpf/gizmo/internal/bpfcode"
)

func load(reg asm.Register, name string) asm.Instruction {
	return asm.LoadMapPtr(reg, 0).WithReference(name)
}

// jump is a jump over a number of places.
func jump(distance int16) asm.Instruction {
	return asm.Instruction{OpCode: asm.JEq.Op(asm.ImmSource), Dst: asm.R0, Offset: distance}
}

func jump32(distance int64) asm.Instruction {
	return asm.Instruction{OpCode: asm.OpCode(asm.Jump32Class).SetJumpOp(asm.Ja), Constant: distance}
}

func functionOf(name string, code ...asm.Instruction) asm.Instructions {
	code[0] = code[0].WithSymbol(name)
	return code
}

var (
	other  = asm.Mov.Imm(asm.R7, 1)
	lookup = asm.FnMapLookupElem.Call()
)

// cases are programs whose last call but the end is a look-up.
var mapCases = []struct {
	name string
	code asm.Instructions
	want int
}{
	{"direct", asm.Instructions{other, load(asm.R1, portsMap), asm.Mov.Reg(asm.R2, asm.RFP), lookup}, 1},
	{"another map", asm.Instructions{load(asm.R1, "others"), lookup}, -1},
	{"by a register", asm.Instructions{load(asm.R6, portsMap), other, asm.Mov.Reg(asm.R1, asm.R6), lookup}, 0},
	{"by two registers", asm.Instructions{load(asm.R6, portsMap), asm.Mov.Reg(asm.R3, asm.R6), asm.Mov.Reg(asm.R1, asm.R3), lookup}, 0},
	{"the last one counts", asm.Instructions{load(asm.R1, portsMap), load(asm.R1, "others"), lookup}, -1},
	{"half of a register", asm.Instructions{load(asm.R6, portsMap), asm.Mov.Reg32(asm.R1, asm.R6), lookup}, -1},
	{"from memory", asm.Instructions{load(asm.R1, portsMap), asm.LoadMem(asm.R1, asm.RFP, -8, asm.DWord), lookup}, -1},
	{"stored in between", asm.Instructions{load(asm.R1, portsMap), asm.StoreMem(asm.R1, 0, asm.R2, asm.DWord), asm.StoreImm(asm.R1, 0, 1, asm.DWord), lookup}, 0},
	{"an argument", asm.Instructions{other, lookup}, -1},
	{"a call in between", asm.Instructions{load(asm.R1, portsMap), asm.FnKtimeGetNs.Call(), lookup}, -1},
	{"a call in between, kept", asm.Instructions{load(asm.R6, portsMap), asm.FnKtimeGetNs.Call(), asm.Mov.Reg(asm.R1, asm.R6), lookup}, 0},
	{"two paths", asm.Instructions{load(asm.R1, "others"), jump(2), load(asm.R1, portsMap), lookup}, -1},
	{"two paths that agree", asm.Instructions{load(asm.R1, portsMap), jump(1), other, lookup}, -1},
	{"two paths, far", asm.Instructions{load(asm.R1, "others"), jump32(2), load(asm.R1, portsMap), lookup}, -1},
	{"kept over blocks", asm.Instructions{load(asm.R6, portsMap), jump(1), other, asm.Mov.Reg(asm.R1, asm.R6), lookup}, 0},
	{"kept over blocks, and changed", asm.Instructions{load(asm.R6, portsMap), jump(2), load(asm.R6, "others"), asm.Mov.Reg(asm.R1, asm.R6), lookup}, -1},
	{"kept over blocks, set twice", asm.Instructions{load(asm.R6, portsMap), jump(2), load(asm.R6, portsMap), asm.Mov.Reg(asm.R1, asm.R6), lookup}, -1},
	{"after a jump", asm.Instructions{jump(3), load(asm.R1, portsMap), lookup, asm.Return()}, 1},
	{"a place counts for two", asm.Instructions{jump(2), load(asm.R1, portsMap), lookup}, -1},
}

func TestMapOf(t *testing.T) {
	t.Parallel()
	for _, c := range mapCases {
		t.Run(c.name, func(t *testing.T) {
			code := functionOf("program", slices.Clone(c.code)...)
			call := slices.IndexFunc(code, func(ins asm.Instruction) bool { return ins.IsBuiltinCall() && ins.Constant == lookup.Constant })
			if got := bpfcode.OriginOf(code, bpfcode.Targets(code), call, asm.R1, loadsMap); got != c.want {
				t.Errorf("instruction %d, want %d", got, c.want)
			}
		})
	}
}

// What another function of the program has in the register says nothing.
func TestMapOfStaysInItsFunction(t *testing.T) {
	t.Parallel()
	code := slices.Concat(
		functionOf("first", load(asm.R6, portsMap), asm.Return()),
		functionOf("second", asm.Mov.Reg(asm.R1, asm.R6), lookup, asm.Return()),
		functionOf("third", load(asm.R6, portsMap), asm.Return()))
	if got := bpfcode.OriginOf(code, bpfcode.Targets(code), 3, asm.R1, loadsMap); got != -1 {
		t.Errorf("instruction %d", got)
	}
}

func TestJumpTargets(t *testing.T) {
	t.Parallel()
	code := slices.Concat(
		functionOf("first", jump(3), load(asm.R1, portsMap), lookup, jump32(0), jump(-5), asm.Return()),
		functionOf("second", jump(100), asm.Return()))
	got := bpfcode.Targets(code)
	want := map[int]bool{
		0: true, // a function
		3: true, // jump(3): the load takes two places
		4: true, // jump32(0)
		1: true, // jump(-5)
		6: true,
	}
	if len(got) != len(want) {
		t.Errorf("targets %v, want %v", got, want)
	}
	for i := range want {
		if !got[i] {
			t.Errorf("targets %v, want %v", got, want)
		}
	}
}

// testLibrary is the one that gizmo links.
func testLibrary(t *testing.T) *library {
	t.Helper()
	data, err := object("lookup")
	if err != nil {
		t.Fatal(err)
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLibrary(spec)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// countCalls returns how often a program calls a function, and how often it has the function.
func countCalls(code asm.Instructions, name string) (calls, functions int) {
	for i := range code {
		if code[i].IsFunctionReference() && code[i].Reference() == name {
			calls++
		}
		if code[i].Symbol() == name {
			functions++
		}
	}
	return calls, functions
}

// In programs for packets, look-ups are replaced if they are known to be in the map of ports. Each program gets one copy of the function.
func TestLinkPackets(t *testing.T) {
	t.Parallel()
	l := testLibrary(t)
	for _, c := range mapCases {
		t.Run(c.name, func(t *testing.T) {
			code := functionOf("program", slices.Concat(c.code, asm.Instructions{load(asm.R1, "others"), lookup, asm.Return()})...)
			loads := 0
			for i := range code {
				if loadsMap(&code[i]) {
					loads++
				}
			}
			calls := 0
			if c.want >= 0 {
				calls = 1
			}
			p := &ebpf.ProgramSpec{Type: ebpf.SchedCLS, Instructions: code}
			if plain := l.link(p); plain != (loads > calls) {
				t.Errorf("plain: %v; %d addresses, %d replaced", plain, loads, calls)
			}
			if n, functions := countCalls(p.Instructions, byPacket); n != calls || functions != calls {
				t.Errorf("%d calls of %d functions, want %d", n, functions, calls)
			}
			if n, functions := countCalls(p.Instructions, bySock); n != 0 || functions != 0 {
				t.Errorf("%d calls of %s, %d functions", n, bySock, functions)
			}
		})
	}
}

func TestLinkTwoLookups(t *testing.T) {
	t.Parallel()
	code := functionOf("program", load(asm.R1, portsMap), lookup, load(asm.R1, portsMap), lookup, asm.Return())
	p := &ebpf.ProgramSpec{Type: ebpf.SocketFilter, Instructions: code}
	if testLibrary(t).link(p) {
		t.Error("one is left")
	}
	if calls, functions := countCalls(p.Instructions, byPacket); calls != 2 || functions != 1 {
		t.Errorf("%d calls, %d functions", calls, functions)
	}
}

// The function of the header is replaced, wherever it is, and no other look-up of a program that sees no packets.
func TestLinkSockets(t *testing.T) {
	t.Parallel()
	l := testLibrary(t)
	call := asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoCall, Constant: -1}.WithReference(plainBySock)
	program := func() asm.Instructions { return functionOf("program", other, call, call, asm.Return()) }
	header := func() asm.Instructions {
		return functionOf(plainBySock, load(asm.R1, portsMap), lookup, asm.Return())
	}
	last := func() asm.Instructions { return functionOf("last", other, asm.Return()) }
	uses := func() asm.Instructions { return functionOf("uses", load(asm.R1, portsMap), lookup, asm.Return()) }
	for _, c := range []struct {
		name  string
		code  asm.Instructions
		plain bool
	}{
		{"at the end", slices.Concat(program(), header()), false},
		{"in between", slices.Concat(program(), header(), last()), false},
		{"beside another look-up", slices.Concat(program(), header(), uses()), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			size := len(c.code)
			p := &ebpf.ProgramSpec{Type: ebpf.Tracing, Instructions: c.code}
			if plain := l.link(p); plain != c.plain {
				t.Errorf("plain: %v", plain)
			}
			if calls, functions := countCalls(p.Instructions, bySock); calls != 2 || functions != 1 {
				t.Errorf("%d calls, %d functions", calls, functions)
			}
			if calls, functions := countCalls(p.Instructions, plainBySock); calls+functions != 0 {
				t.Errorf("%d calls and %d functions of the header are left", calls, functions)
			}
			if want := size - 3 + len(l.functions[bySock]) + len(l.functions[find]); len(p.Instructions) != want {
				t.Errorf("%d instructions, want %d", len(p.Instructions), want)
			}
		})
	}
	untouched := &ebpf.ProgramSpec{Type: ebpf.Tracing, Instructions: functionOf("program", other, asm.Return())}
	if l.link(untouched) || len(untouched.Instructions) != 2 {
		t.Error("a program that asks for no socket was changed")
	}
}

// An object without the functions is refused.
func TestLibraryIsIncomplete(t *testing.T) {
	t.Parallel()
	spec := &ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{"p": {Instructions: functionOf(bySock, asm.Return())}}}
	if _, err := newLibrary(spec); err == nil {
		t.Error("no error")
	}
}
