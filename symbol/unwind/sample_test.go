// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package unwind

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

func TestSample(t *testing.T) {
	b := le(nil, uint64(1), uint64(2), uint64(3), uint64(4), uint64(5), uint64(6), uint64(7), uint64(8), uint32(3), uint32(0), []byte("abcpadding"))
	var s Sample
	if err := s.Decode(b); err != nil {
		t.Fatal(err)
	}
	for reg, want := range map[uint64]uint64{16: 1, 7: 2, 6: 3, 3: 4, 12: 5, 13: 6, 14: 7, 15: 8} {
		if got, ok := s.Registers.get(reg); !ok || got != want {
			t.Errorf("register %d: %d, %v; want %d", reg, got, ok, want)
		}
	}
	if _, ok := s.Registers.get(0); ok {
		t.Error("a register that the sample does not have")
	}
	if string(s.Stack) != "abc" {
		t.Errorf("stack %q", s.Stack)
	}
}

func TestSampleErrors(t *testing.T) {
	good := le(nil, [8]uint64{}, uint32(3), uint32(0), []byte("abc"))
	form := bytes.Clone(good)
	form[68] = 1
	long := bytes.Clone(good)
	long[67] = 0xff
	for want, b := range map[string][]byte{
		"has 0 bytes; its header has 72": nil,
		"has 71 bytes":                   good[:71],
		"but has 2":                      good[:len(good)-1],
		"has the form 1":                 form,
		"4278190083 bytes":               long,
	} {
		var s Sample
		if err := s.Decode(b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if s.Stack != nil {
			t.Errorf("%q: a stack", want)
		}
	}
}

// encodeSample writes what a BPF program sends.
func encodeSample(regs *Registers, stack []byte) []byte {
	var b []byte
	for _, number := range sampleRegisters() {
		b = binary.NativeEndian.AppendUint64(b, regs.values[number])
	}
	b = binary.NativeEndian.AppendUint32(b, uint32(len(stack)))
	b = binary.NativeEndian.AppendUint32(b, 0)
	return append(b, stack...)
}
