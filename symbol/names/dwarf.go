// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names

import (
	"cmp"
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/gizmo-ebpf/gizmo/internal/elffile"
)

// The package debug/dwarf trusts what it reads: it allocates what a count in a header says, and makes tables anew for
// each header that refers to them. So loadDWARF checks these headers first.
const (
	debugPrefix = ".debug_" // of the names of sections

	maxDWARF   = 128 << 20 // bytes of all sections of a file, decompressed
	maxAbbrevs = 4 << 20   // bytes
	maxRanges  = 16 << 20  // bytes
	maxUnits   = 64 << 10
	// maxLineFiles bounds the files and folders of a unit.
	maxLineFiles = 64 << 10
)

var errDWARF = errors.New("the debug information is damaged")

// debugInfo is the debug information of a file.
type debugInfo struct {
	*dwarf.Data
	units []dwarf.Offset // the entries of the units of code
	// missing says why a section could not be read, of which other parts are known.
	missing error
	lines   []int64 // where in their section the line tables that were checked begin, in order
}

// recoverDWARF makes an error of a panic. The package debug/dwarf uses some numbers of a damaged file as the index of a list, such as that of
// the current file in a line table, which may be negative.
func recoverDWARF(err *error) {
	if why := recover(); why != nil {
		*err = fmt.Errorf("%w: %v", errDWARF, why)
	}
}

// loadDWARF reads the sections with the debug information.
func loadDWARF(f *elffile.File) (_ *debugInfo, err error) {
	defer recoverDWARF(&err)
	left := uint64(maxDWARF)
	var missing error
	read := func(name string, limit uint64) []byte {
		s := f.Section(debugPrefix + name)
		if s == nil {
			return nil
		}
		b, err := f.Plain(s, min(limit, left))
		if err != nil {
			missing = cmp.Or(missing, err)
			return nil // what refers to it stays unknown
		}
		left -= uint64(len(b))
		return b
	}
	abbrev, info := read("abbrev", maxAbbrevs), read("info", maxDWARF)
	if len(info) == 0 || len(abbrev) == 0 {
		return nil, cmp.Or(missing, errDWARF)
	}
	units, err := checkUnits(info, abbrev)
	if err != nil {
		return nil, err
	}
	str, line := read("str", maxDWARF), read("line", maxDWARF)
	d := &debugInfo{units: units, lines: checkLines(line)}
	d.Data, err = dwarf.New(abbrev, nil, nil, info, line, nil, read("ranges", maxRanges), str)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"addr", "line_str", "str_offsets", "rnglists"} {
		limit := uint64(maxDWARF)
		if name == "rnglists" {
			limit = maxRanges
		}
		if b := read(name, limit); b != nil {
			if err := d.AddSection(debugPrefix+name, b); err != nil {
				return nil, err
			}
		}
	}
	d.missing = missing
	return d, nil
}

// cursor reads numbers. After the end all are 0, and bad is true.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.b)) {
		c.b, c.bad = nil, true
		return nil
	}
	b := c.b[:n]
	c.b = c.b[n:]
	return b
}

func (c *cursor) number(n uint64) uint64 {
	var full [8]byte
	copy(full[:], c.take(n))
	return binary.LittleEndian.Uint64(full[:])
}

func (c *cursor) uleb() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.b, c.bad = nil, true
		return 0
	}
	c.b = c.b[n:]
	return v
}

// skipLEB passes over a number of any kind: a signed one may have more bits than uleb takes.
func (c *cursor) skipLEB() {
	i := slices.IndexFunc(c.b, func(b byte) bool { return b < 0x80 })
	c.take(uint64(i) + 1)
	c.bad = c.bad || i < 0
}

// unit returns a cursor in the next unit of a section, and how wide its offsets are.
func (c *cursor) unit() (in cursor, width uint64) {
	width = 4
	n := c.number(4)
	if n == 0xffffffff {
		width, n = 8, c.number(8)
	}
	return cursor{b: c.take(n)}, width
}

// The types of units that have no code.
const (
	typeUnit      = 2
	splitTypeUnit = 6
)

// checkUnits checks the number of units, and that their abbreviations are in tables that do not overlap, because each is read from its start. It
// returns where the first entries of the units are.
func checkUnits(info, abbrev []byte) (entries []dwarf.Offset, err error) {
	var tables []uint64
	units := 0
	for c := (cursor{b: info}); len(c.b) > 0; {
		in, width := c.unit()
		if c.bad {
			return nil, errDWARF
		}
		if len(in.b) == 0 {
			continue
		}
		if units++; units > maxUnits {
			return nil, fmt.Errorf("%w: it has more than %d units", errDWARF, maxUnits)
		}
		at, kind := in.unitHeader(width)
		if len(tables) == 0 || tables[len(tables)-1] != at {
			tables = append(tables, at)
		}
		if kind != typeUnit && kind != splitTypeUnit && len(in.b) > 0 {
			entries = append(entries, dwarf.Offset(len(info)-len(c.b)-len(in.b)))
		}
	}
	slices.Sort(tables)
	tables = slices.Compact(tables)
	for i, at := range tables {
		end := uint64(len(abbrev))
		if i+1 < len(tables) {
			end = min(end, tables[i+1])
		}
		if at > end || !endsAbbrevs(abbrev[at:end]) {
			return nil, fmt.Errorf("%w: its tables of abbreviations overlap", errDWARF)
		}
	}
	return entries, nil
}

// unitHeader reads the header of a unit up to its first entry: where its abbreviations are, and, since version 5, of which type it is.
func (c *cursor) unitHeader(width uint64) (abbrevs, kind uint64) {
	const skeleton, splitCompile = 4, 5
	if version := c.number(2); version < 5 {
		abbrevs = c.number(width)
		c.take(1) // the size of an address
		return abbrevs, 0
	}
	kind = c.number(1)
	c.take(1)
	abbrevs = c.number(width)
	switch kind {
	case skeleton, splitCompile:
		c.take(8)
	case typeUnit, splitTypeUnit:
		c.take(8 + width)
	}
	return abbrevs, kind
}

// endsAbbrevs reports whether a table of abbreviations ends within the bytes.
func endsAbbrevs(b []byte) bool {
	const implicit = 0x21 // a form with its value
	c := cursor{b: b}
	for c.uleb() != 0 && !c.bad {
		c.uleb()  // tag
		c.take(1) // whether it has children
		for !c.bad {
			attr, form := c.uleb(), c.uleb()
			if form == implicit {
				c.skipLEB()
			}
			if attr == 0 && form == 0 {
				break
			}
		}
	}
	return !c.bad
}

// checkLines checks the headers of line tables: that the files and folders that they announce can be there. It returns where
// the tables begin whose headers are right.
func checkLines(line []byte) (right []int64) {
	for c := (cursor{b: line}); len(c.b) > 0; {
		at := len(line) - len(c.b)
		in, width := c.unit()
		if c.bad {
			return right
		}
		if in.checkHeader(width) {
			right = append(right, int64(at))
		}
	}
	return right
}

func (c *cursor) checkHeader(width uint64) bool {
	if version := c.number(2); version < 5 {
		return true // its lists end with an empty entry
	}
	c.take(2 + width) // sizes of an address and a selector, length of the header
	c.take(1 + 1 + 1 + 1 + 1)
	if opcodes := c.number(1); opcodes > 0 {
		c.take(opcodes - 1)
	}
	folders := c.checkFiles(width)
	return folders && c.checkFiles(width)
}

// checkFiles checks a list of files or folders.
func (c *cursor) checkFiles(width uint64) bool {
	forms := make([]uint64, c.number(1))
	for i := range forms {
		c.uleb()
		forms[i] = c.uleb()
	}
	count := c.uleb()
	if c.bad || count > maxLineFiles || len(forms) == 0 && count > 0 {
		return false
	}
	for range count {
		for _, form := range forms {
			if !c.skipForm(form, width) || c.bad {
				return false
			}
		}
	}
	return true
}

// skipForm passes over a value. These are all forms that a list of files may have.
func (c *cursor) skipForm(form, width uint64) bool {
	switch form {
	case 0x08: // a string
		i := slices.Index(c.b, 0)
		c.take(uint64(i) + 1)
		return i >= 0
	case 0x0e, 0x1f, 0x1d: // an offset in a section of strings
		c.take(width)
	case 0x0b, 0x25:
		c.take(1)
	case 0x05, 0x26:
		c.take(2)
	case 0x27:
		c.take(3)
	case 0x06, 0x28:
		c.take(4)
	case 0x07:
		c.take(8)
	case 0x1e:
		c.take(16)
	case 0x0f, 0x1a:
		c.uleb()
	case 0x09: // a block
		c.take(c.uleb())
	default:
		return false
	}
	return true
}
