// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package event

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
)

// Origin is where a [Reader] finds a value.
type Origin uint8

// The origins.
const (
	FromRecord   Origin = iota // the record's struct
	FromTrailing               // the bytes of a record after its struct
	FromText                   // the field's Text
	FromColumn                 // a column and its table
)

// Reader reads the values of one field. It is made once, before the first event; reading then needs no
// look-up and allocates nothing, unless a method says so. Only one goroutine may use it.
type Reader struct {
	field   Field // a copy: the schema's list may move when it grows
	form    Form
	origin  Origin
	number  Number // of the record: the number itself, or an array's first element
	count   uint32 // of an array
	column  Column
	scratch []byte
}

// Reader returns a reader of the field with the given index. It returns an error for a struct without its
// own text, which has no value, and for a field that is not within the schema's size.
func (s *Schema) Reader(i int) (Reader, error) {
	f := &s.Fields[i]
	if f.Text != nil {
		return Reader{field: *f, form: textForm(f), origin: FromText}, nil
	}
	return s.RecordReader(i)
}

// RecordReader is like [Schema.Reader], but always reads the value in the record, even if the field's Text
// shows it in another way.
func (s *Schema) RecordReader(i int) (Reader, error) {
	f := &s.Fields[i]
	r := Reader{field: *f}
	if column, ok := f.Column(); ok {
		r.form, r.origin, r.column = formOfKind(f.Kind), FromColumn, column
		return r, nil
	}
	if f.Added || f.Kind == Struct {
		if f.Text != nil {
			return s.Reader(i)
		}
		return r, fmt.Errorf("field %q has no value of its own", f.Name)
	}
	if end := f.end(); end > uint64(s.Size) {
		return r, fmt.Errorf("field %q ends at byte %d of a record of %d bytes", f.Name, end, s.Size)
	}
	if f.Rest {
		r.form, r.origin = formOfKind(f.Kind), FromTrailing
		return r, nil
	}
	r.number = Number{Off: f.Off, Size: f.Size, BitOff: f.BitOff, BitSize: f.BitSize}
	r.form = formOf(f.Kind, f.Size, f.BitSize)
	if f.Count > 0 {
		r.bindArray()
	}
	r.number.Form = r.form
	if r.form == FormArray {
		r.number.Form = formOf(f.Kind, r.number.Size, 0)
	}
	return r, nil
}

// ReaderOf is like [Schema.Reader], for the field of that name.
func (s *Schema) ReaderOf(name string) (Reader, error) {
	i, ok := s.Lookup(name)
	if !ok {
		return Reader{}, fmt.Errorf("data source %q has no field %q", s.Name, name)
	}
	return s.Reader(i)
}

// end returns where the bytes that the field is read from end in the record's struct.
func (f *Field) end() uint64 {
	return max(uint64(f.Off)+uint64(f.Size), uint64(f.LenOff)+uint64(f.LenSize))
}

// textForm is the form of what a field's Text writes. An array's text is one string.
func textForm(f *Field) Form {
	if f.Count > 0 || f.Kind == Bytes {
		return FormText
	}
	return formOfKind(f.Kind)
}

// bindArray reads the elements of an array one by one if they are numbers of a known size.
func (r *Reader) bindArray() {
	f := &r.field
	size := f.ElemSize()
	form := formOf(f.Kind, size, 0)
	if size*f.Count == f.Size && form.IsNumber() {
		r.form, r.number.Size, r.count = FormArray, size, f.Count
		return
	}
	if form != FormText {
		r.form = FormBytes
	}
}

// Field returns the field, as it was when the reader was made.
func (r *Reader) Field() *Field { return &r.field }

// Form returns the form of the values.
func (r *Reader) Form() Form { return r.form }

// Origin returns where the values come from.
func (r *Reader) Origin() Origin { return r.origin }

// Number returns where the number is in the record, if the record is its origin; for an array, the place
// of the first element.
func (r *Reader) Number() *Number { return &r.number }

// Count returns the number of an array's elements.
func (r *Reader) Count() int { return int(r.count) }

// Column returns the column and the table that the values come from, if their origin is a column.
func (r *Reader) Column() (Column, Table) { return r.column, r.field.Table }

// Uint returns a whole number or boolean of at most 64 bits. It returns false if there is no such value:
// a stage found nothing about the row, or the field's text is not a number.
func (r *Reader) Uint(b *Batch, row int) (uint64, bool) {
	switch r.origin {
	case FromRecord:
		return r.number.Uint(b.Rows[row]), true
	case FromColumn:
		h := r.column.At(b, row)
		if h == 0 {
			return 0, false
		}
		return r.field.Table.Bits(h), true
	}
	if r.form == FormBool {
		return r.boolText(b, row)
	}
	high, low, ok := r.Wide(b, row)
	return low, ok && high == 0
}

// Int is Uint for signed numbers.
func (r *Reader) Int(b *Batch, row int) (int64, bool) {
	switch r.origin {
	case FromRecord:
		return r.number.Int(b.Rows[row]), true
	case FromColumn:
		v, ok := r.Uint(b, row)
		return int64(v), ok
	}
	high, low, ok := r.Wide(b, row)
	return int64(low), ok && high == uint64(int64(low)>>63)
}

// Wide returns a whole number in 128 bits, in two's complement if it is signed.
func (r *Reader) Wide(b *Batch, row int) (high, low uint64, ok bool) {
	switch r.origin {
	case FromRecord:
		high, low = r.number.Wide(b.Rows[row])
		return high, low, true
	case FromColumn:
		v, ok := r.Uint(b, row)
		if r.form == FormInt {
			high = uint64(int64(v) >> 63)
		}
		return high, v, ok
	}
	return parseWide(r.Bytes(b, row))
}

// Float returns a number. It returns false as Uint does.
func (r *Reader) Float(b *Batch, row int) (float64, bool) {
	switch {
	case r.origin == FromRecord:
		return r.number.Float(b.Rows[row]), true
	case r.origin == FromColumn:
		v, ok := r.Uint(b, row)
		switch r.form {
		case FormFloat:
			return math.Float64frombits(v), ok
		case FormInt:
			return float64(int64(v)), ok
		}
		return float64(v), ok
	}
	return parseFloat(r.Bytes(b, row))
}

func (r *Reader) boolText(b *Batch, row int) (uint64, bool) {
	switch string(r.Bytes(b, row)) {
	case "true":
		return 1, true
	case "false":
		return 0, true
	}
	return 0, false
}

// Bytes returns the value of a field that is text or bytes: a char[N] up to its NUL byte, the trailing
// data, the bytes of the field, or the output of its Text. The result is valid until the next call, and only as
// long as the batch is. For any other value it returns the text, as Append does.
func (r *Reader) Bytes(b *Batch, row int) []byte {
	switch r.origin {
	case FromTrailing:
		return r.field.Trailing(b.Rows[row])
	case FromText:
		r.scratch = r.field.Text(r.scratch[:0], b, row)
		return r.scratch
	case FromRecord:
		switch f := &r.field; r.form {
		case FormText:
			return CString(b.Rows[row][f.Off : f.Off+f.Size])
		case FormBytes:
			return b.Rows[row][f.Off : f.Off+f.Size]
		}
	case FromColumn:
		if !r.form.IsNumber() {
			return r.tableBytes(b, row)
		}
	}
	r.scratch = r.Append(r.scratch[:0], b, row)
	return r.scratch
}

func (r *Reader) tableBytes(b *Batch, row int) []byte {
	h := r.column.At(b, row)
	if h == 0 {
		return nil
	}
	return r.field.Table.Bytes(h)
}

// Append appends the value in human-readable form: text unchanged, bytes as hex digits, numbers in base 10, true and false,
// arrays as [1,2]. If there is no value it appends nothing. The text may hold any bytes: do not write it to a
// terminal without escaping it.
func (r *Reader) Append(dst []byte, b *Batch, row int) []byte {
	switch {
	case r.origin == FromText:
		return r.field.Text(dst, b, row)
	case r.form == FormText:
		return append(dst, r.Bytes(b, row)...)
	case r.form == FormBytes:
		return hex.AppendEncode(dst, r.Bytes(b, row))
	case r.origin == FromColumn:
		return r.appendBits(dst, b, row)
	case r.form == FormArray:
		return r.appendArray(dst, b.Rows[row])
	}
	return r.number.Append(dst, b.Rows[row])
}

// String returns the text that Append appends. It allocates.
func (r *Reader) String(b *Batch, row int) string { return string(r.Append(nil, b, row)) }

// appendBits appends a number that a column's table holds.
func (r *Reader) appendBits(dst []byte, b *Batch, row int) []byte {
	v, ok := r.Uint(b, row)
	if !ok {
		return dst
	}
	switch r.form {
	case FormInt:
		return strconv.AppendInt(dst, int64(v), 10)
	case FormBool:
		return strconv.AppendBool(dst, v != 0)
	case FormFloat:
		return appendFloat(dst, math.Float64frombits(v), 64)
	}
	return strconv.AppendUint(dst, v, 10)
}

func (r *Reader) appendArray(dst, rec []byte) []byte {
	dst = append(dst, '[')
	n := r.number
	for i := range r.count {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = n.Append(dst, rec)
		n.Off += n.Size
	}
	return append(dst, ']')
}
