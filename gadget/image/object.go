// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/cilium/ebpf"
)

// The limits of an object, far above those of real objects. Without them a few bytes could claim
// all memory.
const (
	maxObject = 32 << 20 // bytes
	// maxBTF is in bytes. The library follows chains of types by recursion; a longer one could
	// overflow the stack, which nothing can recover from.
	maxBTF = 2 << 20
	// maxData is the sum of the global variables in bytes, of which .bss takes no room in the file.
	maxData = 16 << 20
	// maxCode is in instructions. Each program gets its own copy of the functions that it calls.
	maxCode = 2 << 20
)

// instructionSize is the size of a BPF instruction in bytes.
const instructionSize = 8

// readObject reads the ELF file, and the name of the compiler if it has one. The library's errors are about sections
// and symbols; the common mistakes get plain words first.
func readObject(object io.ReaderAt) (spec *ebpf.CollectionSpec, compiler string, err error) {
	data, err := readAll(object)
	if err != nil {
		return nil, "", err
	}
	if err := checkObject(data); err != nil {
		return nil, "", err
	}
	compiler = compilerOf(data)
	if data, err = strengthenMaps(data); err != nil {
		return nil, "", unreadable(err)
	}
	spec, err = loadSpec(data)
	switch {
	case err != nil:
		return nil, "", unreadable(err)
	case spec.Types == nil:
		return nil, "", errNoBTF
	case len(spec.Programs) == 0:
		return nil, "", errors.New("it has no programs")
	}
	if err := finishSpec(spec, data); err != nil {
		return nil, "", unreadable(err)
	}
	for _, p := range spec.Programs {
		if p.License == "" {
			return nil, "", errors.New(`it has no license: add char LICENSE[] SEC("license") = "GPL"`)
		}
	}
	return spec, compiler, nil
}

// readAll returns the bytes of the object, which the caller may change.
func readAll(object io.ReaderAt) ([]byte, error) {
	r := io.NewSectionReader(object, 0, maxObject+1)
	var buf bytes.Buffer
	if sized, ok := object.(interface{ Size() int64 }); ok { // otherwise the buffer grows, which leaves twice as much garbage
		buf.Grow(int(min(sized.Size(), r.Size())) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(r); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if buf.Len() > maxObject {
		return nil, fmt.Errorf("it has more than %d bytes", maxObject)
	}
	return buf.Bytes(), nil
}

var errNoBTF = errors.New("it has no BTF: compile it with clang -g")

func unreadable(err error) error {
	return fmt.Errorf("not a readable BPF object (truncated, or not compiled with clang -target bpf?): %w", err)
}

// loadSpec has the library read the object. Its parser is not ours; a damaged file must not end the
// program, so a panic becomes an error. Types are read on demand: all of them are, here.
func loadSpec(data []byte) (spec *ebpf.CollectionSpec, err error) {
	defer recoverError(&err)
	if spec, err = ebpf.LoadCollectionSpecFromReader(bytes.NewReader(data)); err != nil || spec.Types == nil {
		return spec, err
	}
	for _, err := range spec.Types.All() {
		if err != nil {
			return nil, fmt.Errorf("read BTF: %w", err)
		}
	}
	return spec, nil
}

func recoverError(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("its parts contradict each other: %v", r)
	}
}

// checkObject checks properties of the object that the library relies on without checking them.
func checkObject(data []byte) (err error) {
	defer recoverError(&err)
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return unreadable(err)
	}
	switch {
	case f.Machine != elf.EM_BPF && f.Machine != elf.EM_NONE: // old compilers say nothing
		return fmt.Errorf("it is for the machine %s: compile it with clang -target bpf", f.Machine)
	case f.Data != elf.ELFDATA2LSB:
		return errors.New("its byte order is big-endian: compile it with clang -target bpfel")
	case f.Section(".BTF") == nil:
		return errNoBTF
	}
	if err := checkSections(f, uint64(len(data))); err != nil {
		return unreadable(err)
	}
	if err := checkSymbols(f); err != nil {
		return unreadable(err)
	}
	return nil
}

// checkSections fails unless all sections together fit into the file, as those of a compiler do,
// and the memory that they need is reasonable.
func checkSections(f *elf.File, file uint64) error {
	var data uint64
	left := file
	for _, s := range f.Sections {
		switch {
		case s.Type == elf.SHT_NULL:
		case s.Type == elf.SHT_NOBITS:
			if data += min(s.Size, maxData+1); data > maxData {
				return fmt.Errorf("its variables have more than %d bytes", maxData)
			}
		case s.Flags&elf.SHF_COMPRESSED != 0:
			return fmt.Errorf("section %q is compressed", s.Name)
		case s.Offset > file || s.FileSize > file-s.Offset || s.FileSize > left:
			return fmt.Errorf("section %q is cut off: %w", s.Name, io.ErrUnexpectedEOF)
		case s.Name == ".BTF" && s.FileSize > maxBTF:
			return fmt.Errorf("it has more than %d bytes of BTF", maxBTF)
		default:
			left -= s.FileSize
		}
	}
	return nil
}

// checkSymbols fails if the symbols of a section overlap: the library copies the bytes of each.
func checkSymbols(f *elf.File) error {
	symbols, err := f.Symbols()
	if err != nil {
		return err
	}
	type place struct {
		section elf.SectionIndex
		off     uint64
	}
	sizes := make(map[place]uint64) // two names of the same thing count once
	for _, s := range symbols {
		if isLocalLabel(&s) {
			continue
		}
		if s.Section > elf.SHN_UNDEF && int(s.Section) < len(f.Sections) {
			sizes[place{s.Section, s.Value}] = s.Size
		}
	}
	used := make([]uint64, len(f.Sections))
	var code, shared, programs uint64
	for at, size := range sizes {
		s := f.Sections[at.section]
		if used[at.section] += min(size, math.MaxUint32); used[at.section] > s.Size {
			return fmt.Errorf("symbols of section %q overlap", s.Name)
		}
		if s.Flags&elf.SHF_EXECINSTR == 0 {
			continue
		}
		if s.Name == ".text" {
			shared += size / instructionSize
			continue
		}
		code += size / instructionSize
		programs++
	}
	return checkCode(programs, code, shared)
}

// checkCode fails if an object has too many instructions, with a copy of the functions that are shared for each program: the library
// makes these copies.
func checkCode(programs, code, shared uint64) error {
	if code+shared*programs > maxCode {
		return fmt.Errorf("it has %d programs with %d instructions together, and functions with %d instructions, which each program may call; "+
			"with a copy of the functions for each program that exceeds gizmo's limit of %d instructions", programs, code, shared, maxCode)
	}
	return nil
}

// isLocalLabel reports whether a symbol is only the target of a jump, as some versions of clang list them.
func isLocalLabel(s *elf.Symbol) bool {
	return elf.ST_TYPE(s.Info) == elf.STT_NOTYPE && s.Size == 0 && (strings.HasPrefix(s.Name, "LBB") || strings.HasPrefix(s.Name, ".L"))
}
