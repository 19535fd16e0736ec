// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"encoding/binary"
	"math/bits"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"

	"github.com/gizmo-ebpf/gizmo/event"
)

const (
	ellipsis = "…" // marks where text was cut; takes one cell
	blanks   = "                                                                "
)

// tidy makes dst[start:] safe for a terminal, in place, and returns how many cells it
// takes. Control characters and the characters of isUnsafe become escapes, so that a person sees what they
// were. A backslash is not escaped: columns are not for programs to read.
func tidy(dst []byte, start int) ([]byte, int) {
	plain := printableEnd(&dst, start)
	if plain == len(dst) {
		return dst, plain - start
	}
	end := len(dst)
	dst, cells := appendTidy(dst, dst[plain:end])
	n := copy(dst[plain:], dst[end:])
	return dst[:plain+n], plain - start + cells
}

// printableEnd is plainEnd for printable ASCII.
func printableEnd(dst *[]byte, start int) int {
	buf, n := reserve(*dst, 8)
	*dst = buf[:n]
	for i := start; i < n; i += 8 {
		if m := notPrintable(binary.LittleEndian.Uint64(buf[i:])); m != 0 {
			return min(n, i+bits.TrailingZeros64(m)>>3)
		}
	}
	return n
}

func appendTidy(dst, p []byte) ([]byte, int) {
	cells := 0
	for len(p) > 0 {
		r, size := utf8.DecodeRune(p)
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, replacement...)
			cells++
		case r < ' ' || r >= 0x7f && isUnsafe(r):
			before := len(dst)
			dst = appendVisible(dst, r)
			cells += len(dst) - before
		default:
			dst = append(dst, p[:size]...)
			cells += runeCells(r)
		}
		p = p[size:]
	}
	return dst, cells
}

// appendVisible appends the escape of a character that cannot be shown as it is.
func appendVisible(dst []byte, r rune) []byte {
	switch {
	case r == '\n':
		return append(dst, '\\', 'n')
	case r == '\r':
		return append(dst, '\\', 'r')
	case r == '\t':
		return append(dst, '\\', 't')
	case r < utf8.RuneSelf:
		return appendHexRune(append(dst, '\\', 'x'), r, 2)
	}
	return escapeRune(dst, r)
}

// runeCells returns how many cells of a terminal the rune r takes: none for marks that join
// the character before them, two for the wide characters of East Asia and most emoji. r is not unsafe.
func runeCells(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me), r > 0x1160 && r <= 0x11ff:
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// shorten cuts the tidy text dst[start:], which takes cells cells, to at most limit cells. It
// returns how many cells the rest takes.
func shorten(dst []byte, start, cells, limit int, where event.Ellipsis) ([]byte, int) {
	head, tail, mark := cutAt(limit, where)
	text := dst[start:]
	a, headCells := leadingCells(text, head)
	b, tailCells := trailingCells(text, cells, tail)
	rest := len(text) - b
	dst = append(dst, mark...) // makes room: the mark may be longer than the text that it replaces
	text = dst[start:]
	copy(text[a+len(mark):], text[b:b+rest])
	copy(text[a:], mark)
	if mark != "" {
		headCells++
	}
	return dst[:start+a+len(mark)+rest], headCells + tailCells
}

// cutAt returns how many cells remain of the beginning and of the end of a text that is cut to limit cells, and the mark between them.
func cutAt(limit int, where event.Ellipsis) (head, tail int, mark string) {
	keep := limit - 1
	switch where {
	case event.EllipsisNone:
		return limit, 0, ""
	case event.EllipsisStart:
		return 0, keep, ellipsis
	case event.EllipsisMiddle:
		return keep - keep/2, keep / 2, ellipsis
	}
	return keep, 0, ellipsis
}

// leadingCells returns the end of the longest beginning of p that takes at most limit cells, and how
// many it takes. Marks on its last character belong to it.
func leadingCells(p []byte, limit int) (end, cells int) {
	for end < len(p) {
		r, size := utf8.DecodeRune(p[end:])
		w := runeCells(r)
		if cells+w > limit || limit == 0 {
			break
		}
		end, cells = end+size, cells+w
	}
	return end, cells
}

// trailingCells returns the start of the longest ending of p that takes at most limit of p's cells.
func trailingCells(p []byte, cells, limit int) (start, left int) {
	for start < len(p) {
		r, size := utf8.DecodeRune(p[start:])
		w := runeCells(r)
		if cells <= limit && w > 0 {
			break
		}
		start, cells = start+size, cells-w
	}
	return start, cells
}

// appendBlanks appends n blanks.
func appendBlanks(dst []byte, n int) []byte {
	for ; n > len(blanks); n -= len(blanks) {
		dst = append(dst, blanks...)
	}
	return append(dst, blanks[:max(n, 0)]...)
}
