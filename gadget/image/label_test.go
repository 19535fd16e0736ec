// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"debug/elf"
	"fmt"
	"testing"
)

// The targets of jumps, which some versions of clang list among the symbols, are no programs.
func TestLocalLabelsAreNoPrograms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		symbol elf.Symbol
		want   bool
	}{
		{elf.Symbol{Name: "LBB0_12", Info: elf.ST_INFO(elf.STB_LOCAL, elf.STT_NOTYPE)}, true},
		{elf.Symbol{Name: ".Ltmp3", Info: elf.ST_INFO(elf.STB_LOCAL, elf.STT_NOTYPE)}, true},
		{elf.Symbol{Name: "LBB_open", Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC), Size: 16}, false},
		{elf.Symbol{Name: "LBB_hidden", Info: elf.ST_INFO(elf.STB_LOCAL, elf.STT_NOTYPE), Size: 16}, false},
		{elf.Symbol{Name: "trace_open", Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_NOTYPE)}, false},
	} {
		if got := isLocalLabel(&c.symbol); got != c.want {
			t.Errorf("%s, info %#x, %d bytes: got %v", c.symbol.Name, c.symbol.Info, c.symbol.Size, got)
		}
	}
}

// The limit is on the instructions of real programs, and the error says what it is.
func TestCodeLimit(t *testing.T) {
	t.Parallel()
	if err := checkCode(147, maxCode-147*10, 10); err != nil {
		t.Error(err)
	}
	want := fmt.Sprintf("it has 147 programs with %d instructions together, and functions with 10 instructions, which each program may call; "+
		"with a copy of the functions for each program that exceeds gizmo's limit of %d instructions", maxCode-147*10+1, maxCode)
	if err := checkCode(147, maxCode-147*10+1, 10); err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}
