// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"encoding/hex"
	"unicode/utf8"

	"github.com/gizmo-ebpf/gizmo/event"
)

// A recording can have values of many MiB. Encoders make their text in pieces, so that not all of it is in memory at once.

const (
	// spillSize is the length of text from which on it is spilled.
	spillSize = 256 << 10
	// longValue is the number of bytes from which on a value, or a row, is written in pieces.
	longValue = 64 << 10
	// longPiece is the number of bytes, or elements, of a value that become text at once.
	longPiece = 16 << 10
)

// spill is Options.Spill.
type spill func(text []byte) []byte

// long spills dst if it has become long.
func (s spill) long(dst []byte) []byte {
	if s == nil || len(dst) < spillSize {
		return dst
	}
	return s(dst)
}

// lengths decides which rows are long: their text is spilled between values, too.
type lengths struct {
	fixed   int      // bytes of the record that each row shows
	varying []*value // values that have other lengths in other rows
}

// add adds a value that each row shows.
func (l *lengths) add(v *value) {
	switch {
	case v.op == opMemo:
		l.addAll(v.memo.enc.steps)
	case v.op == opColumnMemo:
		l.addAll(v.columns.enc.steps)
	case v.isVarying():
		l.varying = append(l.varying, v)
	case v.op == opString || v.op == opBytes || v.op == opArray:
		l.fixed += v.bytes()
	}
}

func (l *lengths) addAll(steps []jsonStep) {
	for i := range steps {
		l.add(&steps[i].value)
	}
}

// isLong reports whether the row is long.
func (l *lengths) isLong(b *event.Batch, row int) bool {
	n := l.fixed
	for _, v := range l.varying {
		n += len(v.reader.Bytes(b, row))
	}
	return n >= longValue
}

// isVarying reports whether the value has other lengths in other rows.
func (v *value) isVarying() bool {
	return v.op == opColumnText || v.op == opColumnBytes || v.op == opTrailingText || v.op == opBytes && v.reader.Origin() == event.FromTrailing
}

// bytes returns the number of bytes of the value in the record.
func (v *value) bytes() int { return int(v.reader.Field().Size) }

// isLong reports whether the value of the row is written in pieces.
func (v *value) isLong(b *event.Batch, row int) bool {
	switch v.op {
	case opArray:
		return v.bytes() >= longValue
	case opString, opBytes, opTrailingText, opColumnText, opColumnBytes:
		return len(v.reader.Bytes(b, row)) >= longValue
	}
	return false
}

// long is a long value whose text is made in pieces. The pieces joined are the text of the value.
type long struct {
	value *value
	bytes []byte // that are not text yet; not for an array
	// For an array:
	rec      []byte
	brackets *brackets
	elem     int // the next element
}

// longOf returns the value of the row. The brackets are those of an array.
func (v *value) longOf(b *event.Batch, row int, br *brackets) long {
	if v.op == opArray {
		return long{value: v, rec: b.Rows[row], brackets: br}
	}
	return long{value: v, bytes: v.reader.Bytes(b, row)}
}

// next appends the next piece to dst, and returns it and whether there is more.
func (l *long) next(dst []byte) ([]byte, bool) {
	switch l.value.op {
	case opArray:
		return l.nextElements(dst)
	case opBytes, opColumnBytes:
		n := min(len(l.bytes), longPiece)
		dst = hex.AppendEncode(dst, l.bytes[:n])
		l.bytes = l.bytes[n:]
	default:
		dst = append(dst, l.nextText()...)
	}
	return dst, len(l.bytes) > 0
}

// nextText returns the next bytes of a text. It does not divide a character.
func (l *long) nextText() []byte {
	n := min(len(l.bytes), longPiece)
	for i := n; i < len(l.bytes) && i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(l.bytes[i]) {
			n = i
			break
		}
	}
	p := l.bytes[:n]
	l.bytes = l.bytes[n:]
	return p
}

func (l *long) nextElements(dst []byte) ([]byte, bool) {
	if l.elem == 0 {
		dst = append(dst, l.brackets.open...)
	}
	n := l.value.number
	n.Off += uint32(l.elem) * n.Size
	for end := min(l.elem+longPiece, l.value.reader.Count()); l.elem < end; l.elem++ {
		if l.elem > 0 {
			dst = append(dst, l.brackets.between...)
		}
		dst = l.value.appendScalar(dst, l.rec, l.value.elem, &n)
		n.Off += n.Size
	}
	if l.elem < l.value.reader.Count() {
		return dst, true
	}
	return append(dst, l.brackets.end...), false
}

// append appends all pieces.
func (l *long) append(dst []byte, s spill) []byte {
	for more := true; more; {
		dst, more = l.next(dst)
		dst = s.long(dst)
	}
	return dst
}

// appendLongRow is appendRow for a long row. It does not use memos: their text would be in memory as a whole.
func (e *jsonEncoder) appendLongRow(dst []byte, b *event.Batch, row int, sp spill) []byte {
	for i := range e.steps {
		s := &e.steps[i]
		dst = append(dst, s.prefix...)
		switch {
		case s.op == opText:
			dst = append(dst, '"')
			dst = append(escapeFrom(s.text(dst, b, row), len(dst)), '"')
		case s.op == opMemo:
			dst = s.memo.enc.appendLongRow(dst, b, row, sp)
		case s.op == opColumnMemo:
			dst = s.columns.enc.appendLongRow(append(dst, s.columns.prefix...), b, row, sp)
		case s.isLong(b, row):
			dst = s.appendLongJSON(dst, b, row, sp)
		default:
			dst = s.appendOther(dst, b, row)
		}
		dst = sp.long(dst)
	}
	return append(dst, e.tail...)
}

// appendLongJSON appends a long value as JSON.
func (v *value) appendLongJSON(dst []byte, b *event.Batch, row int, s spill) []byte {
	l := v.longOf(b, row, &jsonBrackets)
	quoted := v.op != opArray
	if quoted {
		dst = append(dst, '"')
	}
	if v.op == opString || v.op == opTrailingText || v.op == opColumnText {
		for len(l.bytes) > 0 {
			dst = s.long(appendJSON(dst, l.nextText()))
		}
	} else {
		dst = l.append(dst, s)
	}
	if quoted {
		dst = append(dst, '"')
	}
	return dst
}

// appendLongYAML appends a long value as YAML.
func (s *step) appendLongYAML(dst []byte, b *event.Batch, row int, sp spill) []byte {
	l := s.longOf(b, row, &s.brackets)
	var plain bool
	switch s.op {
	case opArray:
		plain = true
	case opBytes, opColumnBytes:
		plain = !isHexNumber(l.bytes)
	default:
		plain = isPlainYAML(l.bytes)
	}
	if plain {
		return l.append(dst, sp)
	}
	dst = append(dst, '"')
	if s.op == opBytes || s.op == opColumnBytes {
		dst = l.append(dst, sp)
	}
	for len(l.bytes) > 0 {
		dst = sp.long(appendYAML(dst, l.nextText()))
	}
	return append(dst, '"')
}

// isHexNumber reports whether YAML takes the hex digits of p for a number: decimal, perhaps with an exponent, or of base 2.
func isHexNumber(p []byte) bool {
	if len(p) > 1 && p[0]>>4 == 0 && p[0]&15 == 0xb {
		return true
	}
	exponent := false
	for i := range 2 * len(p) {
		digit := p[i/2] >> (4 * (1 - i%2)) & 15
		switch {
		case digit < 10:
		case digit == 0xe && i > 0 && !exponent:
			exponent = true
		default:
			return false
		}
	}
	return true
}
