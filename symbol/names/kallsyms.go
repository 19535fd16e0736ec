// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"sort"
)

const (
	maxKernelRows  = 4 << 20 // functions
	maxKernelLine  = 4 << 10 // bytes; names have at most 512
	maxKernelNames = 1 << 30 // bytes
	maxModules     = math.MaxUint16
	// maxKernelFunction bounds the last function before a gap. The code of a large BPF program has some megabytes.
	maxKernelFunction = 4 << 20

	// A kernel has about as many functions, whose names have about as many bytes.
	usualKernelRows  = 128 << 10
	usualKernelNames = 3 << 20
)

// kallsyms is the kernel's table of functions: 4.3 MiB for 122,000. The kernel makes its text anew each time it is read,
// which takes 100 ms, so it pays to keep the table.
type kallsyms struct {
	rows    []kernelRow // ordered by start
	names   []byte      // each name ends with a zero byte
	modules []string    // in brackets; the first is empty and stands for the kernel itself
}

type kernelRow struct {
	start  uint64
	name   uint32
	module uint16
	rank   uint8 // of several names at one address, the lowest counts
}

// find returns the row of the function at an address, or -1.
func (t *kallsyms) find(addr uint64) int {
	i := sort.Search(len(t.rows), func(i int) bool { return t.rows[i].start > addr }) - 1
	if i < 0 || addr-t.rows[i].start >= maxKernelFunction || t.isEnd(i) {
		return -1
	}
	return i
}

// isEnd reports whether the row is a mark behind the last function.
func (t *kallsyms) isEnd(i int) bool {
	name := t.name(t.rows[i])
	return t.rows[i].module == 0 && (string(name) == "_etext" || string(name) == "_einittext")
}

func (t *kallsyms) name(r kernelRow) []byte {
	b := t.names[r.name:]
	return b[:bytes.IndexByte(b, 0)]
}

// read replaces the table by what the file says. It uses the memory of the old one.
func (t *kallsyms) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, peeked)
	// If the kernel tells nothing any more, its own functions are still where they were.
	if start, _ := in.Peek(peeked); len(t.rows) > 0 && !hasAddress(start) {
		t.rows = slices.DeleteFunc(t.rows, func(r kernelRow) bool { return t.modules[r.module] != "" })
		return nil
	}
	return t.parse(in)
}

// peeked is how many bytes tell whether the kernel hides its addresses: the first symbols can be at 0.
const peeked = 64 << 10

// hasAddress reports whether a line begins with a number that is not 0.
func hasAddress(text []byte) bool {
	for line := range bytes.Lines(text) {
		address, _, _ := bytes.Cut(line, []byte(" "))
		if len(bytes.Trim(address, "0")) > 0 {
			return true
		}
	}
	return false
}

func (t *kallsyms) parse(r io.Reader) error {
	if t.rows == nil {
		t.rows, t.names = make([]kernelRow, 0, usualKernelRows), make([]byte, 0, usualKernelNames)
	}
	t.rows, t.names, t.modules = t.rows[:0], t.names[:0], append(t.modules[:0], "")
	p := kernelParser{t: t, modules: make(map[string]uint16), hidden: true}
	in := bufio.NewReaderSize(r, maxKernelLine)
	long := false // in a line that is too long
	for {
		line, err := in.ReadSlice('\n')
		if err == nil && !long {
			p.line(line[:len(line)-1])
		}
		long = errors.Is(err, bufio.ErrBufferFull)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !long {
			t.rows = t.rows[:0]
			return err
		}
	}
	if p.lines > 0 && p.hidden {
		return ErrHidden
	}
	t.order()
	return nil
}

// order sorts the rows, of which most are in order already, and keeps one for each address.
func (t *kallsyms) order() {
	slices.SortStableFunc(t.rows, func(a, b kernelRow) int {
		if n := cmp.Compare(a.start, b.start); n != 0 {
			return n
		}
		return cmp.Compare(a.rank, b.rank)
	})
	t.rows = slices.CompactFunc(t.rows, func(a, b kernelRow) bool { return a.start == b.start })
}

// kernelParser reads lines.
type kernelParser struct {
	t       *kallsyms
	modules map[string]uint16
	lines   int
	hidden  bool // no address was more than 0
}

// line reads a line: address, type, name and, for all but the kernel itself, the module.
func (p *kernelParser) line(line []byte) {
	addr, rest, ok := hexNumber(line)
	if !ok || len(rest) < 4 || rest[0] != ' ' || rest[2] != ' ' {
		return
	}
	p.lines++
	p.hidden = p.hidden && addr == 0
	kind := rest[1]
	name, module, _ := bytes.Cut(rest[3:], []byte{'\t'})
	full := len(p.t.rows) == maxKernelRows || len(p.t.names)+len(name)+1 > maxKernelNames
	if addr == 0 || !isKernelCode(kind) || len(name) == 0 || bytes.IndexByte(name, 0) >= 0 || full {
		return
	}
	id, ok := p.moduleID(module)
	if !ok {
		return
	}
	p.t.rows = append(p.t.rows, kernelRow{
		start: addr, name: uint32(len(p.t.names)), module: id, rank: kernelRank(kind, name),
	})
	p.t.names = append(append(p.t.names, name...), 0)
}

func (p *kernelParser) moduleID(name []byte) (uint16, bool) {
	if len(name) == 0 {
		return 0, true
	}
	id, ok := p.modules[string(name)]
	if !ok {
		if len(p.t.modules) > maxModules || name[0] != '[' || name[len(name)-1] != ']' {
			return 0, false
		}
		id = uint16(len(p.t.modules))
		p.t.modules = append(p.t.modules, string(name))
		p.modules[string(name)] = id
	}
	return id, true
}

// isKernelCode reports whether symbols of the type are in code.
func isKernelCode(kind byte) bool { return kind == 't' || kind == 'T' || kind == 'w' || kind == 'W' }

// kernelRank prefers, of the names at one address, global ones, and those with few underscores.
func kernelRank(kind byte, name []byte) uint8 {
	rank := uint8(0)
	switch kind {
	case 't':
		rank = 1
	case 'w', 'W':
		rank = 2
	}
	underscores := len(name) - len(bytes.TrimLeft(name, "_"))
	return rank + 3*uint8(min(underscores, 64))
}

// hexNumber reads the hex digits in front of a line.
func hexNumber(line []byte) (n uint64, rest []byte, ok bool) {
	for i, c := range line {
		d := uint64(0)
		switch {
		case c >= '0' && c <= '9':
			d = uint64(c - '0')
		case c >= 'a' && c <= 'f':
			d = uint64(c-'a') + 10
		case c >= 'A' && c <= 'F':
			d = uint64(c-'A') + 10
		default:
			return n, line[i:], i > 0
		}
		if n>>60 != 0 {
			return 0, line, false
		}
		n = n<<4 | d
	}
	return n, nil, len(line) > 0
}
