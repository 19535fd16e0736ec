// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"slices"

	"github.com/gizmo-ebpf/gizmo/symbol"
)

// inlinedName is the name of a call that was inlined, if the debug information does not tell it.
const inlinedName = "[inlined]"

// AddLines adds the lines of source that are known.
func (p *Profile) AddLines(known *symbol.Lines) {
	if known.Empty() {
		return
	}
	seen := make(map[*Frame]bool)
	functions := make(map[symbol.Function]*symbol.Function)
	for i := range p.Samples {
		for _, f := range p.Samples[i].Stack {
			if !seen[f] {
				seen[f] = true
				f.addLines(known.Of(f.Module, f.Address), functions)
			}
		}
	}
}

// addLines adds the lines of a frame. The function of the last is the one that the frame has: its name is that in the table of symbols, which
// tells apart what the compiler made of a function.
func (f *Frame) addLines(lines []symbol.Line, functions map[symbol.Function]*symbol.Function) {
	f.Lines = slices.Clone(lines)
	for i := range f.Lines {
		l := &f.Lines[i]
		l.File, l.Line, l.Start = valid(l.File), max(l.Line, 0), max(l.Start, 0)
		isLast := i == len(lines)-1
		switch {
		case isLast && f.Function != nil:
			l.Function = f.Function
		case l.Function != nil:
			l.Function = validFunction(*l.Function, functions)
		case isLast:
			l.Function = validFunction(symbol.Function{Name: f.Name(), System: f.Name()}, functions)
		default:
			l.Function = validFunction(symbol.Function{Name: inlinedName, System: inlinedName}, functions)
		}
	}
}

func validFunction(f symbol.Function, known map[symbol.Function]*symbol.Function) *symbol.Function {
	own := symbol.Function{Name: valid(f.Name), System: valid(f.System)}
	if known[own] == nil {
		known[own] = &own
	}
	return known[own]
}

// eachCall calls do for the calls that a frame is, the outermost first: that of the function itself, and those that were inlined in it.
func (f *Frame) eachCall(do func(name string, inlined bool)) {
	if len(f.Lines) == 0 {
		do(f.Name(), false)
	}
	for i, l := range slices.Backward(f.Lines) {
		do(l.Function.Name, i < len(f.Lines)-1)
	}
}
