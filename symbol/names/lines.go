// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names

import (
	"cmp"
	"debug/dwarf"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/elffile"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// Bounds of what is read of one unit, which is a file that was compiled.
const (
	maxUnitEntries = 16 << 20
	maxUnitRows    = 16 << 20
	maxInlined     = 64 // calls within each other
	maxOrigins     = 8  // references from entry to entry for one name
	maxKnown       = 64 << 10
	maxAtOnce      = 8 << 10 // addresses
)

// Errors of [File.Lines].
var (
	// ErrNoLines says that nothing is known of the source of a file.
	ErrNoLines = errors.New("the file has no debug information")
	// ErrSlow says that there was not enough time.
	ErrSlow = errors.New("the debug information takes too long to read")

	errLargeUnit = errors.New("a unit of the debug information is too large")
)

// Lines finds the lines of source at addresses of the file, which are in order and differ. It calls found for each address that has any: with those of
// the calls that the compiler inlined there, the innermost first, and last that of the function itself. found must not keep the slice.
//
// The debug information of the file, up to maxDWARF bytes, is in memory meanwhile, beside the budget. After the deadline Lines gives up with an error that
// wraps ErrSlow. With another error, too, what it has found is right.
func (f *File) Lines(addrs []uint64, deadline time.Time, found func(addr uint64, lines []symbol.Line)) error {
	data, err := f.readDWARF()
	switch {
	case errors.Is(err, ErrNoLines):
		err = f.goLines(addrs, deadline, found)
	case err == nil:
		l := &lineFinder{file: f, data: data, deadline: deadline, origins: make(map[dwarf.Offset]origin), found: found}
		err = l.find(addrs)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.module.Name, err)
	}
	return nil
}

func (f *File) readDWARF() (*debugInfo, error) {
	has := func(e *elffile.File) bool { return e.Section(debugPrefix+"info") != nil }
	if has(f.elf) {
		return loadDWARF(f.elf)
	}
	d, err := f.findDebugFile(has)
	if errors.Is(err, errNoDebugFile) {
		return nil, ErrNoLines
	}
	if err != nil {
		return nil, err
	}
	defer d.file.Close()
	return loadDWARF(d.elf)
}

// lineFinder finds the lines in the debug information of a file.
type lineFinder struct {
	file     *File
	data     *debugInfo
	deadline time.Time
	steps    uint
	origins  map[dwarf.Offset]origin // of the functions that were found
	dir      string                  // where the present unit was compiled
	paths    map[string]string       // of the files of the present unit
	found    func(addr uint64, lines []symbol.Line)
	out      []symbol.Line
}

// origin is what the debug information says about a function.
type origin struct {
	function *symbol.Function // nil: it has no name
	start    int
}

// wanted is an address whose lines are wanted.
type wanted struct {
	addr   uint64
	file   *dwarf.LineFile // nil: unknown
	line   int
	hasRow bool
	scopes []scope // the functions and inlined calls around it, the outermost first
}

// scope is a function, or a call that the compiler inlined.
type scope struct {
	entry   dwarf.Offset
	inlined bool
	file    int64 // of the call
	line    int64
}

// tick returns an error once the time is over. It looks at the clock from time to time.
func (l *lineFinder) tick() error {
	const often = 64
	if l.steps++; l.steps%often == 1 && time.Now().After(l.deadline) {
		return ErrSlow
	}
	return nil
}

// find finds the lines of all addresses. A unit that is damaged does not keep it from others. A panic of debug/dwarf becomes an error.
func (l *lineFinder) find(addrs []uint64) (err error) {
	defer recoverDWARF(&err)
	all := make([]wanted, len(addrs))
	for i, addr := range addrs {
		all[i].addr = addr
	}
	var first error
	for _, at := range l.data.units {
		entry, of, err := l.openUnit(at, all)
		for some := range slices.Chunk(of, maxAtOnce) {
			if err == nil {
				err = l.readUnit(entry, some)
			}
		}
		if errors.Is(err, ErrSlow) {
			return err
		}
		first = cmp.Or(first, err)
	}
	return cmp.Or(first, l.data.missing)
}

// openUnit returns the entry of a unit, and those addresses that are in it.
func (l *lineFinder) openUnit(at dwarf.Offset, all []wanted) (*dwarf.Entry, []*wanted, error) {
	if err := l.tick(); err != nil {
		return nil, nil, err
	}
	r := l.data.Reader()
	r.Seek(at)
	entry, err := r.Next()
	if err != nil || entry == nil {
		return nil, nil, err
	}
	ranges, err := l.data.Ranges(entry)
	if err != nil {
		return nil, nil, err
	}
	var of []*wanted
	for _, r := range ranges {
		if l.isDead(r[0]) {
			continue
		}
		i, _ := slices.BinarySearchFunc(all, r[0], func(w wanted, a uint64) int { return cmp.Compare(w.addr, a) })
		for ; i < len(all) && all[i].addr < r[1] && len(of) < len(all); i++ {
			of = append(of, &all[i])
		}
	}
	slices.SortFunc(of, func(a, b *wanted) int { return cmp.Compare(a.addr, b.addr) })
	return entry, slices.Compact(of), nil
}

// isDead reports whether a range of addresses is that of code that the linker has left out. It has an address before the file's code.
func (l *lineFinder) isDead(start uint64) bool { return start < max(l.file.code.start, 2) }

// readUnit finds the lines of addresses in a unit.
func (l *lineFinder) readUnit(entry *dwarf.Entry, of []*wanted) (err error) {
	defer recoverDWARF(&err)
	l.dir, _ = entry.Val(dwarf.AttrCompDir).(string)
	l.paths = make(map[string]string)
	if err := l.readScopes(entry, of); err != nil {
		return err
	}
	files, err := l.readRows(entry, of)
	if err != nil {
		return err
	}
	for _, w := range of {
		if len(w.scopes) == 0 && !w.hasRow {
			continue // another unit may know it
		}
		l.out = l.lines(l.out[:0], w, files)
		if len(l.out) > 0 {
			l.found(w.addr, l.out)
		}
		*w = wanted{addr: w.addr}
	}
	return nil
}

// lines appends the lines of an address.
func (l *lineFinder) lines(out []symbol.Line, w *wanted, files []*dwarf.LineFile) []symbol.Line {
	here := symbol.Line{File: l.path(w.file), Line: w.line}
	for i := len(w.scopes) - 1; i >= 0 && len(out) < maxInlined; i-- {
		s := &w.scopes[i]
		origin := l.originOf(s.entry)
		here.Function, here.Start = origin.function, origin.start
		out = append(out, here)
		if !s.inlined {
			return out
		}
		here = symbol.Line{Line: int(s.line)}
		if s.file >= 0 && s.file < int64(len(files)) {
			here.File = l.path(files[s.file])
		}
	}
	// The entry of the function itself is missing.
	here.Function = l.file.Lookup(w.addr)
	if here == (symbol.Line{}) {
		return out
	}
	return append(out, here)
}

// path returns the path of a file. Compilers may be given it relative to the folder in which they are.
func (l *lineFinder) path(f *dwarf.LineFile) string {
	if f == nil || f.Name == "" {
		return ""
	}
	whole, ok := l.paths[f.Name]
	if !ok {
		if whole = path.Clean(f.Name); !path.IsAbs(whole) {
			whole = path.Join(l.dir, whole)
		}
		l.paths[f.Name] = whole
	}
	return whole
}

// originOf returns what is known of a function. An inlined call, and what was compiled of a function more than once, refer to the function
// itself.
func (l *lineFinder) originOf(at dwarf.Offset) origin {
	if known, ok := l.origins[at]; ok {
		return known
	}
	var o origin
	var name, system string
	r := l.data.Reader()
	for next, n := at, 0; n < maxOrigins; n++ {
		r.Seek(next)
		e, err := r.Next()
		if err != nil || e == nil {
			break
		}
		if start, ok := e.Val(dwarf.AttrDeclLine).(int64); ok && o.start == 0 {
			o.start = int(start)
		}
		if text, ok := e.Val(dwarf.AttrLinkageName).(string); ok && system == "" {
			system = text
		}
		if text, ok := e.Val(dwarf.AttrName).(string); ok && name == "" {
			name = text
		}
		var more bool
		if next, more = e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset); !more {
			if next, more = e.Val(dwarf.AttrSpecification).(dwarf.Offset); !more {
				break
			}
		}
	}
	switch {
	case system != "":
		o.function = function(system)
	case name != "":
		o.function = &symbol.Function{Name: name, System: name}
	}
	if len(l.origins) == maxKnown {
		clear(l.origins)
	}
	l.origins[at] = o
	return o
}

// readScopes finds the functions around addresses of a unit, and what is inlined there. An entry comes before those within it.
func (l *lineFinder) readScopes(unit *dwarf.Entry, of []*wanted) error {
	if !unit.Children {
		return nil
	}
	r := l.data.Reader()
	r.Seek(unit.Offset)
	if _, err := r.Next(); err != nil {
		return err
	}
	for depth, n := 1, 0; depth > 0; n++ {
		if err := l.tick(); err != nil {
			return err
		}
		if n == maxUnitEntries {
			return errLargeUnit
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
			if err := l.addScope(e, of); err != nil {
				return err
			}
		}
		if e.Children {
			depth++
		}
	}
	return nil
}

// addScope notes a function at the addresses in it.
func (l *lineFinder) addScope(e *dwarf.Entry, of []*wanted) error {
	ranges, err := l.data.Ranges(e)
	if err != nil {
		return err
	}
	for _, r := range ranges {
		if l.isDead(r[0]) {
			continue
		}
		for _, w := range between(of, r[0], r[1]) {
			if len(w.scopes) > maxInlined || len(w.scopes) > 0 && w.scopes[len(w.scopes)-1].entry == e.Offset {
				continue
			}
			s := scope{entry: e.Offset, inlined: e.Tag == dwarf.TagInlinedSubroutine, file: -1}
			if file, ok := e.Val(dwarf.AttrCallFile).(int64); ok {
				s.file = file
			}
			s.line, _ = e.Val(dwarf.AttrCallLine).(int64)
			w.scopes = append(w.scopes, s)
		}
		if err := l.tick(); err != nil {
			return err
		}
	}
	return nil
}

// between returns the addresses in a range.
func between(of []*wanted, start, limit uint64) []*wanted {
	compare := func(w *wanted, a uint64) int { return cmp.Compare(w.addr, a) }
	i, _ := slices.BinarySearchFunc(of, start, compare)
	j, _ := slices.BinarySearchFunc(of, limit, compare)
	return of[i:max(i, j)]
}

// readRows finds the lines that the instructions at addresses of a unit come from. It returns the files of the unit.
func (l *lineFinder) readRows(unit *dwarf.Entry, of []*wanted) ([]*dwarf.LineFile, error) {
	at, ok := unit.Val(dwarf.AttrStmtList).(int64)
	if _, right := slices.BinarySearch(l.data.lines, at); !ok || !right {
		return nil, nil // no lines, or a header that must not be read
	}
	r, err := l.data.LineReader(unit)
	if err != nil || r == nil {
		return nil, err
	}
	var before, e dwarf.LineEntry
	inSequence, dead := false, false
	for n := 0; ; n++ {
		if err := l.tick(); err != nil {
			return nil, err
		}
		if n == maxUnitRows {
			return nil, errLargeUnit
		}
		if err := r.Next(&e); err == io.EOF {
			return r.Files(), nil
		} else if err != nil {
			return nil, err
		}
		if !inSequence {
			dead = l.isDead(e.Address)
		} else if !dead {
			for _, w := range between(of, before.Address, e.Address) {
				w.place(&before)
			}
		}
		inSequence, before = !e.EndSequence, e
	}
}

// place notes the line of an address. Of two that claim it the first counts.
func (w *wanted) place(row *dwarf.LineEntry) {
	if w.hasRow {
		return
	}
	w.hasRow = true
	if row.Line != 0 { // 0: the compiler does not know of which line the code is
		w.line, w.file = row.Line, row.File
	}
}
