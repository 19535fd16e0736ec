// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package symbol describes stacks: addresses, and what is known about the code at each of them. Its subpackages find that out.
package symbol

import "github.com/gizmo-ebpf/gizmo/event"

// Module is where code comes from: a file, the kernel, the code that a program makes while it runs.
type Module struct {
	// Name is the path of a file as the process names it. What is no file has a name in brackets: "[kernel]",
	// "[vdso]", "[bpf]", and "[nf_tables]" for that module of the kernel.
	Name string
	// BuildID is the GNU build id in hex digits; empty if the module has none.
	BuildID string
	// Kernel says that the code runs in kernel mode.
	Kernel bool
	// Start, Limit and Offset describe the executable segment of an ELF file: its first address, the address after its last, in the
	// file's own address space and extended to whole pages, and the place of Start in the file. All 0 if unknown.
	Start, Limit, Offset uint64
}

// Function is a function that has a name.
type Function struct {
	// Name is what people read: demangled, if the language mangles names.
	Name string
	// System is the name in the symbol table. It equals Name if that was not mangled.
	System string
}

// Location is an address of a module. Processes that run the same file share its locations.
type Location struct {
	// Module is nil if the address was in no known mapping.
	Module *Module
	// Address is the address in the module's own address space: what an ELF file calls a virtual address. For code without a
	// file it is the address in memory.
	Address uint64
	// Function is nil if the address has no name.
	Function *Function
}

// Stack is the calls that led to an event, the innermost first.
type Stack struct {
	// Addresses are those in memory. All but the first are return addresses: they follow the call.
	Addresses []uint64
	// Locations has an element for each address, and no nil.
	Locations []*Location
	// Truncated says that there were callers that gizmo could not find.
	Truncated bool
}

// Stacks is what the [event.Table] of a field with a stack offers as well.
type Stacks interface {
	// Stack returns the stack of a handle; nil for 0. The stack of a handle never changes.
	Stack(h event.Handle) *Stack
}
