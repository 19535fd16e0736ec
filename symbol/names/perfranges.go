// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sort"
)

const (
	maxPerfRanges = 256 << 10 // functions
	maxPerfLine   = 4 << 10   // bytes
)

// perfRange is code that a program made, and where its name is in the map.
type perfRange struct {
	start uint64
	size  uint32
	at    uint32
}

const perfRangeBytes = 16

func (r perfRange) limit() uint64 { return r.start + uint64(r.size) }

// perfRanges are the functions in a map. Programs put new code where old code was, and move code, so later lines count more than earlier ones.
type perfRanges struct {
	list []perfRange // ordered, and apart from each other
	read int64       // how far the file has been read
}

func (p *perfRanges) bytes() int64 { return int64(cap(p.list)) * perfRangeBytes }

// find returns where the name of the function at an address is.
func (p *perfRanges) find(addr uint64) (at uint32, ok bool) {
	i := sort.Search(len(p.list), func(i int) bool { return p.list[i].start > addr }) - 1
	if i < 0 || addr-p.list[i].start >= uint64(p.list[i].size) {
		return 0, false
	}
	return p.list[i].at, true
}

// parse reads whole lines from where it stopped. The program may be writing the last one.
func (p *perfRanges) parse(r io.Reader) error {
	in := bufio.NewReaderSize(r, maxPerfLine)
	at := p.read       // where the line begins
	lineAt, n := at, 0 // of the piece of a line that is too long
	for {
		piece, err := in.ReadSlice('\n')
		n += len(piece)
		switch {
		case err == nil:
			if n == len(piece) {
				p.add(piece[:n-1], lineAt)
			}
			lineAt, n = lineAt+int64(n), 0
		case errors.Is(err, bufio.ErrBufferFull): // no name is so long
		case errors.Is(err, io.EOF):
			p.read = lineAt
			return p.settle(maxPerfRanges)
		default:
			return err
		}
		if len(p.list) >= 2*maxPerfRanges {
			if err := p.settle(maxPerfRanges); err != nil {
				return err
			}
		}
	}
}

// add adds a line: start, size, name.
func (p *perfRanges) add(line []byte, at int64) {
	start, rest, ok := hexNumber(bytes.TrimPrefix(line, []byte("0x")))
	if !ok || len(rest) < 2 || rest[0] != ' ' {
		return
	}
	size, name, ok := hexNumber(bytes.TrimPrefix(rest[1:], []byte("0x")))
	if !ok || len(name) < 2 || name[0] != ' ' || size == 0 || size > math.MaxUint32 || start+size < start {
		return
	}
	nameAt := at + int64(len(line)-len(name)+1)
	p.list = append(p.list, perfRange{start: start, size: uint32(size), at: uint32(nameAt)})
}

// settle orders the ranges and, where several have an address, leaves the latest. It goes from the lowest address
// to the highest and keeps the ranges that cover the place where it is in a heap, the latest on top.
func (p *perfRanges) settle(limit int) error {
	slices.SortFunc(p.list, func(a, b perfRange) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.at, b.at))
	})
	var apart []perfRange
	var open perfHeap
	pos := uint64(0)
	for rest := p.list; len(rest) > 0 || len(open) > 0; {
		if len(open) == 0 {
			pos = rest[0].start
		}
		for len(rest) > 0 && rest[0].start <= pos {
			open.push(rest[0])
			rest = rest[1:]
		}
		for len(open) > 0 && open[0].limit() <= pos {
			open.pop()
		}
		if len(open) == 0 {
			continue
		}
		end := open[0].limit()
		if len(rest) > 0 {
			end = min(end, rest[0].start)
		}
		next := perfRange{start: pos, size: uint32(end - pos), at: open[0].at}
		if last := len(apart) - 1; last >= 0 && apart[last].at == next.at && apart[last].limit() == pos {
			apart[last].size += next.size
		} else {
			apart = append(apart, next)
		}
		pos = end
	}
	p.list = apart
	if len(apart) > limit {
		return fmt.Errorf("%w: it has more than the %d functions that gizmo reads", ErrIgnored, limit)
	}
	return nil
}

// perfHeap is a heap of ranges with the latest on top.
type perfHeap []perfRange

func (h *perfHeap) push(r perfRange) {
	*h = append(*h, r)
	list := *h
	for i := len(list) - 1; i > 0; {
		above := (i - 1) / 2
		if list[above].at >= list[i].at {
			return
		}
		list[above], list[i] = list[i], list[above]
		i = above
	}
}

func (h *perfHeap) pop() {
	list := *h
	last := len(list) - 1
	list[0] = list[last]
	list = list[:last]
	*h = list
	for i := 0; ; {
		below := 2*i + 1
		if below >= len(list) {
			return
		}
		if below+1 < len(list) && list[below+1].at > list[below].at {
			below++
		}
		if list[i].at >= list[below].at {
			return
		}
		list[i], list[below] = list[below], list[i]
		i = below
	}
}
