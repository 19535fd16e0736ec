// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"math"
	"slices"
	"testing"
)

func TestExpressions(t *testing.T) {
	const start = 0x7000
	stack := le(nil, uint64(0x1122334455667788), uint64(42))
	const cfa, sp, ip = 1000, start, 0x100b
	minus := func(v int64) uint64 { return uint64(v) }
	for name, test := range map[string]struct {
		code []byte
		want uint64
		bad  bool
	}{
		"the CFA":           {nil, cfa, false},
		"literal":           {[]byte{opLit31}, 31, false},
		"1 byte":            {[]byte{opConst1u, 0xff}, 255, false},
		"1 byte, signed":    {[]byte{opConst1s, 0xff}, minus(-1), false},
		"2 bytes":           {[]byte{opConst2u, 0, 0xff}, 0xff00, false},
		"2 bytes, signed":   {[]byte{opConst2s, 0, 0xff}, minus(-256), false},
		"4 bytes":           {[]byte{opConst4u, 0, 0, 0, 0xff}, 0xff000000, false},
		"4 bytes, signed":   {[]byte{opConst4s, 0, 0, 0, 0xff}, minus(-1 << 24), false},
		"8 bytes":           {[]byte{opConst8u, 1, 0, 0, 0, 0, 0, 0, 0x80}, 1<<63 + 1, false},
		"8 bytes, signed":   {[]byte{opConst8s, 1, 0, 0, 0, 0, 0, 0, 0x80}, 1<<63 + 1, false},
		"LEB":               {[]byte{opConstu, 0x80, 1}, 128, false},
		"LEB, signed":       {[]byte{opConsts, 0x80, 0x7f}, minus(-128), false},
		"register":          {[]byte{opBreg0 + RegisterSP, 8}, sp + 8, false},
		"register, minus":   {[]byte{opBreg0 + RegisterSP, 0x78}, sp - 8, false},
		"registerx":         {[]byte{opBregx, RegisterSP, 8}, sp + 8, false},
		"unknown register":  {[]byte{opBreg0, 0}, 0, true},
		"no register":       {[]byte{opBregx, 0xff, 0xff, 3, 0}, 0, true},
		"memory":            {[]byte{opBreg0 + RegisterSP, 8, opDeref}, 42, false},
		"memory, 1 byte":    {[]byte{opBreg0 + RegisterSP, 0, opDerefSize, 1}, 0x88, false},
		"memory, 8 bytes":   {[]byte{opBreg0 + RegisterSP, 0, opDerefSize, 8}, 0x1122334455667788, false},
		"memory, 0 bytes":   {[]byte{opBreg0 + RegisterSP, 0, opDerefSize, 0}, 0, true},
		"memory, 9 bytes":   {[]byte{opBreg0 + RegisterSP, 0, opDerefSize, 9}, 0, true},
		"beyond the copy":   {[]byte{opBreg0 + RegisterSP, 9, opDeref}, 0, true},
		"before the copy":   {[]byte{opBreg0 + RegisterSP, 0x7f, opDeref}, 0, true},
		"dup":               {[]byte{opLit0 + 3, opDup, opMul}, 9, false},
		"drop":              {[]byte{opLit0 + 3, opDrop}, cfa, false},
		"over":              {[]byte{opLit0 + 3, opOver, opPlus, opPlus}, cfa*2 + 3, false},
		"pick":              {[]byte{opLit0 + 3, opLit0 + 4, opPick, 1}, 3, false},
		"pick too deep":     {[]byte{opPick, 1}, 0, true},
		"swap":              {[]byte{opLit0 + 9, opLit0 + 4, opSwap, opMinus}, minus(-5), false},
		"rot":               {[]byte{opLit0 + 1, opLit0 + 2, opLit0 + 3, opRot, opMinus, opMinus}, 4, false},
		"abs":               {[]byte{opConst1s, 0xfb, opAbs}, 5, false},
		"abs of the least":  {[]byte{opConst8s, 0, 0, 0, 0, 0, 0, 0, 0x80, opAbs}, 1 << 63, false},
		"neg":               {[]byte{opLit0 + 5, opNeg}, minus(-5), false},
		"not":               {[]byte{opLit0, opNot}, math.MaxUint64, false},
		"and":               {[]byte{opLit0 + 12, opLit0 + 10, opAnd}, 8, false},
		"or":                {[]byte{opLit0 + 12, opLit0 + 10, opOr}, 14, false},
		"xor":               {[]byte{opLit0 + 12, opLit0 + 10, opXor}, 6, false},
		"plus":              {[]byte{opLit0 + 12, opPlus}, cfa + 12, false},
		"plus constant":     {[]byte{opPlusConst, 0x80, 1}, cfa + 128, false},
		"div, signed":       {[]byte{opConst1s, 0xf6, opLit0 + 3, opDiv}, minus(-3), false},
		"div, the least":    {[]byte{opConst8s, 0, 0, 0, 0, 0, 0, 0, 0x80, opConst1s, 0xff, opDiv}, 1 << 63, false},
		"div by 0":          {[]byte{opLit0, opDiv}, 0, true},
		"mod":               {[]byte{opLit0 + 10, opLit0 + 3, opMod}, 1, false},
		"mod by 0":          {[]byte{opLit0, opMod}, 0, true},
		"shl":               {[]byte{opLit0 + 3, opLit0 + 4, opShl}, 48, false},
		"shl by 64":         {[]byte{opLit0 + 3, opConst1u, 64, opShl}, 0, false},
		"shr":               {[]byte{opConst1s, 0xff, opConst1u, 63, opShr}, 1, false},
		"shra":              {[]byte{opConst1s, 0xf0, opLit0 + 2, opShra}, minus(-4), false},
		"eq":                {[]byte{opLit0 + 3, opLit0 + 3, opEq}, 1, false},
		"ne":                {[]byte{opLit0 + 3, opLit0 + 3, opNe}, 0, false},
		"ge, signed":        {[]byte{opConst1s, 0xff, opLit0, opGe}, 0, false},
		"gt":                {[]byte{opLit0 + 4, opLit0 + 3, opGt}, 1, false},
		"le":                {[]byte{opLit0 + 3, opLit0 + 3, opLe}, 1, false},
		"lt, signed":        {[]byte{opConst1s, 0xff, opLit0, opLt}, 1, false},
		"skip":              {[]byte{opSkip, 1, 0, opLit0, opLit0 + 7}, 7, false},
		"branch":            {[]byte{opLit0 + 1, opBranch, 1, 0, opDrop}, cfa, false},
		"no branch":         {[]byte{opLit0, opBranch, 1, 0, opLit0 + 2, opLit0 + 3}, 3, false},
		"skip to the end":   {[]byte{opLit0 + 7, opSkip, 1, 0, opLit0}, 7, false},
		"skip beyond":       {[]byte{opSkip, 2, 0, opLit0}, 0, true},
		"skip before":       {[]byte{opSkip, 0xfc, 0xff}, 0, true},
		"endless":           {[]byte{opSkip, 0xfd, 0xff}, 0, true},
		"nop":               {[]byte{opNop}, cfa, false},
		"unknown":           {[]byte{0xff}, 0, true},
		"address":           {[]byte{0x03, 0, 0, 0, 0, 0, 0, 0, 0}, 0, true},
		"xderef":            {[]byte{opLit0, opLit0, 0x18}, 0, true},
		"end in an operand": {[]byte{opConst4u, 0, 0}, 0, true},
		"empty stack":       {[]byte{opDrop, opPlus}, 0, true},
		"nothing left":      {[]byte{opDrop}, 0, true},
		"full stack":        {slices.Repeat([]byte{opLit0}, maxOperands), 0, true},
		"nearly full stack": {slices.Repeat([]byte{opLit0}, maxOperands-1), 0, false},
		"table of a linker": {[]byte{opBreg0 + RegisterSP, 8, opBreg0 + RegisterIP, 0, opLit0 + 15, opAnd, opLit0 + 11, opGe, opLit0 + 3, opShl, opPlus}, sp + 16, false},
	} {
		var regs Registers
		regs.Set(RegisterSP, sp)
		regs.Set(RegisterIP, ip)
		e := &evaluator{}
		got, ok := e.evaluateFrom(machineState{&regs, &memory{start, stack}}, test.code, cfa)
		if ok == test.bad || ok && got != test.want {
			t.Errorf("%s: %#x, %v; want %#x", name, got, ok, test.want)
		}
	}
}
