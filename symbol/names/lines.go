// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names

import (
	"cmp"
	"debug/dwarf"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/elffile"
)

// Line is a place in the source of a program.
type Line struct {
	Function string // demangled
	File     string // "" if unknown
	Line     int    // 0 if unknown
}

// Bounds of what is read of one unit, which is a file that was compiled, and how long that may take.
const (
	maxUnitEntries = 2 << 20
	maxUnitScopes  = 256 << 10
	maxUnitRows    = 256 << 10
	maxUnitTime    = 3 * time.Second
	maxInlined     = 64 // calls within each other
	maxOrigins     = 8  // references from entry to entry for one name
)

var (
	errSlow    = errors.New("the debug information takes too long to read")
	errNoLines = errors.New("the file has no debug information")
)

// Lines appends to out the lines of source at an address, the innermost first: of the calls that the compiler inlined there, and last of the
// function itself. It appends nothing if the file, and its debug file, do not say. The debug information of one file
// is in memory at a time, up to maxDWARF bytes beside the budget, so callers take the addresses of one file after the other's, in order.
func (f *File) Lines(addr uint64, out []Line) ([]Line, error) {
	f.files.mu.Lock()
	defer f.files.mu.Unlock()
	t := f.files.lines
	if t == nil || t.file != f {
		f.files.lines = nil // before another is read
		t = f.openLines()
		f.files.lines = t
	}
	if t.err != nil {
		return out, t.err
	}
	lines, err := t.tryLines(addr, out)
	if err != nil {
		t.err = fmt.Errorf("%s: %w", f.module.Name, err)
		t.data, t.unit = nil, unit{}
		return out, t.err
	}
	return lines, nil
}

// lineTable is the debug information of a file.
type lineTable struct {
	file *File
	data *debugInfo
	unit unit // that of the last address
	now  func() time.Time
	err  error // why there is none
}

func (f *File) openLines() *lineTable {
	t := &lineTable{file: f, now: time.Now}
	t.data, t.err = f.readDWARF()
	if t.err != nil {
		t.err = fmt.Errorf("%s: %w", f.module.Name, t.err)
	}
	return t
}

func (f *File) readDWARF() (*debugInfo, error) {
	has := func(e *elffile.File) bool { return e.Section(debugPrefix+"info") != nil }
	if has(f.elf) {
		return loadDWARF(f.elf)
	}
	d, err := f.findDebugFile(has)
	if errors.Is(err, errNoDebugFile) {
		return nil, errNoLines
	}
	if err != nil {
		return nil, err
	}
	defer d.file.Close()
	return loadDWARF(d.elf)
}

// unit is what is known of a compiled file.
type unit struct {
	entry  *dwarf.Entry
	ranges [][2]uint64
	scopes []scope
	rows   []lineRow // in order
	files  []*dwarf.LineFile
}

// scope is a function, or a call that the compiler inlined: a range of its addresses.
type scope struct {
	span
	entry   dwarf.Offset
	depth   int
	inlined bool
	file    int64 // of the call
	line    int64
}

type lineRow struct {
	addr uint64
	file *dwarf.LineFile
	line int
	end  bool
}

func (u *unit) contains(addr uint64) bool {
	return slices.ContainsFunc(u.ranges, func(r [2]uint64) bool { return addr >= r[0] && addr < r[1] })
}

// tryLines is lines, and turns a panic of debug/dwarf into an error.
func (t *lineTable) tryLines(addr uint64, out []Line) (lines []Line, err error) {
	defer recoverDWARF(&err)
	return t.lines(addr, out)
}

func (t *lineTable) lines(addr uint64, out []Line) ([]Line, error) {
	if !t.unit.contains(addr) {
		found, err := t.openUnit(addr)
		if err != nil || !found {
			return out, err
		}
	}
	u := &t.unit
	var around []scope
	for _, s := range u.scopes {
		if s.contains(addr) {
			around = append(around, s)
		}
	}
	slices.SortStableFunc(around, func(a, b scope) int { return cmp.Compare(b.depth, a.depth) })
	here := u.lineAt(addr)
	for _, s := range around[:min(len(around), maxInlined)] {
		here.Function = t.nameOf(s.entry)
		out = append(out, here)
		if !s.inlined {
			return out, nil
		}
		here = Line{Line: int(s.line)}
		if s.file > 0 && s.file < int64(len(u.files)) && u.files[s.file] != nil {
			here.File = u.files[s.file].Name
		}
	}
	// The entry of the function itself is missing.
	if fn := t.file.lookup(addr); fn != nil {
		here.Function = fn.Name
	}
	if here == (Line{}) {
		return out, nil
	}
	return append(out, here), nil
}

// lineAt returns the line that the instruction at an address comes from.
func (u *unit) lineAt(addr uint64) Line {
	i, ok := slices.BinarySearchFunc(u.rows, addr, func(r lineRow, a uint64) int { return cmp.Compare(r.addr, a) })
	for ok && i+1 < len(u.rows) && u.rows[i+1].addr == addr {
		i++ // the last row of an address counts
	}
	if !ok {
		i--
	}
	if i < 0 || u.rows[i].end {
		return Line{}
	}
	l := Line{Line: u.rows[i].line}
	if u.rows[i].file != nil {
		l.File = u.rows[i].file.Name
	}
	return l
}

// nameOf returns the name of a function, which an inlined call takes from the function that it calls.
func (t *lineTable) nameOf(at dwarf.Offset) string {
	r := t.data.Reader()
	for range maxOrigins {
		r.Seek(at)
		e, err := r.Next()
		if err != nil || e == nil {
			return ""
		}
		if name, ok := e.Val(dwarf.AttrLinkageName).(string); ok {
			return Demangle(name)
		}
		origin, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
		if !ok {
			origin, ok = e.Val(dwarf.AttrSpecification).(dwarf.Offset)
		}
		if !ok {
			name, _ := e.Val(dwarf.AttrName).(string)
			return name
		}
		at = origin
	}
	return ""
}

// openUnit reads the unit of an address, if there is one.
func (t *lineTable) openUnit(addr uint64) (bool, error) {
	deadline := t.now().Add(maxUnitTime)
	t.unit = unit{}
	r := t.data.Reader()
	entry, err := r.SeekPC(addr)
	if errors.Is(err, dwarf.ErrUnknownPC) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	u := unit{entry: entry}
	if u.ranges, err = t.data.Ranges(entry); err != nil {
		return false, err
	}
	if entry.Children {
		if err := t.readScopes(&u, r, deadline); err != nil {
			return false, err
		}
	}
	if err := t.readRows(&u, deadline); err != nil {
		return false, err
	}
	t.unit = u
	return true, nil
}

// readScopes reads the functions of a unit, and what is inlined into them.
func (t *lineTable) readScopes(u *unit, r *dwarf.Reader, deadline time.Time) error {
	depth := 1
	for n := 0; depth > 0; n++ {
		if n == maxUnitEntries || t.now().After(deadline) {
			return errSlow
		}
		e, err := r.Next()
		if err != nil {
			return err
		}
		if e == nil || e.Tag == dwarf.TagCompileUnit {
			return nil
		}
		if e.Tag == 0 {
			depth--
			continue
		}
		if e.Tag == dwarf.TagSubprogram || e.Tag == dwarf.TagInlinedSubroutine {
			if err := t.addScope(u, e, depth); err != nil {
				return err
			}
		}
		if e.Children {
			depth++
		}
	}
	return nil
}

func (t *lineTable) addScope(u *unit, e *dwarf.Entry, depth int) error {
	ranges, err := t.data.Ranges(e)
	if err != nil {
		return err
	}
	s := scope{entry: e.Offset, depth: depth, inlined: e.Tag == dwarf.TagInlinedSubroutine}
	s.file, _ = e.Val(dwarf.AttrCallFile).(int64)
	s.line, _ = e.Val(dwarf.AttrCallLine).(int64)
	for _, r := range ranges {
		if len(u.scopes) == maxUnitScopes {
			return errSlow
		}
		s.span = span{r[0], r[1]}
		u.scopes = append(u.scopes, s)
	}
	return nil
}

// readRows reads which lines the instructions of a unit come from.
func (t *lineTable) readRows(u *unit, deadline time.Time) error {
	at, ok := u.entry.Val(dwarf.AttrStmtList).(int64)
	if _, right := slices.BinarySearch(t.data.lines, at); !ok || !right {
		return nil // no lines, or a header that must not be read
	}
	r, err := t.data.LineReader(u.entry)
	if err != nil || r == nil {
		return err
	}
	var e dwarf.LineEntry
	for r.Next(&e) == nil {
		if len(u.rows) == maxUnitRows || t.now().After(deadline) {
			return errSlow
		}
		u.rows = append(u.rows, lineRow{addr: e.Address, file: e.File, line: e.Line, end: e.EndSequence})
	}
	u.files = r.Files()
	slices.SortStableFunc(u.rows, func(a, b lineRow) int {
		if n := cmp.Compare(a.addr, b.addr); n != 0 || a.end == b.end {
			return n
		}
		if a.end {
			return -1
		}
		return 1
	})
	return nil
}
