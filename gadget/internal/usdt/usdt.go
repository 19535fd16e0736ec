// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package usdt finds the static probes (USDT) of executables and libraries, and tells BPF programs
// where the arguments of each are.
//
// A probe leaves one instruction that does nothing at each of its sites, and for each site a note in
// the section .note.stapsdt: where it is, the semaphore that says whether a tracer listens, and for
// each argument the register or the memory that holds it at that moment. The format is SystemTap's:
// https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation.
package usdt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/symbols"
	"github.com/gizmo-ebpf/gizmo/internal/elffile"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

const (
	noteSection = ".note.stapsdt"
	// baseSection is empty. Notes hold its address at the time when they were made. No tool updates
	// notes, so the difference to its current address is the distance by which all addresses have moved.
	baseSection = ".stapsdt.base"

	noteName = "stapsdt\x00"
	noteType = 3

	maxNotes = 64 << 20 // bytes
	maxSites = 4 << 10
	maxHints = 10_000
)

// ErrNotFound is wrapped by errors about probes that the file does not have.
var ErrNotFound = errors.New("no such USDT probe")

// Site is one place where a probe fires.
type Site struct {
	// Offset is where in the file the instruction is, Semaphore where its counter of listeners is, 0
	// for none.
	Offset, Semaphore uint64
	// Address is the instruction's address in the file's own counting.
	Address uint64
	Args    Args
}

// Find returns all sites of a probe.
func Find(f *elffile.File, provider, name string) ([]Site, error) {
	section := f.Section(noteSection)
	if section == nil {
		return nil, fmt.Errorf("%w: the file has none at all (no section %s)", ErrNotFound, noteSection)
	}
	data, err := f.Bytes(section, maxNotes)
	if err != nil {
		return nil, err
	}
	var sites []Site
	others := make(map[string]bool)
	err = eachNote(data, f.Wide, func(n *note) error {
		switch {
		case n.provider != provider || n.name != name:
			if len(others) < maxHints {
				others[n.provider+":"+n.name] = true
			}
			return nil
		case len(sites) == maxSites:
			return fmt.Errorf("it has more than %d sites", maxSites)
		}
		s, err := siteOf(f, n)
		if err != nil {
			return fmt.Errorf("its site %d: %w", len(sites)+1, err)
		}
		sites = append(sites, *s)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", noteSection, err)
	}
	if len(sites) == 0 {
		return nil, fmt.Errorf("%w%s", ErrNotFound, nearest.Hint(provider+":"+name, slices.Sorted(maps.Keys(others))))
	}
	return unique(sites), nil
}

// unique keeps one site at each place: two probes at one instruction would fire twice.
func unique(sites []Site) []Site {
	seen := make(map[uint64]bool, len(sites))
	return slices.DeleteFunc(sites, func(s Site) bool {
		again := seen[s.Offset]
		seen[s.Offset] = true
		return again
	})
}

// note is one site as the file describes it.
type note struct {
	location, base, semaphore uint64
	provider, name, args      string
}

var errDamaged = errors.New("a note is damaged")

// eachNote calls visit for the notes of probes in a section. The note is visit's during the call only.
func eachNote(data []byte, wide bool, visit func(n *note) error) error {
	var n note
	for len(data) > 0 {
		if len(data) < 12 {
			return errDamaged
		}
		nameSize := uint64(binary.LittleEndian.Uint32(data))
		size := uint64(binary.LittleEndian.Uint32(data[4:]))
		kind := binary.LittleEndian.Uint32(data[8:])
		data = data[12:]
		start := pad(nameSize)
		if start > uint64(len(data)) || size > uint64(len(data))-start {
			return errDamaged
		}
		name, contents := data[:nameSize], data[start:start+size]
		data = data[min(start+pad(size), uint64(len(data))):]
		if string(name) != noteName || kind != noteType {
			continue
		}
		if err := n.read(contents, wide); err != nil {
			return err
		}
		if err := visit(&n); err != nil {
			return err
		}
	}
	return nil
}

// pad rounds up to where the next part of a note begins.
func pad(n uint64) uint64 { return (n + 3) &^ 3 }

func (n *note) read(b []byte, wide bool) error {
	word := 4
	if wide {
		word = 8
	}
	if len(b) < 3*word {
		return errDamaged
	}
	for i, p := range []*uint64{&n.location, &n.base, &n.semaphore} {
		if wide {
			*p = binary.LittleEndian.Uint64(b[i*word:])
		} else {
			*p = uint64(binary.LittleEndian.Uint32(b[i*word:]))
		}
	}
	b = b[3*word:]
	for _, p := range []*string{&n.provider, &n.name, &n.args} {
		text, rest, ok := bytes.Cut(b, []byte{0})
		if !ok {
			return errDamaged
		}
		*p, b = string(text), rest
	}
	return nil
}

// siteOf converts addresses to offsets in the file, and parses the text of the arguments.
func siteOf(f *elffile.File, n *note) (*Site, error) {
	var moved uint64
	if base := f.Section(baseSection); base != nil && n.base != 0 {
		moved = base.Addr - n.base
	}
	s := &Site{Address: n.location + moved}
	var err error
	if s.Offset, err = f.CodeOffset(s.Address); err != nil {
		return nil, err
	}
	if n.semaphore != 0 {
		if s.Semaphore, err = f.DataOffset(n.semaphore + moved); err != nil {
			return nil, fmt.Errorf("its semaphore: %w", err)
		}
	}
	s.Args = parseArgs(n.args, &machine{
		elf:   f.Machine,
		where: s.Address,
		variable: func(name string) (uint64, error) {
			return symbols.Variable(f, name)
		},
	})
	return s, nil
}
