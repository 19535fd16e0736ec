// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"github.com/gizmo-ebpf/gizmo/event"
)

// op is how a value is written.
type op uint8

const (
	opUint8 op = iota
	opUint16
	opUint32
	opUint64
	opInt32
	opInt64
	opOddUint // of another size, or a bit field
	opOddInt
	opUint128
	opInt128
	opFloat
	opBool         // of one byte
	opOddBool      // of another size, or a bit field
	opText         // from the field's Text: any text
	opTextNumber   // from the field's Text: a number
	opTextBool     // from the field's Text: true or false
	opString       // char[N]
	opBytes        // of the record, or the trailing data
	opTrailingText // the trailing data, if it is text
	opArray        // of numbers or booleans
	opColumnText   // of a column's table
	opColumnBytes  // of a column's table
	opColumnNumber // of a column's table; or a boolean
	opMemo         // of json: values that may be the same as before
	opColumnMemo   // json only: values that follow from one column
)

// isScalar reports whether the value is a number or boolean that the record itself holds.
func (o op) isScalar() bool { return o <= opOddBool }

// value writes one field of a record.
type value struct {
	op      op
	elem    op   // of an array
	plain   bool // the text needs no check
	off     uint32
	size    uint32       // in bytes, of an array's element
	number  event.Number // of the record; of an array, its first element
	reader  *event.Reader
	text    event.TextFunc
	reads   event.Span // the bytes that it depends on; none if it depends on other things as well
	memo    *jsonMemo
	columns *columnMemo
	words   *nonFinite

	// For columns only.
	hex       bool // integers in base 16
	precision *int // digits after the decimal point; nil: as many as needed
}

// bindValue decides how the field i of s is written.
func bindValue(s *event.Schema, i int, words *nonFinite) (value, error) {
	reader, err := s.Reader(i)
	if err != nil {
		return value{}, err
	}
	v := value{reader: &reader, number: *reader.Number(), words: words}
	switch f := reader.Field(); reader.Origin() {
	case event.FromText:
		v.op, v.plain, v.text = textOp(reader.Form()), f.Plain, f.Text
		if uint64(f.Reads.Off)+uint64(f.Reads.Size) <= uint64(s.Size) {
			v.reads = f.Reads
		}
	case event.FromColumn:
		v.op = columnOp(reader.Form())
	case event.FromTrailing:
		v.op = trailingOp(reader.Form())
	default:
		v.bindRecord(f)
	}
	return v, nil
}

// bindRecord decides how a value of the record is written.
func (v *value) bindRecord(f *event.Field) {
	v.off, v.size, v.reads = f.Off, f.Size, event.Span{Off: f.Off, Size: f.Size}
	switch form := v.reader.Form(); form {
	case event.FormArray:
		v.op, v.size = opArray, v.number.Size
		v.elem = scalarOp(&v.number)
	case event.FormText:
		v.op = opString
	case event.FormBytes:
		v.op = opBytes
	default:
		v.op = scalarOp(&v.number)
	}
}

// textOp is how the text of a field is written.
func textOp(form event.Form) op {
	switch {
	case form == event.FormBool:
		return opTextBool
	case form.IsNumber():
		return opTextNumber
	}
	return opText
}

// columnOp is how a value of a column's table is written.
func columnOp(form event.Form) op {
	switch {
	case form == event.FormBytes:
		return opColumnBytes
	case form.IsNumber():
		return opColumnNumber
	}
	return opColumnText
}

// trailingOp is how trailing data is written.
func trailingOp(form event.Form) op {
	if form == event.FormText {
		return opTrailingText
	}
	return opBytes
}

// scalarOp is how a number or boolean of the record is written.
func scalarOp(n *event.Number) op {
	switch n.Form {
	case event.FormUint:
		return sizedOp(n, [...]op{opUint8, opUint16, opUint32, opUint64, opOddUint})
	case event.FormInt:
		return sizedOp(n, [...]op{opOddInt, opOddInt, opInt32, opInt64, opOddInt})
	case event.FormBool:
		return sizedOp(n, [...]op{opBool, opOddBool, opOddBool, opOddBool, opOddBool})
	case event.FormUint128:
		return opUint128
	case event.FormInt128:
		return opInt128
	}
	return opFloat
}

// sizedOp picks from ops: for 1, 2, 4 and 8 bytes, and for other sizes and bit fields.
func sizedOp(n *event.Number, ops [5]op) op {
	if n.BitSize > 0 {
		return ops[4]
	}
	switch n.Size {
	case 1:
		return ops[0]
	case 2:
		return ops[1]
	case 4:
		return ops[2]
	case 8:
		return ops[3]
	}
	return ops[4]
}

// appendScalar appends a number or boolean of the record; of an array, an element of the kind o.
func (v *value) appendScalar(dst, rec []byte, o op, n *event.Number) []byte {
	if v.hex && o < opFloat {
		return appendBase16(dst, rec, n)
	}
	switch o {
	case opUint8, opUint16, opUint32, opUint64, opOddUint:
		return appendUint(dst, n.Uint(rec))
	case opInt32, opInt64, opOddInt:
		return appendInt(dst, n.Int(rec))
	case opUint128:
		high, low := n.Wide(rec)
		return appendUint128(dst, high, low)
	case opInt128:
		high, low := n.Wide(rec)
		return appendInt128(dst, high, low)
	case opFloat:
		return appendFloat(dst, n.Float(rec), int(n.Size)*8, v.precision, v.words)
	case opBool, opOddBool:
		return appendBool(dst, n.Uint(rec) != 0)
	}
	return dst
}

// appendBase16 appends the bits of an integer.
func appendBase16(dst, rec []byte, n *event.Number) []byte {
	dst = append(dst, "0x"...)
	if n.Size <= 8 {
		return strconv.AppendUint(dst, n.Uint(rec), 16)
	}
	low, high := binary.LittleEndian.Uint64(rec[n.Off:]), binary.LittleEndian.Uint64(rec[n.Off+8:])
	if high == 0 {
		return strconv.AppendUint(dst, low, 16)
	}
	dst = strconv.AppendUint(dst, high, 16)
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, hexDigits[low>>shift&15])
	}
	return dst
}

var boolNames = [...]string{"false", "true"}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, boolNames[1]...)
	}
	return append(dst, boolNames[0]...)
}

// brackets are the text around and between the elements of an array.
type brackets struct{ open, between, end string }

// appendArray appends the elements of an array.
func (v *value) appendArray(dst, rec []byte, br *brackets) []byte {
	dst = append(dst, br.open...)
	n := v.number
	for i := range v.reader.Count() {
		if i > 0 {
			dst = append(dst, br.between...)
		}
		dst = v.appendScalar(dst, rec, v.elem, &n)
		n.Off += n.Size
	}
	return append(dst, br.end...)
}

// appendText appends a value that is text, without escapes.
func (v *value) appendText(dst []byte, b *event.Batch, row int) []byte {
	if v.op == opText {
		return v.text(dst, b, row)
	}
	return append(dst, v.reader.Bytes(b, row)...)
}

// appendColumnNumber appends a number or boolean that a column's table holds, if there is one for the row.
func (v *value) appendColumnNumber(dst []byte, b *event.Batch, row int) []byte {
	if v.reader.Form() != event.FormFloat {
		return v.reader.Append(dst, b, row)
	}
	f, ok := v.reader.Float(b, row)
	if !ok {
		return dst
	}
	return appendFloat(dst, f, 64, v.precision, v.words)
}

// appendToken appends a number or boolean that is not a part of the record: the output of the field's Text, or a value
// of a column's table. If there is no value, or the text is not a number, it appends null.
func (v *value) appendToken(dst []byte, b *event.Batch, row int) []byte {
	start := len(dst)
	switch v.op {
	case opColumnNumber:
		if dst = v.appendColumnNumber(dst, b, row); len(dst) > start {
			return dst
		}
	case opTextNumber:
		if dst = v.text(dst, b, row); isNumber(dst[start:]) {
			return dst
		}
	default:
		dst = v.text(dst, b, row)
		if token := dst[start:]; string(token) == "true" || string(token) == "false" {
			return dst
		}
	}
	return append(dst[:start], "null"...)
}

// appendHex appends a value that is bytes.
func (v *value) appendHex(dst []byte, b *event.Batch, row int) []byte {
	return hex.AppendEncode(dst, v.reader.Bytes(b, row))
}
