// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"encoding/binary"
	"io"
	"slices"
	"testing"
)

// Where the tests' modules are in memory.
const (
	withCFI    = 0x5000_0000_0000 // the functions of a built file, codeAddr in the file
	withoutCFI = 0x6000_0000_0000 // code of no file
	codeSize   = 0x10000
	stackStart = 0x7ffd_0000_0000
)

// finder finds both.
func finder(table *Table) Find {
	return func(addr uint64) (*Table, uint64, bool) {
		switch {
		case addr >= withCFI && addr < withCFI+codeSize:
			return table, addr - withCFI + codeAddr, true
		case addr >= withoutCFI && addr < withoutCFI+codeSize:
			return nil, addr, true
		}
		return nil, 0, false
	}
}

// at makes registers.
func at(ip, sp, bp uint64) *Registers {
	var r Registers
	r.Set(RegisterIP, ip)
	r.Set(RegisterSP, sp)
	r.Set(RegisterBP, bp)
	return &r
}

// words is a stack.
func words(values ...uint64) []byte { return le(nil, values) }

// unwindTable has functions of 16 bytes, each for another case.
func unwindTable(t testing.TB) *Table {
	p := program{functions: []function{
		{size: 16, code: []byte{cfaDefineOffset, 16}},                                         // 0: one word of its own
		{size: 16, code: []byte{cfaUndefined, RegisterIP}},                                    // 16: the end
		{size: 16, code: []byte{cfaDefineOffset, 24, cfaOffset | RegisterBP, 2}},              // 32: saves bp above a word
		{size: 16, code: []byte{cfaDefine, RegisterBP, 16, cfaOffset | RegisterBP, 2}},        // 48: by bp
		{size: 16, code: []byte{cfaDefine, RegisterBX, 16}},                                   // 64: by bx
		{size: 16, code: []byte{0x3f}},                                                        // 80: unusable
		{size: 16, code: []byte{cfaOffset | RegisterBP, 2, cfaDefineOffset, 8}},               // 96: bp was popped
		{size: 16, code: []byte{cfaDefineOffset, 0}},                                          // 112: stays where it is
		{size: 16, code: []byte{cfaSameValue, RegisterIP}},                                    // 128: calls itself
		{size: 16, code: []byte{cfaUndefined, RegisterSP}},                                    // 144: no stack pointer
		{size: 16, code: []byte{cfaRegister, RegisterIP, RegisterBX}},                         // 160: returns to bx
		{size: 16, code: []byte{cfaUndefined, RegisterBP}},                                    // 176: loses bp
		{size: 16, code: []byte{cfaDefineExpression, 3, opBreg0 + RegisterSP, 0, opDeref}},    // 192: CFA in memory
		{size: 16, code: []byte{cfaExpression, RegisterIP, 3, opLit0 + 8, opMinus, opNop}},    // 208: by an expression
		{size: 16, code: []byte{cfaValueExpression, RegisterBP, 1, opLit0 + 0}},               // 224: the caller's bp is 0
		{size: 16, code: []byte{cfaDefineOffset, 16, cfaOffset | RegisterBP, 20, cfaNop}},     // 240: bp far below
		{size: 16, code: []byte{cfaAdvance | 8, cfaUndefined, RegisterIP, cfaNop, cfaNop, 0}}, // 256: returns, then ends
	}}
	return p.table(t)
}

func TestUnwind(t *testing.T) {
	const (
		end   = withCFI + 16 + 4
		junk  = 0xdeadbeef
		jit   = withoutCFI
		stack = stackStart
	)
	f := func(n uint64) uint64 { return withCFI + 16*n + 4 } // within function n
	table, u := unwindTable(t), NewUnwinder()                // all cases share them
	for name, test := range map[string]struct {
		regs      *Registers
		stack     []byte
		want      []uint64
		truncated bool
	}{
		"at the end":          {at(end, stack, 0), nil, []uint64{end}, false},
		"one":                 {at(f(0), stack, 0), words(junk, end), []uint64{f(0), end}, false},
		"two":                 {at(f(0), stack, 0), words(junk, f(0), junk, end), []uint64{f(0), f(0), end}, false},
		"return to 0":         {at(f(0), stack, 0), words(junk, 0), []uint64{f(0)}, false},
		"copy too short":      {at(f(0), stack, 0), words(junk, f(0), junk), []uint64{f(0), f(0)}, true},
		"copy of 7 bytes":     {at(f(0), stack, 0), words(junk, f(0), junk, end)[:31], []uint64{f(0), f(0)}, true},
		"no copy":             {at(f(0), stack, 0), nil, []uint64{f(0)}, true},
		"junk on top":         {at(f(0), stack, 0), words(junk, junk, junk, end), []uint64{f(0)}, true},
		"lost from the start": {at(junk, stack, 0), words(junk, end), []uint64{junk}, true},
		// A call that does not return is the last thing in a function, and the return address is that of the next one.
		"call at the end of a function": {at(f(0), stack, 0), words(junk, withCFI+16, junk, end), []uint64{f(0), withCFI + 16, end}, false},
		"start of a function":           {at(withCFI+16, stack, 0), words(junk, junk), []uint64{withCFI + 16}, false},
		"interrupted in front of a row": {at(withCFI+256+7, stack, 0), words(end), []uint64{withCFI + 256 + 7, end}, false},
		"interrupted at a row":          {at(withCFI+256+8, stack, 0), words(end), []uint64{withCFI + 256 + 8}, false},
		"call in front of a row":        {at(f(0), stack, 0), words(junk, withCFI+256+8, end), []uint64{f(0), withCFI + 256 + 8, end}, false},

		"saved bp":              {at(f(2), stack, junk), words(junk, stack+32, f(3), junk, 0, end), []uint64{f(2), f(3), end}, false},
		"by bp":                 {at(f(3), stack, stack+8), words(junk, stack+24, f(3), 0, end), []uint64{f(3), f(3), end}, false},
		"unknown bx":            {at(f(4), stack, 0), words(junk, end), []uint64{f(4)}, true},
		"unusable":              {at(f(5), stack, stack), words(junk, end), []uint64{f(5)}, true},
		"popped bp":             {at(f(6), stack, stack+8), words(f(3), junk, end), []uint64{f(6), f(3), end}, false},
		"stack stays":           {at(f(7), stack, 0), words(f(7), end), []uint64{f(7)}, true},
		"calls itself":          {at(f(8), stack, 0), words(f(8)), slices.Repeat([]uint64{f(8)}, 8), true},
		"no stack pointer":      {at(f(9), stack, 0), words(f(9)), []uint64{f(9)}, true},
		"return to bx":          {at(f(10), stack, 0), words(end), []uint64{f(10)}, true},
		"lost bp":               {at(f(11), stack, stack), words(f(3), junk, end), []uint64{f(11), f(3)}, true},
		"CFA in memory":         {at(f(12), stack, 0), words(stack+24, junk, end), []uint64{f(12), end}, false},
		"CFA beyond":            {at(f(12), stack, 0), words(stack+32, junk, end), []uint64{f(12)}, true},
		"by expression":         {at(f(13), stack, 0), words(end), []uint64{f(13), end}, false},
		"value by one":          {at(f(14), stack, stack), words(jit+8, end), []uint64{f(14), jit + 8}, true},
		"bp far below":          {at(f(15), stack, stack+16), words(junk, f(3), junk, end), []uint64{f(15), f(3)}, true},
		"frame pointer":         {at(jit, stack, stack+8), words(junk, 0, end), []uint64{jit, end}, false},
		"frame pointers":        {at(jit, stack, stack+8), words(junk, stack+24, jit+8, 0, end), []uint64{jit, jit + 8, end}, false},
		"frame pointer 0":       {at(jit, stack, 0), words(junk, end), []uint64{jit}, true},
		"frame pointer, ret":    {at(jit, stack, stack), words(0, 0), []uint64{jit}, false},
		"frame pointer, saved":  {at(jit, stack, stack), words(8, 0), []uint64{jit}, true},
		"last frame pointer":    {at(jit, stack, stack), words(0, jit+8), []uint64{jit, jit + 8}, false},
		"start of the program":  {at(f(0), stack, 0), words(junk, withCFI+0x8004), []uint64{f(0), withCFI + 0x8004}, false},
		"start, with a pointer": {at(f(0), stack, 8), words(junk, withCFI+0x8004), []uint64{f(0), withCFI + 0x8004}, true},
		"behind the start":      {at(f(0), stack, 0), words(junk, withCFI+0x8041), []uint64{f(0), withCFI + 0x8041}, true},
		"frame pointer odd":     {at(jit, stack, stack+1), words(junk, end, end, end), []uint64{jit}, true},
		"frame pointer low":     {at(jit, stack+8, stack), words(junk, end, end, end), []uint64{jit}, true},
		"frame pointer junk":    {at(jit, stack, junk), words(junk, end), []uint64{jit}, true},
		"to CFI and back":       {at(jit, stack, stack), words(stack+32, f(0), junk, jit+8, 0, end), []uint64{jit, f(0), jit + 8, end}, false},
		"gap in the CFI":        {at(withCFI+0x8000, stack, stack), words(0, end), []uint64{withCFI + 0x8000, end}, false},
	} {
		for range 2 { // the second time from the cache
			out := make([]uint64, 8)
			n, truncated := u.Unwind(test.regs, test.stack, finder(table), out)
			if !slices.Equal(out[:n], test.want) || truncated != test.truncated {
				t.Errorf("%s: %#x, truncated %v; want %#x, %v", name, out[:n], truncated, test.want, test.truncated)
			}
		}
	}
}

func TestOutOfRoom(t *testing.T) {
	f := uint64(withCFI + 4)
	stack := words(1, f, 1, f, 1, f, 1, withCFI+20)
	u := NewUnwinder()
	for room, want := range map[int]int{0: 0, 1: 1, 3: 3, 4: 4, 5: 5, 9: 5} {
		out := make([]uint64, room)
		n, truncated := u.Unwind(at(f, stackStart, 0), stack, finder(unwindTable(t)), out)
		if n != want || truncated != (room < 5) {
			t.Errorf("room for %d: %d, truncated %v", room, n, truncated)
		}
	}
}

func TestNoStackPointer(t *testing.T) {
	var regs Registers
	regs.Set(RegisterIP, withCFI)
	out := make([]uint64, 8)
	if n, truncated := NewUnwinder().Unwind(&regs, make([]byte, 100), finder(unwindTable(t)), out); n != 1 || !truncated {
		t.Errorf("%d, truncated %v", n, truncated)
	}
}

// TestSignalReturn expects what the kernel saved where a handler returns by code without CFI.
func TestSignalReturn(t *testing.T) {
	for _, code := range []string{"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05", "\xb8\x0f\x00\x00\x00\x0f\x05\x00\x00"} {
		find, place := withCode(t, code)
		context := make([]uint64, 5+23)
		context[5+10], context[5+15], context[5+16] = stackStart+8*40, stackStart+8*38, withoutCFI+100 // bp, sp, ip
		stack := words(append(append([]uint64{0, withCFI + uint64(place)}, context...), make([]uint64, 20)...)...)
		binary.LittleEndian.PutUint64(stack[8*41:], withoutCFI+200)
		out := make([]uint64, 8)
		n, truncated := NewUnwinder().Unwind(at(withoutCFI, stackStart, stackStart), stack, find, out)
		want := []uint64{withoutCFI, withCFI + uint64(place), withoutCFI + 100, withoutCFI + 200}
		if !slices.Equal(out[:n], want) || truncated {
			t.Errorf("%x: %#x, truncated %v; want %#x", code, out[:n], truncated, want)
		}
		u := NewUnwinder()
		if u.FollowsFramePointers([]uint64{withoutCFI, withCFI + uint64(place)}, find) {
			t.Error("a signal is no matter of frame pointers")
		}
	}
}

// withCode returns a program that has some code without CFI behind the rest, and the place of that.
func withCode(t *testing.T, code string) (find Find, place int) {
	t.Helper()
	b := (&program{}).build()
	place = len(b)
	b = append(b, code...)
	binary.LittleEndian.PutUint64(b[64+32:], uint64(len(b))) // the size of the segment
	binary.LittleEndian.PutUint64(b[64+40:], uint64(len(b)))
	table, err := NewTable(readerAt(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	find = func(addr uint64) (*Table, uint64, bool) {
		if addr >= withoutCFI {
			return nil, addr, addr < withoutCFI+codeSize
		}
		return table, addr - withCFI, addr >= withCFI
	}
	return find, place
}

type readerAt []byte

func (r readerAt) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(r)) {
		return 0, io.EOF
	}
	n := copy(b, r[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func TestFollowsFramePointers(t *testing.T) {
	u := NewUnwinder()
	find := finder(unwindTable(t))
	for _, test := range []struct {
		stack []uint64
		want  bool
	}{
		{nil, false},
		{[]uint64{withoutCFI, withoutCFI + 8}, true},
		{[]uint64{withoutCFI, withCFI + 0x8000}, true}, // no function of the CFI
		{[]uint64{withoutCFI, withCFI + 4}, false},
		{[]uint64{withCFI, withoutCFI + 4}, false},
		{[]uint64{withoutCFI, 8}, false},
		{[]uint64{withoutCFI, withoutCFI}, false}, // the call would be in front of the mapping
	} {
		if got := u.FollowsFramePointers(test.stack, find); got != test.want {
			t.Errorf("%#x: %v", test.stack, got)
		}
	}
}

// TestCacheReplacesRows unwinds at more addresses than the cache has room for.
func TestCacheReplacesRows(t *testing.T) {
	p := program{functions: []function{{size: codeSize, code: []byte{cfaDefineOffset, 16}}}}
	u := NewUnwinder()
	find := finder(p.table(t))
	out := make([]uint64, 2)
	for range 2 {
		for i := range uint64(3 * cacheSets * cacheWays) {
			ip := withCFI + i
			n, _ := u.Unwind(at(ip, stackStart, 0), words(1, ip+1), find, out)
			if n != 2 || out[0] != ip || out[1] != ip+1 {
				t.Fatalf("at %#x: %#x", ip, out[:n])
			}
		}
	}
}

// TestTablesShareTheCache unwinds at the same addresses of two files.
func TestTablesShareTheCache(t *testing.T) {
	first := (&program{functions: []function{{size: 16, code: []byte{cfaDefineOffset, 16}}}}).table(t)
	second := (&program{functions: []function{{size: 16, code: []byte{cfaDefineOffset, 24}}}}).table(t)
	u := NewUnwinder()
	out := make([]uint64, 2)
	for range 2 {
		for table, want := range map[*Table]uint64{first: withCFI + 1, second: withCFI + 2} {
			if n, _ := u.Unwind(at(withCFI, stackStart, 0), words(0, withCFI+1, withCFI+2), finder(table), out); n != 2 || out[1] != want {
				t.Errorf("%#x, want %#x", out[:n], want)
			}
		}
	}
}

// TestUnwindAllocatesNothing covers code that is in the cache and code that is not.
func TestUnwindAllocatesNothing(t *testing.T) {
	p := program{functions: []function{{size: codeSize, code: []byte{cfaDefineOffset, 16}}}}
	table := p.table(t)
	u := NewUnwinder()
	find := finder(table)
	out := make([]uint64, 64)
	stack := words(slices.Repeat([]uint64{1, withCFI + 8}, 40)...)
	regs := at(withCFI, stackStart, 0)
	var s Sample
	encoded := encodeSample(regs, stack)
	ip := uint64(withCFI)
	if n := testing.AllocsPerRun(1000, func() {
		if err := s.Decode(encoded); err != nil {
			t.Fatal(err)
		}
		ip += 3
		s.Registers.Set(RegisterIP, ip)
		if n, _ := u.Unwind(&s.Registers, s.Stack, find, out); n < 40 {
			t.Fatalf("%d calls", n)
		}
		u.FollowsFramePointers(out, find)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// Code that was interrupted in a stub that only jumps has nothing on the stack but the return address. A stub calls nobody.
func TestJumpStub(t *testing.T) {
	for _, c := range []struct {
		code string
		stub bool
	}{
		{"\xff\x25\xe2\x7f\x0b\x00\x66\x90", true},
		{"\xf3\x0f\x1e\xfa\xff\x25\x00\x00", true},
		{"\xf3\x0f\x1e\xfa\xf2\xff\x25\x00", true},
		{"\xff\x15\xe2\x7f\x0b\x00\x66\x90", false}, // a call
	} {
		find, place := withCode(t, c.code)
		stub := withCFI + uint64(place)
		// The caller has a frame, which begins where the frame pointer points to.
		stack := words(withoutCFI+100, 0, 0, 0, withoutCFI+200)
		out := make([]uint64, 8)
		n, truncated := NewUnwinder().Unwind(at(stub, stackStart, stackStart+8*3), stack, find, out)
		want := []uint64{stub, withoutCFI + 100, withoutCFI + 200}
		if found := slices.Equal(out[:n], want) && !truncated; found != c.stub {
			t.Errorf("%x: %#x, truncated %v; want %#x: %v", c.code, out[:n], truncated, want, c.stub)
		}
	}
}
