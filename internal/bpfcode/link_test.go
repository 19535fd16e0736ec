// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package bpfcode_test

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/gizmo-ebpf/gizmo/internal/bpfcode"
)

// A call in place of a helper's keeps the name of its instruction.
func TestCallInPlace(t *testing.T) {
	t.Parallel()
	helper := asm.FnGetStackid.Call().WithSymbol("main")
	call := bpfcode.CallInPlace(&helper, "other")
	if !call.IsFunctionCall() || call.Reference() != "other" || call.Symbol() != "main" {
		t.Errorf("got %v", call)
	}
}

// Functions come once, with those that they call, and the code before stays as it is.
func TestLink(t *testing.T) {
	t.Parallel()
	helper := asm.FnGetStackid.Call()
	functions := map[string]asm.Instructions{
		"outer": {asm.Mov.Imm(asm.R0, 0).WithSymbol("outer"), bpfcode.CallInPlace(&helper, "inner"), asm.Return()},
		"inner": {asm.Mov.Imm(asm.R0, 0).WithSymbol("inner"), asm.Return()},
	}
	before := append(make(asm.Instructions, 0, 100), code()...)
	linked := bpfcode.Link(bpfcode.Link(before, functions, "inner"), functions, "outer")
	var names []string
	for i := range linked {
		if name := linked[i].Symbol(); name != "" {
			names = append(names, name)
		}
	}
	if want := []string{"main", "other", "inner", "outer"}; !slices.Equal(names, want) {
		t.Errorf("functions %q, want %q", names, want)
	}
	if behind := before[:len(before)+1][len(before)]; behind.Symbol() != "" {
		t.Errorf("the array behind the code has %v", behind)
	}
}
