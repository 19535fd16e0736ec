// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// one builds a file with a function of 256 bytes, and reads the row of a place in it.
func one(t *testing.T, p program, code []byte, at uint64) (*row, *rowReader) {
	t.Helper()
	p.functions = []function{{size: 256, code: code}}
	reader := &rowReader{}
	r := &row{}
	reader.read(p.table(t), codeAddr+at, r)
	return r, reader
}

func text(r *row) string {
	return describe(r, strings.Fields("CFA rax rbx rbp rsp r12 ra"))
}

func TestInstructions(t *testing.T) {
	const entered = "rsp+8 u u u u u c-8" // nothing happened yet
	for name, test := range map[string]struct {
		code []byte
		at   uint64
		want string
	}{
		"none":                     {nil, 0, entered},
		"nop":                      {[]byte{cfaNop, cfaNop}, 0, entered},
		"define":                   {[]byte{cfaDefine, RegisterBP, 16}, 0, "rbp+16 u u u u u c-8"},
		"define offset":            {[]byte{cfaDefineOffset, 0x80, 1}, 0, "rsp+128 u u u u u c-8"},
		"define register":          {[]byte{cfaDefineRegister, RegisterR12}, 0, "r12+8 u u u u u c-8"},
		"define signed":            {[]byte{cfaDefineSigned, RegisterBX, 0x7e}, 0, "rbx+16 u u u u u c-8"},
		"define offset signed":     {[]byte{cfaDefineOffsetSigned, 0x7d}, 0, "rsp+24 u u u u u c-8"},
		"define expression":        {[]byte{cfaDefineExpression, 1, opLit0}, 0, "exp u u u u u c-8"},
		"offset":                   {[]byte{cfaOffset | RegisterBX, 2}, 0, "rsp+8 u c-16 u u u c-8"},
		"offset extended":          {[]byte{cfaOffsetExtended, RegisterBX, 3}, 0, "rsp+8 u c-24 u u u c-8"},
		"offset signed":            {[]byte{cfaOffsetSigned, RegisterBX, 0x7f}, 0, "rsp+8 u c+8 u u u c-8"},
		"offset negative":          {[]byte{cfaOffsetNegative, RegisterBX, 2}, 0, "rsp+8 u c+16 u u u c-8"},
		"value offset":             {[]byte{cfaValueOffset, RegisterBX, 2}, 0, "rsp+8 u v-16 u u u c-8"},
		"value offset signed":      {[]byte{cfaValueOffsetSigned, RegisterBX, 0x7f}, 0, "rsp+8 u v+8 u u u c-8"},
		"register":                 {[]byte{cfaRegister, RegisterIP, RegisterBX}, 0, "rsp+8 u u u u u rbx"},
		"same, undefined":          {[]byte{cfaSameValue, 0, cfaUndefined, RegisterIP}, 0, "rsp+8 s u u u u u"},
		"expression":               {[]byte{cfaExpression, RegisterBX, 2, opLit0 + 8, opMinus}, 0, "rsp+8 u exp u u u c-8"},
		"value expression":         {[]byte{cfaValueExpression, RegisterBX, 1, opLit0}, 0, "rsp+8 u vexp u u u c-8"},
		"other registers":          {[]byte{cfaOffsetExtended, 17, 2, cfaOffset | 50, 3, cfaUndefined, 0xff, 1, cfaRestore | 40}, 0, entered},
		"arguments":                {[]byte{cfaArgumentsSize, 0x80, 1, cfaDefineOffset, 16}, 0, "rsp+16 u u u u u c-8"},
		"restore":                  {[]byte{cfaOffset | RegisterIP, 9, cfaRestore | RegisterIP}, 0, entered},
		"restore to no rule":       {[]byte{cfaOffset | RegisterBX, 9, cfaRestoreExtended, RegisterBX}, 0, entered},
		"before advance":           {[]byte{cfaAdvance | 4, cfaDefineOffset, 16}, 3, entered},
		"after advance":            {[]byte{cfaAdvance | 4, cfaDefineOffset, 16}, 4, "rsp+16 u u u u u c-8"},
		"advance, 1 byte":          {[]byte{cfaAdvance1, 200, cfaDefineOffset, 16}, 200, "rsp+16 u u u u u c-8"},
		"before 2 bytes":           {[]byte{cfaAdvance2, 200, 0, cfaDefineOffset, 16}, 199, entered},
		"advance, 2 bytes":         {[]byte{cfaAdvance2, 200, 0, cfaDefineOffset, 16}, 200, "rsp+16 u u u u u c-8"},
		"advance, 4 bytes":         {[]byte{cfaAdvance4, 200, 0, 0, 0, cfaDefineOffset, 16}, 200, "rsp+16 u u u u u c-8"},
		"far beyond":               {[]byte{cfaAdvance4, 255, 255, 255, 255, cfaDefineOffset, 16}, 255, entered},
		"remember":                 {[]byte{cfaRememberState, cfaDefineOffset, 99, cfaOffset | RegisterBX, 2, cfaAdvance | 1, cfaRestoreState}, 0, "rsp+99 u c-16 u u u c-8"},
		"restore what remembered":  {[]byte{cfaRememberState, cfaDefineOffset, 99, cfaOffset | RegisterBX, 2, cfaAdvance | 1, cfaRestoreState}, 1, entered},
		"junk behind the address":  {[]byte{cfaAdvance | 1, 0x3f}, 0, entered},
		"unknown":                  {[]byte{0x3f}, 0, "state 3"},
		"restore nothing":          {[]byte{cfaRestoreState}, 0, "state 3"},
		"remember too often":       {slices.Repeat([]byte{cfaRememberState}, maxRemembered+1), 0, "state 3"},
		"end in an operand":        {[]byte{cfaNop, cfaNop, cfaNop, cfaNop, cfaNop, cfaDefineOffset, 0x80}, 0, "state 3"},
		"number without an end":    {append([]byte{cfaDefineOffset}, slices.Repeat([]byte{0x80}, 20)...), 0, "state 3"},
		"CFA from no register":     {[]byte{cfaDefine, 17, 8}, 0, "state 3"},
		"CFA from a huge register": {[]byte{cfaDefineRegister, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 0, "state 3"},
		"CFA too far":              {[]byte{cfaDefineOffset, 0xff, 0xff, 0xff, 0xff, 0x0f}, 0, "state 3"},
		"offset too far":           {[]byte{cfaOffset | RegisterBX, 0xff, 0xff, 0xff, 0xff, 0x07}, 0, "state 3"},
		"register in none":         {[]byte{cfaRegister, RegisterIP, 17}, 0, "state 3"},
		"offset of an expression":  {[]byte{cfaDefineExpression, 1, opLit0, cfaDefineOffset, 8}, 0, "state 3"},
		"long expression":          {append([]byte{cfaDefineExpression, maxExpression + 1}, slices.Repeat([]byte{opNop}, maxExpression+1)...), 0, "state 3"},
		"expression beyond":        {[]byte{cfaNop, cfaNop, cfaDefineExpression, 60}, 0, "state 3"},
		"many expressions":         {slices.Concat(expressionOf(0), expressionOf(1)), 0, "state 3"},
	} {
		r, _ := one(t, program{}, test.code, test.at)
		if got := text(r); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// expressionOf is a rule with the longest expression.
func expressionOf(reg byte) []byte {
	return append([]byte{cfaExpression, reg, maxExpression}, slices.Repeat([]byte{opNop}, maxExpression)...)
}

func TestSetLocation(t *testing.T) {
	// The builder writes relative pointers, so these entries with absolute ones are by hand.
	p := program{functions: []function{{}}}
	cie := padded(slices.Concat(le(nil, uint32(0), byte(1)), []byte("zR\x00\x01\x78\x10\x01\x03"), entry()))
	fde := padded(slices.Concat(le(nil, uint32(len(cie)+4), uint32(codeAddr), uint32(100), byte(0), byte(cfaSetLocation), uint32(codeAddr+50)), []byte{cfaDefineOffset, 16}))
	b := p.build()
	table := p.table(t)
	table.file.r = bytes.NewReader(append(slices.Clone(b[:64+2*56]), append(append(cie, fde...), make([]byte, len(b))...)...))
	table.search = searchTable{}
	table.index = []indexed{{start: codeAddr, frame: uint32(64 + 2*56 + len(cie))}}
	table.base = 0
	reader := &rowReader{}
	for at, want := range map[uint64]string{0: "rsp+8", 49: "rsp+8", 50: "rsp+16", 99: "rsp+16"} {
		r := &row{}
		reader.read(table, codeAddr+at, r)
		if got, _, _ := strings.Cut(text(r), " "); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

func TestAugmentations(t *testing.T) {
	for _, test := range []struct {
		letters string
		data    []byte
		want    rowState
		signal  bool
	}{
		{"zR", []byte{1, 0x1b}, rowCovered, false},
		{"zPLR", []byte{7, 0x9b, 1, 2, 3, 4, 0x1b, 0x1b}, rowCovered, false},
		{"zRS", []byte{1, 0x1b}, rowCovered, true},
		{"zR", []byte{9, 0x1b, 1, 2, 3, 4, 5, 6, 7, 8}, rowCovered, false}, // more data than letters
		{"zR", []byte{0}, rowBroken, false},                                // less
		{"zPR", []byte{2, 0x9b, 0x1b}, rowBroken, false},
		{"zRX", []byte{1, 0x1b}, rowBroken, false},
		{"R", []byte{1, 0x1b}, rowBroken, false},
		{"eh", nil, rowBroken, false},
		{"zRRRRRRRRRR", []byte{10, 0x1b, 0x1b, 0x1b, 0x1b, 0x1b, 0x1b, 0x1b, 0x1b, 0x1b, 0x1b}, rowBroken, false},
		{"zR", []byte{1, 0x2b}, rowBroken, false}, // relative to text
		{"zR", []byte{1, 0x9b}, rowBroken, false}, // indirect
		{"zR", []byte{1, 0x1d}, rowBroken, false}, // no such format
	} {
		r, _ := one(t, program{augmentation: test.letters, data: test.data}, nil, 0)
		if r.state != test.want || r.signal != test.signal {
			t.Errorf("%s %x: state %d, signal %v", test.letters, test.data, r.state, r.signal)
		}
	}
}

// TestShortCIE ends a CIE after each of its bytes.
func TestShortCIE(t *testing.T) {
	whole := slices.Concat(le(nil, uint32(0), byte(1)), []byte("zPLR\x00\x01\x78\x10\x07\x9b\x01\x02\x03\x04\x1b\x1b"))
	if info, ok := parseCIE(whole); !ok || info.encoding != 0x1b || info.dataAlign != -8 {
		t.Fatalf("%+v, %v", info, ok)
	}
	for n := range whole {
		if info, ok := parseCIE(whole[:n]); ok {
			t.Errorf("%d bytes: %+v", n, info)
		}
	}
	for _, version := range []byte{0, 2, 4} {
		b := bytes.Clone(whole)
		b[4] = version
		if _, ok := parseCIE(b); ok {
			t.Errorf("version %d", version)
		}
	}
}

// TestEntriesOfAnySize reads FDEs around the sizes at which the reader reads more, and at which it gives up.
func TestEntriesOfAnySize(t *testing.T) {
	for _, size := range []int{readAhead - 30, readAhead - 8, readAhead, readAhead + 1, 5000, maxEntry - 100, maxEntry + 1} {
		code := append(slices.Repeat([]byte{cfaNop}, size), cfaDefineOffset, 77)
		r, reader := one(t, program{}, code, 0)
		want := "rsp+77 u u u u u c-8"
		if size > maxEntry {
			want = "state 3"
		}
		if got := text(r); got != want {
			t.Errorf("%d bytes: %s, want %s", size, got, want)
		}
		if cap(reader.fde) > 2*maxEntry {
			t.Errorf("%d bytes: a buffer of %d", size, cap(reader.fde))
		}
	}
}

// describe writes a row as readelf does.
func describe(r *row, columns []string) string {
	if r.state != rowCovered {
		return fmt.Sprint("state ", r.state)
	}
	names := strings.Fields("rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 ra")
	words := []string{"exp"}
	if r.cfa.kind == ruleOffset {
		words[0] = fmt.Sprintf("%s%+d", names[r.cfa.reg], r.cfa.value)
	}
	for _, column := range columns[1:] {
		for i, name := range names {
			if name == column {
				words = append(words, describeRule(r.regs[i], names))
			}
		}
	}
	return strings.Join(words, " ")
}

func describeRule(r rule, names []string) string {
	switch r.kind {
	case ruleDefault, ruleUndefined:
		return "u"
	case ruleSame:
		return "s"
	case ruleSaved:
		return fmt.Sprintf("c%+d", r.value)
	case ruleOffset:
		return fmt.Sprintf("v%+d", r.value)
	case ruleRegister:
		return names[r.reg]
	case ruleSavedAt:
		return "exp"
	}
	return "vexp"
}
