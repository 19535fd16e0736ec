// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package symbol

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

// Line is a place in the source of a program.
type Line struct {
	// Function is what the place is in; nil if that is unknown.
	Function *Function
	// Start is the line where the function begins; 0 if unknown.
	Start int
	// File is the path that the compiler was given; empty if unknown.
	File string
	// Line counts from 1; 0 if unknown.
	Line int
}

// same reports whether another line is the same as this one, which is safe to show.
func (l Line) same(other Line) bool {
	if (l.Function == nil) != (other.Function == nil) {
		return false
	}
	if l.Function != nil && (l.Function.Name != plain.Text(other.Function.Name) || l.Function.System != plain.Text(other.Function.System)) {
		return false
	}
	return l.Start == max(other.Start, 0) && l.File == plain.Text(other.File) && l.Line == max(other.Line, 0)
}

// CodeAddress returns an address within the instruction that a location is about: a return address follows its call.
func (l *Location) CodeAddress(isCaller bool) uint64 {
	if isCaller && l.Address > 0 {
		return l.Address - 1
	}
	return l.Address
}

// Places are addresses whose lines are wanted. The zero value is empty.
type Places struct {
	modules map[*Module]map[uint64]struct{}
	n       int
	full    bool
}

// maxPlaces is how many places there can be: 4 MiB. A profile of 20,000 stacks of a whole machine has some ten thousand.
const maxPlaces = 1 << 17

// Add adds the places of a stack that are in files.
func (p *Places) Add(s *Stack) {
	for i, l := range s.Locations {
		if l.Module == nil || l.Module.Kernel {
			continue
		}
		of := p.modules[l.Module]
		address := l.CodeAddress(i > 0)
		if _, known := of[address]; known {
			continue
		}
		if p.n == maxPlaces {
			p.full = true
			return
		}
		if of == nil {
			of = make(map[uint64]struct{})
			if p.modules == nil {
				p.modules = make(map[*Module]map[uint64]struct{})
			}
			p.modules[l.Module] = of
		}
		of[address] = struct{}{}
		p.n++
	}
}

// Full reports whether some places found no room.
func (p *Places) Full() bool { return p.full }

// All returns the modules, that with the most places first, and the addresses in each, in order.
func (p *Places) All() iter.Seq2[*Module, []uint64] {
	modules := slices.SortedFunc(maps.Keys(p.modules), func(a, b *Module) int {
		return cmp.Or(cmp.Compare(len(p.modules[b]), len(p.modules[a])), a.Compare(b))
	})
	return func(yield func(*Module, []uint64) bool) {
		for _, m := range modules {
			if !yield(m, slices.Sorted(maps.Keys(p.modules[m]))) {
				return
			}
		}
	}
}

// Compare orders modules by what they are.
func (m *Module) Compare(other *Module) int {
	return cmp.Or(
		cmp.Compare(m.Name, other.Name), cmp.Compare(m.BuildID, other.BuildID),
		cmp.Compare(m.Start, other.Start), cmp.Compare(m.Limit, other.Limit), cmp.Compare(m.Offset, other.Offset))
}

// Lines are lines of source by places. A place has a line for each call that the compiler inlined there, the innermost first, and then
// that of the function itself. The zero value is empty.
//
// Modules are the same if they are described in the same way, so that lines can be recorded. What two files that are described in the same way
// do not agree about is unknown.
type Lines struct {
	modules map[Module]map[uint64][]Line
	// Each function and each text is there once.
	functions map[Function]*Function
	texts     map[string]string
	cost      int
}

// MaxLines bounds Lines, by an estimate of the bytes that they take. It is enough for 30,000 places.
const MaxLines = 4 << 20

// What an entry takes, beside texts.
const (
	costOfPlace    = 64
	costOfLine     = 40
	costOfText     = 64
	costOfFunction = 96
)

// Add adds the lines of a place. It keeps a copy, with names that are safe to show. It returns false if there is no room for them.
func (l *Lines) Add(m *Module, address uint64, lines []Line) bool {
	key := readable(m)
	of := l.modules[key]
	if old, known := of[address]; known {
		if !slices.EqualFunc(old, lines, Line.same) {
			of[address] = nil
		}
		return true
	}
	if !l.take(costOfPlace + costOfLine*len(lines)) {
		return false
	}
	own := slices.Clone(lines)
	for i := range own {
		line := &own[i]
		line.Start, line.Line = max(line.Start, 0), max(line.Line, 0)
		ok := l.keepText(&line.File)
		if line.Function != nil && ok {
			ok = l.keepFunction(&line.Function)
		}
		if !ok {
			return false
		}
	}
	if of == nil {
		of = make(map[uint64][]Line)
		if l.modules == nil {
			l.modules = make(map[Module]map[uint64][]Line)
		}
		l.modules[key] = of
	}
	of[address] = own
	return true
}

// take reports whether there is room for something.
func (l *Lines) take(cost int) bool {
	if l.cost+cost > MaxLines {
		return false
	}
	l.cost += cost
	return true
}

func (l *Lines) keepText(text *string) bool {
	own, known := l.texts[*text]
	if !known {
		if !l.take(costOfText + len(*text)) {
			return false
		}
		if l.texts == nil {
			l.texts = make(map[string]string)
		}
		own = plain.Text(*text)
		l.texts[*text] = own
	}
	*text = own
	return true
}

func (l *Lines) keepFunction(f **Function) bool {
	own := l.functions[**f]
	if own == nil {
		copied := **f
		if !l.keepText(&copied.Name) || !l.keepText(&copied.System) || !l.take(costOfFunction) {
			return false
		}
		if l.functions == nil {
			l.functions = make(map[Function]*Function)
		}
		own = &copied
		l.functions[**f] = own
	}
	*f = own
	return true
}

// readable is a module as profiles show it.
func readable(m *Module) Module {
	own := *m
	own.Name, own.BuildID = plain.Text(m.Name), plain.Text(m.BuildID)
	return own
}

// Of returns the lines of a place, which the caller must not change; nil if they are unknown.
func (l *Lines) Of(m *Module, address uint64) []Line {
	if m == nil || l == nil || len(l.modules) == 0 {
		return nil
	}
	return l.modules[readable(m)][address]
}

// Empty reports whether no lines are known.
func (l *Lines) Empty() bool { return l == nil || len(l.modules) == 0 }

// All returns the places that have lines, in order.
func (l *Lines) All() iter.Seq2[Location, []Line] {
	return func(yield func(Location, []Line) bool) {
		if l == nil {
			return
		}
		modules := slices.SortedFunc(maps.Keys(l.modules), func(a, b Module) int { return a.Compare(&b) })
		for i := range modules {
			of := l.modules[modules[i]]
			for _, address := range slices.Sorted(maps.Keys(of)) {
				if len(of[address]) > 0 && !yield(Location{Module: &modules[i], Address: address}, of[address]) {
					return
				}
			}
		}
	}
}
