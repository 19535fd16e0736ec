// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
)

// The addresses of the parts of a program. An address is the base plus the offset in the
// file.
const (
	baseAddress  = 0x400000 // headers and code
	stepsAddress = 0x410000 // from here on memory is for data; on a page of any size
	wordsAddress = stepsAddress + 64*maxSteps
	maxSteps     = 4096
)

// word is one of a program's words of memory, by its number.
type word int

func (w word) address() uint64 { return wordsAddress + 8*uint64(w) }

// program is a list of calls of the C library's functions, which becomes an executable
// file. Nothing else happens in its process. It has none of the code that compilers add to a
// program, and allocates only the memory of the list.
type program struct {
	words []uint64 // as they are at the start
	funcs []string // the functions that are called
	addrs []word   // for each function the word with its address
	steps [][8]word
}

// constant returns a word with a value.
func (p *program) constant(value uint64) word {
	p.words = append(p.words, value)
	return word(len(p.words) - 1)
}

// function returns the word with the address of a function.
func (p *program) function(name string) word {
	if i := slices.Index(p.funcs, name); i >= 0 {
		return p.addrs[i]
	}
	p.funcs = append(p.funcs, name)
	p.addrs = append(p.addrs, p.constant(0)) // for the dynamic loader to fill
	return p.addrs[len(p.addrs)-1]
}

// call adds a call and returns the word for the function's result.
func (p *program) call(name string, args ...word) word {
	step := [8]word{p.function(name)}
	copy(step[1:7], args) // arguments that the function does not have are any word
	step[7] = p.constant(0)
	p.steps = append(p.steps, step)
	return step[7]
}
