// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapexpr

import "golang.org/x/net/bpf"

// test is a comparison of a value from the packet.
type test struct {
	// code leaves the value in register A, and for a comparison with X the other value there. It begins with a
	// bpf.LoadMemShift if it needs the length of the header of IPv4 in X.
	code []bpf.Instruction
	cond bpf.JumpTest // equal, greater, greater or equal, or bits set
	with uint32
	// withX: the other value is in register X.
	withX bool
}

type formulaKind uint8

const (
	isTest formulaKind = iota
	isAnd
	isOr
	isNot
	isTrue
	isFalse
)

// formula is a condition made of tests.
type formula struct {
	kind formulaKind
	x, y *formula
	test test
}

func leaf(t test) *formula { return &formula{kind: isTest, test: t} }

func constant(value bool) *formula {
	if value {
		return &formula{kind: isTrue}
	}
	return &formula{kind: isFalse}
}

// and is evaluated from left to right: that matters for packets that are too short for a value.
func and(first *formula, more ...*formula) *formula {
	for _, f := range more {
		first = &formula{kind: isAnd, x: first, y: f}
	}
	return first
}

func or(first *formula, more ...*formula) *formula {
	for _, f := range more {
		first = &formula{kind: isOr, x: first, y: f}
	}
	return first
}

func not(f *formula) *formula { return &formula{kind: isNot, x: f} }

// load reads a value at a fixed place.
func load(off, size int) []bpf.Instruction {
	return []bpf.Instruction{bpf.LoadAbsolute{Off: uint32(off), Size: size}}
}

func compare(cond bpf.JumpTest, off, size int, with uint32) *formula {
	return leaf(test{code: load(off, size), cond: cond, with: with})
}

func equal(off, size int, with uint32) *formula { return compare(bpf.JumpEqual, off, size, with) }

// maskedEqual compares the bits of mask.
func maskedEqual(off, size int, mask, with uint32) *formula {
	if mask == uint32(1<<(8*size)-1) {
		return equal(off, size, with)
	}
	code := append(load(off, size), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: mask})
	return leaf(test{code: code, cond: bpf.JumpEqual, with: with})
}

// tagPresent is the test whether the kernel has taken a VLAN tag out of the packet.
func tagPresent() test {
	return test{code: []bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtVLANTagPresent}}, cond: bpf.JumpEqual, with: 1}
}
