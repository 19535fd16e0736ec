// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"bytes"
	"unicode/utf8"

	"github.com/gizmo-ebpf/gizmo/event"
)

// longLine writes a long line of the table. Lines end without blanks, and text that was spilled cannot be changed any more. So longLine holds
// blanks back until text follows them.
type longLine struct {
	spill  spill
	blanks int // that were held back
	cell   []byte
	piece  []byte
}

// add appends text of the line.
func (l *longLine) add(dst, text []byte) []byte {
	end := len(bytes.TrimRight(text, " "))
	if end == 0 {
		l.blanks += len(text)
		return dst
	}
	for ; l.blanks > 0; l.blanks -= min(l.blanks, longPiece) {
		dst = l.spill.long(appendBlanks(dst, min(l.blanks, longPiece)))
	}
	l.blanks = len(text) - end
	return l.spill.long(append(dst, text[:end]...))
}

// long returns the value that a column shows, if it is long.
func (e *columnsEncoder) long(c *column, b *event.Batch, row int) *value {
	for i := range c.values {
		v := &c.values[i]
		if v.isLong(b, row) {
			return v
		}
		if e.line.piece = v.appendFlat(e.line.piece[:0], b, row); len(e.line.piece) > 0 {
			break // it is shown, and none of those after it
		}
	}
	return nil
}

// appendLong appends a long line.
func (e *columnsEncoder) appendLong(dst []byte, b *event.Batch, row int) []byte {
	l := &e.line
	l.blanks = 0
	for i := range e.cols {
		if i > 0 {
			l.blanks++
		}
		if v := e.long(&e.cols[i], b, row); v != nil {
			dst = l.appendCell(dst, &e.cols[i], v.longOf(b, row, &jsonBrackets))
		} else {
			l.cell = e.cols[i].append(l.cell[:0], b, row)
			dst = l.add(dst, l.cell)
		}
	}
	return l.spill.long(append(dst, '\n'))
}

// appendCell appends the cell of a long value.
func (l *longLine) appendCell(dst []byte, c *column, v long) []byte {
	cells := 0
	for w, more := v, true; more; {
		var n int
		n, more = l.next(&w)
		cells += n
	}
	if c.limit > 0 && cells > c.limit {
		cut := newCutter(cells, c.limit, c.ellipsis)
		l.cell = l.cell[:0]
		for more := true; more; {
			_, more = l.next(&v)
			l.cell = cut.append(l.cell, l.piece)
		}
		l.cell = c.pad(l.cell, 0, cut.shown)
		return l.add(dst, l.cell)
	}
	pad := max(c.width-cells, 0)
	if c.right {
		l.blanks += pad
	}
	for more := true; more; {
		_, more = l.next(&v)
		dst = l.add(dst, l.piece)
	}
	if !c.right {
		l.blanks += pad
	}
	return dst
}

// next stores the next piece of a long value, safe for a terminal, in l.piece. It returns its cells, and whether there is more.
func (l *longLine) next(v *long) (cells int, more bool) {
	l.piece, more = v.next(l.piece[:0])
	l.piece, cells = tidy(l.piece, 0)
	return cells, more
}

// cutter is shorten for text that comes in pieces.
type cutter struct {
	head, tail int // cells that remain
	mark       string
	left       int // cells of the text that have not come yet
	shown      int // cells that were appended
	part       part
}

// part is where in a text a cutter is.
type part uint8

const (
	inHead part = iota
	inMiddle
	inTail
)

// newCutter returns a cutter for text of the given number of cells.
func newCutter(cells, limit int, where event.Ellipsis) *cutter {
	c := &cutter{left: cells}
	c.head, c.tail, c.mark = cutAt(limit, where)
	return c
}

// append appends the part of the next piece of tidy text that remains.
func (c *cutter) append(dst, piece []byte) []byte {
	for len(piece) > 0 {
		r, size := utf8.DecodeRune(piece)
		w := runeCells(r)
		if c.part == inHead && (c.shown+w > c.head || c.head == 0) {
			c.part = inMiddle
			if dst = append(dst, c.mark...); c.mark != "" {
				c.shown++
			}
		}
		if c.part == inMiddle && c.left <= c.tail && w > 0 {
			c.part = inTail
		}
		if c.part != inMiddle {
			dst = append(dst, piece[:size]...)
			c.shown += w
		}
		c.left -= w
		piece = piece[size:]
	}
	return dst
}
