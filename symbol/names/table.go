// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names

import (
	"bytes"
	"cmp"
	"debug/elf"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"sort"

	"github.com/gizmo-ebpf/gizmo/internal/elffile"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// Bounds above those of almost all programs.
const (
	maxRows  = 1 << 20   // functions in a table
	maxNames = 1 << 30   // bytes of names in a file
	maxName  = 8 << 10   // bytes of a name
	nearName = 128       // bytes of a name that are read at first
	maxAlias = 64        // names of one function that are compared
	maxInner = 64        // functions within another that are passed over to find it
	maxNamed = 64 << 10  // functions whose names are kept
	sizeBits = 1<<28 - 1 // of row.size
)

// row is a function in a table: where it starts, counted from the table's base, how long it is, where its name is. The
// upper bits of size are its rank.
type row struct {
	start, size, name uint32
}

const rowBytes = 12

func (r row) length() uint32 { return r.size & sizeBits }
func (r row) rank() uint32   { return r.size &^ sizeBits }

// Ranks of the names of one function, the best first.
const (
	rankGlobal = iota << 28
	rankWeak
	rankLocal
	rankLabel
	rankOpen = 1 << 31 // the symbol has no size: the function ends where the next one starts
)

// table has the functions of a file. The names stay in the file.
type table struct {
	base  uint64
	rows  []row // ordered; see compareRows
	names io.ReaderAt
	plain bool     // the language does not mangle names
	inRAM int64    // bytes of names that the table holds
	file  *os.File // what the names are read from, if the table owns it
	named map[int]*symbol.Function
	texts int64 // bytes of the functions in named
}

// fileCost is what an open debug file counts as in the budget, so that the budget also bounds their number.
const fileCost = 64 << 10

func (t *table) bytes() int64 {
	n := int64(len(t.rows))*rowBytes + t.inRAM
	if t.file != nil {
		n += fileCost
	}
	return n
}

func (t *table) close() {
	if t.file != nil {
		t.file.Close()
	}
}

// lookup returns the function at an address, and by how many bytes the table has grown or, if negative, shrunk.
func (t *table) lookup(addr uint64) (*symbol.Function, int64) {
	i := t.find(addr)
	if i < 0 {
		return nil, 0
	}
	if fn, ok := t.named[i]; ok {
		return fn, 0
	}
	name := t.bestName(i)
	if name == "" {
		return nil, 0
	}
	fn := &symbol.Function{Name: name, System: name}
	if !t.plain {
		fn = function(name)
	}
	return fn, t.keep(i, fn)
}

// keep keeps the function of a row for the next look-up.
func (t *table) keep(i int, fn *symbol.Function) int64 {
	before := t.texts
	if t.named == nil || len(t.named) >= maxNamed {
		t.named, t.texts = make(map[int]*symbol.Function), 0
	}
	t.named[i] = fn
	const overhead = 96 // of the function and its place in the map
	t.texts += int64(len(fn.Name)+len(fn.System)) + overhead
	return t.texts - before
}

// find returns the first row of the innermost function at an address, or -1.
func (t *table) find(addr uint64) int {
	if addr < t.base || addr-t.base > math.MaxUint32 {
		return -1
	}
	at := uint32(addr - t.base)
	i := sort.Search(len(t.rows), func(i int) bool { return t.rows[i].start > at }) - 1
	for n := 0; i >= 0 && n < maxInner; n++ {
		i = t.first(i)
		if at-t.rows[i].start < t.rows[i].length() {
			return i
		}
		i--
	}
	return -1
}

// first returns the first row with the start of row i.
func (t *table) first(i int) int {
	start := t.rows[i].start
	return sort.Search(i, func(k int) bool { return t.rows[k].start >= start })
}

// bestName returns, of the names of a function, the one that people know: puts, not _IO_puts.
func (t *table) bestName(first int) string {
	best, least := "", math.MaxInt
	for i := first; i < len(t.rows) && i < first+maxAlias; i++ {
		r := t.rows[i]
		if r.start != t.rows[first].start || r.length() != t.rows[first].length() {
			break
		}
		name := t.nameAt(r.name)
		if name == "" {
			continue
		}
		if n := len(name) - len(bytes.TrimLeft([]byte(name), "_")); n < least {
			best, least = name, n
		}
	}
	return best
}

// nameAt reads a name. What cannot be read, or is too long, is no name.
func (t *table) nameAt(at uint32) string {
	b := make([]byte, nearName)
	for {
		n, err := t.names.ReadAt(b, int64(at))
		if i := bytes.IndexByte(b[:n], 0); i >= 0 {
			return string(b[:i])
		}
		if err != nil || len(b) >= maxName {
			return ""
		}
		b = make([]byte, maxName)
	}
}

// compareRows orders rows by where they start. Of several that start at one place the longest comes first, and those
// without a size come last.
func compareRows(a, b row) int {
	if a.start != b.start {
		return cmp.Compare(a.start, b.start)
	}
	if n := cmp.Compare(a.size&rankOpen, b.size&rankOpen); n != 0 {
		return n
	}
	if n := cmp.Compare(b.length(), a.length()); n != 0 {
		return n
	}
	if n := cmp.Compare(a.rank(), b.rank()); n != 0 {
		return n
	}
	return cmp.Compare(a.name, b.name)
}

var (
	errNone    = errors.New("the file has no such table")
	errTooMany = errors.New("the file has more functions than gizmo reads")
)

// symbolTable reads a table of symbols. Only code within the span counts.
func symbolTable(f *elffile.File, kind elf.SectionType, code span) (*table, error) {
	section := f.SectionOf(kind)
	if section == nil {
		return nil, errNone
	}
	text, err := f.SymbolNames(section)
	if err != nil {
		return nil, err
	}
	names, err := f.Reader(text, maxNames)
	if err != nil {
		return nil, err
	}
	p := picker{f: f, code: code, exported: kind == elf.SHT_DYNSYM}
	rows, err := p.rows(section)
	if err != nil {
		return nil, err
	}
	return &table{base: code.start, rows: rows, names: names}, nil
}

// picker picks the functions out of symbols.
type picker struct {
	f        *elffile.File
	code     span
	exported bool // the table has only what the file exports
}

// rows reads a table twice: first to count, so that it takes exactly the memory that it needs.
func (p *picker) rows(section *elffile.Section) ([]row, error) {
	count := 0
	err := p.f.EachSymbol(section, func(_ int, s elffile.Symbol) error {
		if _, ok := p.pick(&s); ok {
			count++
		}
		if count > maxRows {
			return errTooMany
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	rows := make([]row, 0, count)
	err = p.f.EachSymbol(section, func(_ int, s elffile.Symbol) error {
		if r, ok := p.pick(&s); ok && len(rows) < cap(rows) { // the file may have changed
			rows = append(rows, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, compareRows)
	return closeRows(rows), nil
}

// pick returns the row of a symbol, if it names a function.
func (p *picker) pick(s *elffile.Symbol) (r row, ok bool) {
	if !s.IsCode() || !p.code.contains(s.Value) || int(s.Section) >= len(p.f.Sections) || s.Value-p.code.start > math.MaxUint32 {
		return r, false
	}
	section := &p.f.Sections[s.Section]
	if section.Flags&elf.SHF_EXECINSTR == 0 || s.Value < section.Addr || s.Value-section.Addr >= section.Size {
		return r, false
	}
	rank := uint32(rankGlobal)
	switch {
	case s.Kind() == elf.STT_NOTYPE:
		if p.f.Machine == elf.EM_AARCH64 && s.Binding() == elf.STB_LOCAL {
			return r, false // a mark that says what is code and what is data
		}
		rank = rankLabel
	case s.Binding() == elf.STB_LOCAL:
		rank = rankLocal
	case s.Binding() == elf.STB_WEAK:
		rank = rankWeak
	}
	size := s.Size
	if size == 0 {
		if p.exported {
			return r, false // functions that are not exported may follow, and are not its own
		}
		size = section.Addr + section.Size - s.Value
		rank |= rankOpen
	}
	return row{start: uint32(s.Value - p.code.start), size: uint32(min(size, sizeBits)) | rank, name: s.NameAt}, true
}

// closeRows decides where the functions without a size end: where the next one starts. It drops those within another function,
// which are labels.
func closeRows(rows []row) []row {
	start, next := uint32(math.MaxUint32), uint32(math.MaxUint32) // of the row behind, and of the first that starts elsewhere
	for i := len(rows) - 1; i >= 0; i-- {
		r := &rows[i]
		if r.start != start {
			start, next = r.start, start
		}
		if r.size&rankOpen != 0 {
			r.size = min(r.length(), next-r.start) | r.rank()
		}
	}
	kept := rows[:0]
	covered := uint64(0)
	for _, r := range rows {
		switch {
		case r.size&rankOpen == 0:
			covered = max(covered, uint64(r.start)+uint64(r.length()))
		case uint64(r.start) < covered:
			continue
		}
		r.size &^= rankOpen
		kept = append(kept, r)
	}
	return kept
}
