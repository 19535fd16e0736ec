// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package seccomp

import (
	"maps"
	"math"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// rule decides about a call. Each path through its code ends in a return.
type rule struct{ code []bpf.Instruction }

// Offsets in the kernel's struct seccomp_data. The rules check the lower half of an argument, because the kernel uses only that half of
// these arguments.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
	wordSize     = 4
)

var (
	allow  = bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
	forbid = bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	// missing says that the kernel does not have the call.
	missing = bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)}
)

func load(offset uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: offset, Size: wordSize} }

func loadArg(n int) bpf.Instruction { return load(offsetArgs + uint32(n)*8) }

// always decides without reading the arguments. The kernel caches such decisions (since Linux 5.11), so that these calls
// cost next to nothing.
func always(end bpf.Instruction) *rule { return &rule{[]bpf.Instruction{end}} }

// either ends in one of two ways, by whether an argument is among the values.
func either(arg int, values []uint32, found, other bpf.Instruction) *rule {
	code := []bpf.Instruction{loadArg(arg)}
	for i, v := range values {
		code = append(code, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(values) - i)})
	}
	return &rule{append(code, other, found)}
}

// only allows a call if an argument is among the values.
func only(arg int, values ...uint32) *rule { return either(arg, values, allow, forbid) }

// except allows a call unless an argument is among the values.
func except(arg int, values ...uint32) *rule { return either(arg, values, forbid, allow) }

// withoutBits allows a call if an argument has none of the bits.
func withoutBits(arg int, bits uint32) *rule {
	return &rule{[]bpf.Instruction{loadArg(arg), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: bits, SkipFalse: 1}, forbid, allow}}
}

// withBits allows a call if an argument has one of the bits wanted, and none of the others.
func withBits(arg int, want, not uint32) *rule {
	return &rule{[]bpf.Instruction{
		loadArg(arg),
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: not, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: want, SkipTrue: 1},
		forbid, allow,
	}}
}

// run is a run of numbers with the same rule, up to the next run.
type run struct {
	first uint32
	rule  *rule
}

// program returns the filter. Other calls than those listed are allowed, up to the newest that this list knows. Newer calls,
// and the calls of other ABIs, which would get around the list, return the error of a kernel without them.
func program(calls map[uint32]*rule) []bpf.Instruction {
	runs := runsOf(calls)
	code := make([]bpf.Instruction, 0, 4*len(runs))
	code = append(code,
		load(offsetArch),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1},
		missing,
		load(offsetNumber))
	return appendTree(code, runs)
}

func runsOf(calls map[uint32]*rule) []run {
	allowed, unknown := always(allow), always(missing)
	runs := []run{{0, allowed}}
	add := func(first uint32, r *rule) {
		switch last := &runs[len(runs)-1]; {
		case last.first == first:
			last.rule = r
		case last.rule != r:
			runs = append(runs, run{first, r})
		}
	}
	for _, n := range slices.Sorted(maps.Keys(calls)) {
		add(n, calls[n])
		add(n+1, allowed)
	}
	add(newestCall+1, unknown)
	return runs
}

// appendTree finds the run of a number by binary search, because kernels before 5.11 run the filter for every call.
func appendTree(code []bpf.Instruction, runs []run) []bpf.Instruction {
	if len(runs) == 1 {
		return append(code, runs[0].rule.code...)
	}
	middle := len(runs) / 2
	first := runs[middle].first
	at := len(code)
	code = append(code, nil)
	code = appendTree(code, runs[:middle])
	if skip := len(code) - at - 1; skip <= maxSkip {
		code[at] = bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: first, SkipTrue: uint8(skip)}
	} else {
		code = slices.Insert(code, at+1, bpf.Instruction(bpf.Jump{Skip: uint32(skip)}))
		code[at] = bpf.JumpIf{Cond: bpf.JumpLessThan, Val: first, SkipTrue: 1}
	}
	return appendTree(code, runs[middle:])
}

// maxSkip is how far a conditional jump reaches.
const maxSkip = math.MaxUint8
