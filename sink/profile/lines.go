// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// inlinedName is the name of a call that was inlined, if the debug information does not tell it.
const inlinedName = "[inlined]"

// AddLines adds the lines of source that are known, and keeps parts of them.
func (p *Profile) AddLines(known *symbol.Lines) {
	if known.Empty() {
		return
	}
	seen := make(map[*Frame]bool)
	for i := range p.Samples {
		for _, f := range p.Samples[i].Stack {
			if !seen[f] {
				seen[f] = true
				f.Lines = known.Of(f.Module, f.Address)
			}
		}
	}
}

// function returns the function of one of the lines. That of the last is the one that the frame has: its name is that in the table of symbols, which
// tells apart what the compiler made of a function.
func (f *Frame) function(line int) symbol.Function {
	of := f.Lines[line].Function
	switch {
	case line == len(f.Lines)-1 && f.Function != nil:
		return *f.Function
	case of != nil:
		return *of
	case line == len(f.Lines)-1:
		return symbol.Function{Name: f.Name(), System: f.Name()}
	}
	return symbol.Function{Name: inlinedName, System: inlinedName}
}

// eachCall calls do for the calls that a frame is, the outermost first: that of the function itself, and those that were inlined in it.
func (f *Frame) eachCall(do func(name string, inlined bool)) {
	if len(f.Lines) == 0 {
		do(f.Name(), false)
	}
	for i := len(f.Lines) - 1; i >= 0; i-- {
		do(f.function(i).Name, i < len(f.Lines)-1)
	}
}
