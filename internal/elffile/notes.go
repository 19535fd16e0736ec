// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package elffile

import (
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
)

const (
	maxNotes   = 64 << 10 // bytes in one segment or section; real ones have some hundred
	maxBuildID = 64       // bytes; linkers write 8, 16 or 20
)

// BuildID returns the GNU build id in hex digits, or "" if the file has none.
func (f *File) BuildID() string {
	for i := range f.Segments {
		if s := &f.Segments[i]; s.Type == elf.PT_NOTE && s.Size <= maxNotes {
			if id := f.buildIDIn(s.Off, s.Size); id != "" {
				return id
			}
		}
	}
	for i := range f.Sections {
		if s := &f.Sections[i]; s.Type == elf.SHT_NOTE && s.Size <= maxNotes {
			if id := f.buildIDIn(s.Off, s.Size); id != "" {
				return id
			}
		}
	}
	return ""
}

func (f *File) buildIDIn(off, n uint64) string {
	b, err := f.read(off, n)
	if err != nil {
		return "" // a debug file has the headers of segments that are not in it
	}
	return BuildIDIn(b)
}

// BuildIDIn returns the GNU build id in a list of notes, in hex digits, or "".
func BuildIDIn(notes []byte) string {
	const header, typeBuildID = 12, 3
	for b := notes; len(b) >= header; {
		name, desc := uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:]))
		kind := binary.LittleEndian.Uint32(b[8:])
		descAt := header + roundUp(name)
		if descAt+desc > uint64(len(b)) {
			return ""
		}
		if kind == typeBuildID && string(b[header:header+name]) == "GNU\x00" && desc > 0 && desc <= maxBuildID {
			return hex.EncodeToString(b[descAt : descAt+desc])
		}
		b = b[min(uint64(len(b)), descAt+roundUp(desc)):]
	}
	return ""
}

// roundUp returns how much room n bytes of a note take.
func roundUp(n uint64) uint64 { return (n + 3) &^ 3 }
