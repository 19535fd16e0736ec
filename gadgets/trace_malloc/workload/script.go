// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/calls"
	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// script is a program with the events that trace_malloc should report.
type script struct {
	*calls.Program
	comm   string
	events []expected
}

// expected is an event of which the address is known afterwards.
type expected struct {
	operation string
	addr      word
	size      uint64
	opaque    bool // the C library's own doing: address and size are up to it
}

// word is one of the program's words.
type word = calls.Word

func newScript() *script {
	s := &script{Program: calls.New(), comm: comm}
	for _, f := range []string{memalign, alignedAlloc} { // whose addresses are compared
		s.Function(f)
	}
	return s
}

func (s *script) expect(operation string, addr word, size uint64) {
	s.events = append(s.events, expected{operation: operation, addr: addr, size: size})
}

// expectOwn expects a call by the C library itself.
func (s *script) expectOwn(operation string) {
	s.events = append(s.events, expected{operation: operation, opaque: true})
}

// allocate calls a function that returns an address.
func (s *script) allocate(function string, size uint64, args ...word) word {
	addr := s.Call(function, args...)
	s.expect(function, addr, size)
	return addr
}

func (s *script) malloc(size uint64) word { return s.allocate("malloc", size, s.Constant(size)) }

func (s *script) free(addr word) {
	s.Call("free", addr)
	s.expect("free", addr, 0)
}

// realloc resizes the memory at an address, if there is any.
func (s *script) realloc(old word, size uint64) word {
	if !s.IsNull(old) {
		s.expect("realloc_free", old, 0)
	}
	return s.allocate("realloc", size, old, s.Constant(size))
}

// posixMemalign calls a function that puts the address into a word.
func (s *script) posixMemalign(align, size uint64) word {
	addr := s.Constant(0)
	s.Call("posix_memalign", s.Constant(addr.Address()), s.Constant(align), s.Constant(size))
	s.expect("posix_memalign", addr, size)
	return addr
}

// results returns the events, given the program's memory at its end.
func (s *script) results(words []uint64, proc workload.Proc) []Event {
	// In glibc before 2.38 these are one function, with one name.
	oneFunction := words[s.Function(memalign)] == words[s.Function(alignedAlloc)]
	var events []Event
	for _, x := range s.events {
		if x.operation == memalign && oneFunction {
			x.operation = alignedAlloc
		}
		e := Event{Proc: proc, Operation: x.operation, OperationRaw: uint32(slices.Index(operations, x.operation))}
		if !x.opaque {
			e.Addr, e.Size = &words[x.addr], &x.size
		}
		events = append(events, e)
	}
	return events
}
