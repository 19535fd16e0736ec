// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package symbols finds the functions of executables and libraries, and says why one cannot be
// probed.
package symbols

import (
	"debug/elf"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gizmo-ebpf/gizmo/internal/elffile"
	"github.com/gizmo-ebpf/gizmo/internal/gofuncs"
)

// Place is where a probe goes: at a function or some bytes after its start.
type Place struct {
	// Name is the function's name in the file's tables of symbols, with or without a version
	// ("malloc@GLIBC_2.2.5"), or an address in the file's own counting ("0x1234").
	Name string
	// Offset is in bytes.
	Offset uint64
	// Return asks for the function's return instead.
	Return bool
}

// Reasons for which a function that is there cannot be probed.
var (
	ErrNotFound  = errors.New("no such function")
	ErrAmbiguous = errors.New("more than one function has this name")
	ErrIndirect  = errors.New("it is an IFUNC: the program chooses one of several implementations when it starts, and the symbol is that of the function that chooses")
	ErrImported  = errors.New("it is used here but defined in a library: name that library")
	ErrNoReturn  = errors.New("no probe can be attached to its return")
)

// Locate returns where in the file the probe's instruction is.
func Locate(f *elffile.File, p Place) (uint64, error) {
	fn, err := find(f, p.Name)
	if err != nil {
		return 0, err
	}
	if p.Offset > 0 && fn.size > 0 && p.Offset >= fn.size {
		return 0, fmt.Errorf("offset %#x is beyond the end of %s, which has %#x bytes", p.Offset, p.Name, fn.size)
	}
	addr := fn.addr + p.Offset
	if addr < fn.addr {
		return 0, fmt.Errorf("offset %#x is too large", p.Offset)
	}
	if p.Return {
		if err := mayReturn(f, fn, p.Offset); err != nil {
			return 0, err
		}
	}
	off, err := f.CodeOffset(addr)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", p.Name, err)
	}
	return off, nil
}

// function is the function that a name means.
type function struct {
	name       string
	addr, size uint64 // the size is 0 if it is unknown
	label      bool   // not known to be a function at all
}

// find looks the name up in the tables of symbols, and in that of Go, which strip leaves alone.
func find(f *elffile.File, name string) (*function, error) {
	if name == "" {
		return nil, ErrNotFound
	}
	if text, ok := strings.CutPrefix(name, "0x"); ok {
		addr, err := strconv.ParseUint(text, 16, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not an address", name)
		}
		return &function{name: name, addr: addr}, nil
	}
	found, err := search(f, name)
	if err != nil {
		return nil, err
	}
	fn, err := choose(name, found)
	if !errors.Is(err, ErrNotFound) {
		return fn, err
	}
	if g, err := gofuncs.Open(f); g != nil || err != nil {
		if err != nil {
			return nil, err
		}
		if fn, err := goFunction(g, name); fn != nil || err != nil {
			return fn, err
		}
	}
	return nil, notFound(f, name)
}

// choose picks the function out of all symbols of the name.
func choose(name string, found []symbol) (*function, error) {
	var best []symbol
	for _, s := range found {
		switch {
		case !s.IsCode():
		case len(best) > 0 && s.rank() > best[0].rank():
		case len(best) > 0 && s.rank() == best[0].rank():
			best = append(best, s)
		default:
			best = []symbol{s}
		}
	}
	if len(best) == 0 {
		return nil, noFunction(found)
	}
	for _, s := range best[1:] {
		if s.Value != best[0].Value {
			return nil, fmt.Errorf("%w, %s: name one by its address", ErrAmbiguous, addresses(best))
		}
	}
	s := best[0]
	if s.Kind() == elf.STT_GNU_IFUNC {
		return nil, ErrIndirect
	}
	return &function{name: name, addr: s.Value, size: s.Size, label: s.Kind() == elf.STT_NOTYPE}, nil
}

// noFunction is the error about symbols that are not functions.
func noFunction(found []symbol) error {
	for _, s := range found {
		if s.Section == elf.SHN_UNDEF {
			return ErrImported
		}
	}
	if len(found) > 0 {
		return errors.New("it is a variable, not a function")
	}
	return ErrNotFound
}

// addresses lists where the symbols are, some of them if there are many.
func addresses(list []symbol) string {
	const most = 4
	var texts []string
	for _, s := range list[:min(most, len(list))] {
		text := fmt.Sprintf("%#x", s.Value)
		if s.version != "" {
			text += " (" + s.versionedName() + ")"
		}
		texts = append(texts, text)
	}
	if len(list) > most {
		texts = append(texts, fmt.Sprintf("and %d more", len(list)-most))
	}
	return strings.Join(texts, ", ")
}

// mayReturn refuses probes at a return that would break the program: the kernel replaces the address
// that it finds on the top of the stack.
func mayReturn(f *elffile.File, fn *function, offset uint64) error {
	switch {
	case offset > 0:
		return fmt.Errorf("%w: with an offset after the function's start the return address cannot be found", ErrNoReturn)
	case fn.addr == f.Entry:
		return fmt.Errorf("%w: the program starts here, and nothing called it", ErrNoReturn)
	case fn.label:
		return fmt.Errorf("%w: the symbol is not marked as a function, and only a function has a return address", ErrNoReturn)
	}
	g, err := gofuncs.Open(f)
	if err != nil || g == nil {
		return err
	}
	if g.Contains(fn.addr) {
		return fmt.Errorf("%w: it is a Go function, and Go moves its stacks, which would crash the program", ErrNoReturn)
	}
	return nil
}

// Variable returns the address of a variable, in the file's own counting.
func Variable(f *elffile.File, name string) (uint64, error) {
	found, err := search(f, name)
	if err != nil {
		return 0, err
	}
	var addr uint64
	for _, s := range found {
		switch {
		case s.Section == elf.SHN_UNDEF || s.Value == 0 || s.Kind() == elf.STT_TLS:
		case addr != 0 && addr != s.Value:
			return 0, ErrAmbiguous
		default:
			addr = s.Value
		}
	}
	if addr == 0 {
		return 0, errors.New("the file has no symbol for it")
	}
	return addr, nil
}
