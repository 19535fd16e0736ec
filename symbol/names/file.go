// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/internal/elffile"
	"github.com/gizmo-ebpf/gizmo/internal/gofuncs"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// File is an ELF file that processes run. It is safe for concurrent use.
type File struct {
	files   *Files
	elf     *elffile.File
	module  symbol.Module
	code    span
	sources []*source // in the order in which they are asked; nil until the first look-up
}

// span is a range of addresses.
type span struct{ start, limit uint64 }

func (s span) contains(addr uint64) bool { return addr >= s.start && addr < s.limit }

// errNoCode is about files that cannot run.
var errNoCode = errors.New("no segment of the file is executable")

// Open reads the headers of a file of size bytes. The path is what the process calls it. The
// caller keeps the reader open as long as it uses the file. The error wraps elffile's errors.
func (f *Files) Open(r io.ReaderAt, size int64, path string) (*File, error) {
	e, err := elffile.New(r, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	file := &File{files: f, elf: e, module: symbol.Module{Name: path, BuildID: e.BuildID()}}
	keepSections(e)
	var largest *elffile.Segment
	for i := range e.Segments {
		s := &e.Segments[i]
		if s.Type != elf.PT_LOAD || s.Flags&elf.PF_X == 0 || s.Size == 0 || s.Addr+s.Size < s.Addr {
			continue
		}
		if largest == nil {
			file.code = span{s.Addr, s.Addr + s.Size}
		}
		file.code.start, file.code.limit = min(file.code.start, s.Addr), max(file.code.limit, s.Addr+s.Size)
		if largest == nil || s.Size > largest.Size {
			largest = s
		}
	}
	if largest == nil {
		return nil, fmt.Errorf("%s: %w", path, errNoCode)
	}
	page := uint64(os.Getpagesize())
	into := largest.Addr % page // the kernel maps whole pages
	file.module.Start = largest.Addr - into
	file.module.Limit = (largest.Addr + largest.Size + page - 1) / page * page
	file.module.Offset = largest.Off - min(into, largest.Off)
	return file, nil
}

// maxSections bounds what a file costs as long as it is known. Linked files have some dozens.
const maxSections = 1 << 10

// keepSections forgets the names of sections that gizmo does not look for, and all sections if there are too many.
func keepSections(e *elffile.File) {
	if len(e.Sections) > maxSections {
		e.Sections = nil
	}
	wanted := append([]string{miniName, linkName}, gofuncs.Sections()...)
	for i := range e.Sections {
		s := &e.Sections[i]
		if !slices.Contains(wanted, s.Name) && !strings.HasPrefix(s.Name, debugPrefix) {
			s.Name = ""
		}
	}
}

// Module describes the file. It is the same for all look-ups.
func (f *File) Module() *symbol.Module { return &f.module }

// Address returns the address, as the file counts, of a byte of the file. The kernel maps whole pages, so
// what lies beside a segment in its pages belongs to it, too.
func (f *File) Address(offset uint64) (addr uint64, ok bool) {
	page := uint64(os.Getpagesize())
	var beside uint64
	for i := range f.elf.Segments {
		s := &f.elf.Segments[i]
		if s.Type != elf.PT_LOAD || s.Flags&elf.PF_X == 0 || s.Size == 0 {
			continue
		}
		if offset >= s.Off && offset-s.Off < s.Size {
			return s.Addr + (offset - s.Off), true
		}
		if offset/page >= s.Off/page && offset/page <= (s.Off+s.Size-1)/page {
			beside, ok = s.Addr+(offset-s.Off), true // the difference may be negative
		}
	}
	return beside, ok
}

// Lookup returns the function at an address as the file counts, or nil if it has no name. All look-ups of a function return the same
// pointer until the file's table had to make room.
func (f *File) Lookup(addr uint64) *symbol.Function {
	f.files.mu.Lock()
	defer f.files.mu.Unlock()
	return f.lookup(addr)
}

func (f *File) lookup(addr uint64) *symbol.Function {
	if !f.code.contains(addr) {
		return nil
	}
	if f.sources == nil {
		f.sources = f.findSources()
	}
	for _, s := range f.sources {
		if t := s.get(f.files); t != nil {
			if fn, bytes := t.lookup(addr); fn != nil {
				if bytes != 0 {
					f.files.grow(&s.resident, bytes)
				}
				return fn
			}
		}
	}
	return nil
}

// source is a place where names are.
type source struct {
	resident
	load   func() (*table, error)
	table  *table // nil if it is not in memory
	broken bool   // there is no use in reading it again
}

// get returns the table, or nil if it cannot be read.
func (s *source) get(files *Files) *table {
	switch {
	case s.table != nil:
		files.use(&s.resident)
		return s.table
	case s.broken:
		return nil
	}
	t, err := s.load()
	if err != nil || len(t.rows) == 0 {
		if t != nil {
			t.close()
		}
		s.broken = true
		return nil
	}
	s.table = t
	s.bytes = t.bytes()
	s.release = func() {
		t.close()
		s.table = nil
	}
	files.admit(&s.resident)
	return t
}

// findSources lists the places where names of this file may be. Those that know all functions come first.
func (f *File) findSources() []*source {
	list := []*source{}
	add := func(load func() (*table, error)) { list = append(list, &source{load: load}) }
	add(func() (*table, error) {
		d, err := f.openDebugFile(elf.SHT_SYMTAB)
		if err != nil {
			return nil, err
		}
		t, err := symbolTable(d.elf, elf.SHT_SYMTAB, f.code)
		if err != nil {
			d.file.Close()
			return nil, err
		}
		t.file = d.file
		return t, nil
	})
	add(func() (*table, error) { return symbolTable(f.elf, elf.SHT_SYMTAB, f.code) })
	add(func() (*table, error) { return f.miniTable() })
	add(func() (*table, error) { return goTable(f.elf, f.code) })
	add(func() (*table, error) { return symbolTable(f.elf, elf.SHT_DYNSYM, f.code) })
	return list
}
