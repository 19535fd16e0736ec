// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package calls makes programs that consist of calls of functions of C libraries, for workloads of gadgets that observe such
// functions. A Go program does not use C libraries. The programs here are a few dozen instructions and a
// list of calls; a workload writes their files itself, so that it needs no compiler, and no start-up code calls any
// function besides.
package calls

import (
	"encoding/binary"
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

// Word is one of a program's words of memory, by its number.
type Word int

// Address returns where the word is while the program runs.
func (w Word) Address() uint64 { return wordsAddress + 8*uint64(w) }

// Program is a list of calls of functions of C libraries, which becomes an executable
// file. Nothing else happens in its process. It has none of the code that compilers add to a
// program, and allocates only the memory of the list.
type Program struct {
	libs  []string // names of libraries besides the C library
	words []uint64 // as they are at the start
	funcs []string // the functions that are called
	addrs []Word   // for each function the word with its address
	steps [][8]Word
}

// New makes a program that first reports that it runs, and then waits until [Process.GoOn] is called. It is linked with
// the C library and those with the given names, such as "libssl.so.3".
func New(libs ...string) *Program {
	p := &Program{libs: libs}
	one, eight := p.Constant(1), p.Constant(8)
	place := p.Constant(one.Address())
	p.Call("write", one, place, eight)
	p.Call("read", p.Constant(0), place, one)
	return p
}

// End makes the program hand out its memory, and end.
func (p *Program) End() {
	size := p.Constant(0)
	p.Call("write", p.Constant(1), p.Constant(wordsAddress), size)
	p.Call("_exit", p.Constant(0))
	p.words[size] = uint64(8 * len(p.words))
}

// Constant returns a word with a value.
func (p *Program) Constant(value uint64) Word {
	p.words = append(p.words, value)
	return Word(len(p.words) - 1)
}

// Bytes returns a word with the address of size bytes of memory, which begins with the given text.
func (p *Program) Bytes(text string, size int) Word {
	data := make([]byte, (max(size, len(text))+7)/8*8)
	copy(data, text)
	first := Word(len(p.words))
	for word := range slices.Chunk(data, 8) {
		p.Constant(binary.LittleEndian.Uint64(word))
	}
	return p.Constant(first.Address())
}

// Text returns a word with the address of a text that ends with a zero.
func (p *Program) Text(text string) Word { return p.Bytes(text, len(text)+1) }

// Place returns a word for a function to store a value, and one with the first one's address, to pass to the function.
func (p *Program) Place() (place, address Word) {
	place = p.Constant(0)
	return place, p.Constant(place.Address())
}

// IsNull reports whether a word is the constant 0, not the result of a function.
func (p *Program) IsNull(w Word) bool {
	return p.words[w] == 0 && !slices.ContainsFunc(p.steps, func(step [8]Word) bool { return step[7] == w })
}

// Function returns the word with the address of a function.
func (p *Program) Function(name string) Word {
	if i := slices.Index(p.funcs, name); i >= 0 {
		return p.addrs[i]
	}
	p.funcs = append(p.funcs, name)
	p.addrs = append(p.addrs, p.Constant(0)) // for the dynamic loader to fill
	return p.addrs[len(p.addrs)-1]
}

// Call adds a call and returns the word for the function's result. A function has at most six arguments.
func (p *Program) Call(name string, args ...Word) Word {
	step := [8]Word{p.Function(name)}
	copy(step[1:7], args) // arguments that the function does not have are any word
	step[7] = p.Constant(0)
	p.steps = append(p.steps, step)
	return step[7]
}
