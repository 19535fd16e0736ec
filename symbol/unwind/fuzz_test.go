// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bytes"
	"runtime/metrics"
	"slices"
	"testing"
	"time"
)

// FuzzUnwind holds the package to its promise for files and stacks from anywhere: an answer, soon, without a panic and in little memory.
func FuzzUnwind(f *testing.F) {
	stack := words(slices.Repeat([]uint64{stackStart, codeAddr + 4}, 40)...)
	sample := encodeSample(at(codeAddr+4, stackStart, stackStart), stack)
	for _, p := range []*program{{}, {wide: true}, {noTable: true}, {noSearch: true}, {noSearch: true, noSections: true}} {
		p.functions = append(many(3), function{size: 4096, code: []byte{cfaDefineExpression, 3, opBreg0 + RegisterSP, 0, opDeref}})
		f.Add(p.build(), sample)
	}
	f.Add([]byte("\x7fELF"), []byte(nil))
	f.Fuzz(func(t *testing.T, file, sample []byte) {
		limit(t, func() {
			var s Sample
			table, err := NewTable(bytes.NewReader(file), int64(len(file)))
			if err != nil || s.Decode(sample) != nil {
				return
			}
			unwindTwice(t, table, &s.Registers, s.Stack)
		})
	})
}

// FuzzInstructions does that for CFI that is in its place in a file.
func FuzzInstructions(f *testing.F) {
	stack := words(slices.Repeat([]uint64{stackStart, codeAddr + 4}, 40)...)
	sample := encodeSample(at(codeAddr+4, stackStart, stackStart), stack)
	f.Add([]byte{}, []byte{cfaDefineOffset, 16}, sample)
	f.Add([]byte{cfaOffset | RegisterBP, 2}, []byte{cfaRememberState, cfaAdvance1, 3, cfaRestoreState, cfaDefineExpression, 3, opBreg0 + RegisterSP, 0, opDeref}, sample)
	f.Add([]byte{cfaValueExpression, RegisterBX, 7, opLit0, opBranch, 1, 0, opDrop, opConstu, 99}, []byte{cfaExpression, RegisterIP, 3, opPick, 0, opDiv}, sample)
	f.Fuzz(func(t *testing.T, cie, fde, sample []byte) {
		limit(t, func() {
			var s Sample
			if s.Decode(sample) != nil {
				return
			}
			p := program{cie: slices.Concat(entry(), cie), functions: []function{{size: 1 << 16, code: fde}}}
			unwindTwice(t, p.table(t), &s.Registers, s.Stack)
		})
	})
}

// limit fails the test if f takes too much time or memory.
func limit(t *testing.T, f func()) {
	t.Helper()
	began, before := time.Now(), allocated()
	f()
	if n := allocated() - before; n > 64<<20 {
		t.Errorf("%d bytes allocated", n)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// unwindTwice expects the same from the cache. All memory is executable, at the addresses of the file.
func unwindTwice(t *testing.T, table *Table, regs *Registers, stack []byte) {
	t.Helper()
	find := func(addr uint64) (*Table, uint64, bool) { return table, addr, true }
	u := NewUnwinder()
	first, second := make([]uint64, 127), make([]uint64, 127)
	n, truncated := u.Unwind(regs, stack, find, first)
	again, truncatedAgain := u.Unwind(regs, stack, find, second)
	if n < 1 || n != again || truncated != truncatedAgain || !slices.Equal(first, second) {
		t.Errorf("%#x, truncated %v; the second time %#x, %v", first[:n], truncated, second[:again], truncatedAgain)
	}
	u.FollowsFramePointers(first[:n], find)
}
