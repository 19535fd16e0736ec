// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapexpr

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/net/bpf"
)

// A block is a test and where it leads to. The numbers of the blocks that a block leads to are smaller than its own.
type block struct {
	test   int // index in builder.tests
	yes    int
	no     int
	facts  *facts // what is known of the packet where the block begins; nil: the block is not reached
	hasA   int    // the value that is in A where the block begins, as its number; 0: none is known
	hasX   int    // the offset of the header whose length is in X, plus 1; 0: it is not known
	noCode bool   // the value is in A already
	noX    bool   // the length is in X already
}

// The numbers of the blocks that end a program.
const (
	accept = 0
	reject = 1
)

// builder turns formulas into blocks. The same test with the same ways on is one block.
type builder struct {
	blocks []block
	tests  []builtTest
	byTest map[string]int
	values map[string]int
	known  map[[3]int]int
	steps  int // of the search for shorter ways, which has a limit
	err    *Error
}

// builtTest is a test whose value has a number.
type builtTest struct {
	test
	value int
	// x is the offset, plus 1, of the header whose length the code loads into X first; 0: it does not.
	x int
	// spoilsX: X holds something else after the code.
	spoilsX bool
}

func newBuilder() *builder {
	return &builder{
		blocks: make([]block, 2), byTest: make(map[string]int), values: make(map[string]int), known: make(map[[3]int]int),
	}
}

// lower returns the block in which the formula begins, if it leads to the blocks yes and no.
func (b *builder) lower(f *formula, yes, no int) int {
	switch f.kind {
	case isAnd:
		return b.lower(f.x, b.lower(f.y, yes, no), no)
	case isOr:
		return b.lower(f.x, yes, b.lower(f.y, yes, no))
	case isNot:
		return b.lower(f.x, no, yes)
	case isTrue:
		return yes
	case isFalse:
		return no
	}
	if yes == no && !mayReject(f.test.code) {
		return yes
	}
	if len(b.blocks) > maxTests {
		b.err = &Error{Text: fmt.Sprintf("the expression is too big: it makes more than %d comparisons", maxTests)}
		return reject
	}
	key := [3]int{b.number(f.test), yes, no}
	if at, ok := b.known[key]; ok {
		return at
	}
	b.blocks = append(b.blocks, block{test: key[0], yes: yes, no: no})
	b.known[key] = len(b.blocks) - 1
	return len(b.blocks) - 1
}

// mayReject reports whether the code reads the packet, which may be too short, or divides.
func mayReject(code []bpf.Instruction) bool {
	for _, ins := range code {
		switch ins.(type) {
		case bpf.LoadAbsolute, bpf.LoadIndirect, bpf.LoadMemShift, bpf.ALUOpX:
			return true
		}
	}
	return false
}

// number returns the index of a test. The same tests have the same.
func (b *builder) number(t test) int {
	raw, err := bpf.Assemble(t.code)
	if err != nil {
		b.err = &Error{Text: err.Error()}
		return 0
	}
	var value []byte
	for _, r := range raw {
		value = binary.LittleEndian.AppendUint32(append(value, byte(r.Op), byte(r.Op>>8)), r.K)
	}
	key := fmt.Sprint(string(value), t.cond, t.with, t.withX)
	if n, ok := b.byTest[key]; ok {
		return n
	}
	if b.values[string(value)] == 0 {
		b.values[string(value)] = len(b.values) + 1
	}
	built := builtTest{test: t, value: b.values[string(value)], spoilsX: t.withX}
	for i, ins := range t.code {
		switch ins := ins.(type) {
		case bpf.LoadMemShift:
			if i == 0 {
				built.x = int(ins.Off) + 1
			} else {
				built.spoilsX = true
			}
		case bpf.TAX:
			built.spoilsX = true
		case bpf.LoadScratch:
			built.spoilsX = built.spoilsX || ins.Dst == bpf.RegX
		}
	}
	b.tests = append(b.tests, built)
	b.byTest[key] = len(b.tests) - 1
	return len(b.tests) - 1
}

// program returns the instructions of the blocks that are reached from start.
func (b *builder) program(start int) ([]bpf.Instruction, error) {
	if b.err != nil {
		return nil, b.err
	}
	start = b.simplify(start)
	if start == reject || b.blocks[accept].facts == nil {
		return nil, &Error{Text: "the expression matches no packet: its parts contradict each other"}
	}
	b.findLoaded(start)
	program := b.place(start)
	if len(program) > MaxInstructions {
		return nil, &Error{Text: fmt.Sprintf("the expression is too big: it needs %d instructions, and a filter can have %d", len(program), MaxInstructions)}
	}
	return program, nil
}

// simplify leads each way past the tests whose results are known there, and returns the block to begin with. A block is visited
// after all that lead to it.
func (b *builder) simplify(start int) int {
	start = b.shorten(start, &facts{})
	b.reach(start, &facts{})
	for at := start; at > reject; at-- {
		block := &b.blocks[at]
		if block.facts == nil {
			continue
		}
		t := &b.tests[block.test]
		yes, no := block.facts.with(t, true), block.facts.with(t, false)
		block.yes, block.no = b.shorten(block.yes, yes), b.shorten(block.no, no)
		b.reach(block.yes, yes)
		b.reach(block.no, no)
	}
	return start
}

// shorten follows the blocks whose results are known.
func (b *builder) shorten(at int, known *facts) int {
	const maxSteps = 1 << 20
	for at > reject && b.steps < maxSteps {
		b.steps++
		result, ok := known.decide(&b.tests[b.blocks[at].test])
		if !ok {
			break
		}
		if block := &b.blocks[at]; result {
			at = block.yes
		} else {
			at = block.no
		}
	}
	return at
}

// reach notes that a way leads to a block.
func (b *builder) reach(at int, known *facts) {
	block := &b.blocks[at]
	if block.facts == nil {
		block.facts = known
		return
	}
	block.facts = block.facts.common(known)
}

// findLoaded finds the values that are in registers already where they are needed.
func (b *builder) findLoaded(start int) {
	visited := make([]bool, len(b.blocks))
	reach := func(to, a, x int) {
		next := &b.blocks[to]
		if !visited[to] {
			visited[to], next.hasA, next.hasX = true, a, x
			return
		}
		if next.hasA != a {
			next.hasA = 0
		}
		if next.hasX != x {
			next.hasX = 0
		}
	}
	reach(start, 0, 0)
	for at := start; at > reject; at-- {
		block := &b.blocks[at]
		if !visited[at] {
			continue
		}
		t := &b.tests[block.test]
		block.noCode = block.hasA == t.value && !t.withX
		x := block.hasX
		if !block.noCode {
			block.noX = t.x > 0 && block.hasX == t.x
			switch {
			case t.spoilsX:
				x = 0
			case t.x > 0:
				x = t.x
			}
		}
		reach(block.yes, t.value, x)
		reach(block.no, t.value, x)
	}
}

// code returns the instructions of a block before its jump.
func (b *builder) code(at int) []bpf.Instruction {
	block := &b.blocks[at]
	code := b.tests[block.test].code
	switch {
	case block.noCode:
		return nil
	case block.noX:
		return code[1:]
	}
	return code
}

// place puts the blocks one after another. It begins at the end, so that it knows how far each jump goes.
func (b *builder) place(start int) []bpf.Instruction {
	reversed := []bpf.Instruction{bpf.RetConstant{Val: 0}, bpf.RetConstant{Val: 1}}
	begins := make([]int, start+1) // how many instructions there are from where the block begins to the end
	begins = append(begins, make([]int, max(0, 2-len(begins)))...)
	begins[reject], begins[accept] = 1, 2
	for at := 2; at <= start; at++ {
		block := &b.blocks[at]
		if block.facts == nil {
			continue
		}
		yes, no := begins[block.yes], begins[block.no]
		const farthest = 255 - 2 // two more instructions may come between
		if len(reversed)-no > farthest {
			reversed = append(reversed, bpf.Jump{Skip: uint32(len(reversed) - no)})
			no = len(reversed)
		}
		if len(reversed)-yes > farthest {
			reversed = append(reversed, bpf.Jump{Skip: uint32(len(reversed) - yes)})
			yes = len(reversed)
		}
		reversed = append(reversed, b.tests[block.test].jump(uint8(len(reversed)-yes), uint8(len(reversed)-no)))
		code := b.code(at)
		for i := range code {
			reversed = append(reversed, code[len(code)-1-i])
		}
		begins[at] = len(reversed)
	}
	if start == accept {
		return []bpf.Instruction{bpf.RetConstant{Val: 1}}
	}
	for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
		reversed[i], reversed[j] = reversed[j], reversed[i]
	}
	return reversed
}

func (t *builtTest) jump(yes, no uint8) bpf.Instruction {
	if t.withX {
		return bpf.JumpIfX{Cond: t.cond, SkipTrue: yes, SkipFalse: no}
	}
	return bpf.JumpIf{Cond: t.cond, Val: t.with, SkipTrue: yes, SkipFalse: no}
}
