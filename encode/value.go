// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"

	"github.com/gizmo-ebpf/gizmo/event"
)

// op is how a value is read.
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
	opFloat32
	opFloat64
	opBool       // of one byte
	opOddBool    // of another size, or a bit field
	opRestLen    // number of bytes of trailing data
	opText       // from the field's Text: any text
	opTextNumber // from the field's Text: a number
	opTextBool   // from the field's Text: true or false
	opString     // char[N]
	opRestString // trailing data that is text
	opBytes
	opRestBytes
	opArray // of numbers or booleans
	opMemo  // of json: values that may be the same as before
)

// isScalar reports whether the value is a number or boolean that the record itself holds.
func (o op) isScalar() bool { return o <= opRestLen }

// value reads one field of a record.
type value struct {
	op      op
	elem    op // of an array
	bitOff  uint8
	bitSize uint8
	plain   bool // the text needs no look
	off     uint32
	size    uint32 // in bytes, of an array's element
	count   uint32 // of an array
	text    event.TextFunc
	rest    *event.Field // of trailing data
	reads   event.Span   // what it follows from; none if there is more to it
	memo    *jsonMemo
	words   *nonFinite

	// For columns only.
	hex       bool // integers in base 16
	precision *int // digits after the point; nil: as many as it takes
}

// bindValue decides how the field i of s is read. It is the only place that compares a field with
// the size of the record: later loads rely on it.
func bindValue(s *event.Schema, i int, words *nonFinite) (value, error) {
	f := &s.Fields[i]
	v := value{off: f.Off, size: f.Size, bitOff: f.BitOff, bitSize: f.BitSize, text: f.Text, words: words}
	switch {
	case f.Text != nil:
		v.op, v.plain = textOp(f), f.Plain
		if uint64(f.Reads.Off)+uint64(f.Reads.Size) <= uint64(s.Size) {
			v.reads = f.Reads
		}
		return v, nil
	case f.Added || f.Kind == event.Struct:
		return v, fmt.Errorf("field %q has no value that can be written", f.Name)
	case uint64(f.Off)+uint64(f.Size) > uint64(s.Size):
		return v, fmt.Errorf("field %q ends at byte %d of a record of %d bytes", f.Name, uint64(f.Off)+uint64(f.Size), s.Size)
	case f.Rest:
		v.op, v.rest = restOp(f.Kind), f
		return v, nil
	}
	v.reads = event.Span{Off: f.Off, Size: f.Size}
	if f.Count > 0 && isElement(f) {
		v.op, v.size, v.count = opArray, f.ElemSize(), f.Count
		v.elem = plainOp(f.Kind, v.size, 0)
		return v, nil
	}
	v.op = plainOp(f.Kind, f.Size, f.BitSize)
	return v, nil
}

// textOp is the shape of a value that the field's Text writes. An array's text is one string.
func textOp(f *event.Field) op {
	switch {
	case f.Count > 0:
		return opText
	case f.Kind == event.Uint, f.Kind == event.Int, f.Kind == event.Float:
		return opTextNumber
	case f.Kind == event.Bool:
		return opTextBool
	}
	return opText
}

func restOp(k event.Kind) op {
	switch k {
	case event.Uint, event.Int:
		return opRestLen
	case event.String:
		return opRestString
	}
	return opRestBytes
}

// isElement reports whether the elements of the array f are numbers or booleans of a known size.
func isElement(f *event.Field) bool {
	size := f.ElemSize()
	return size > 0 && size*f.Count == f.Size && plainOp(f.Kind, size, 0).isScalar()
}

// plainOp is how a value of the record itself is read. What has no such size is shown as bytes.
func plainOp(k event.Kind, size uint32, bitSize uint8) op {
	switch k {
	case event.Uint:
		return intOp(size, bitSize, [...]op{opUint8, opUint16, opUint32, opUint64, opUint128, opOddUint})
	case event.Int:
		return intOp(size, bitSize, [...]op{opOddInt, opOddInt, opInt32, opInt64, opInt128, opOddInt})
	case event.Bool:
		switch {
		case size == 1 && bitSize == 0:
			return opBool
		case size >= 1 && size <= 8:
			return opOddBool
		}
	case event.Float:
		switch size {
		case 4:
			return opFloat32
		case 8:
			return opFloat64
		}
	case event.String:
		return opString
	}
	return opBytes
}

// intOp picks from ops: for 1, 2, 4, 8 and 16 bytes, and for other sizes and bit fields.
func intOp(size uint32, bitSize uint8, ops [6]op) op {
	if bitSize > 0 {
		if size >= 1 && size <= 8 {
			return ops[5]
		}
		return opBytes
	}
	switch size {
	case 1:
		return ops[0]
	case 2:
		return ops[1]
	case 4:
		return ops[2]
	case 8:
		return ops[3]
	case 16:
		return ops[4]
	case 3, 5, 6, 7:
		return ops[5]
	}
	return opBytes
}

// appendScalar appends a number or boolean of the record; of an array, the element of kind o at off.
func (v *value) appendScalar(dst, rec []byte, o op, off uint32) []byte {
	if v.hex && o < opFloat32 {
		return v.appendBase16(dst, rec, o, off)
	}
	switch o {
	case opUint8, opUint16, opUint32, opUint64, opOddUint:
		return appendUint(dst, v.bits(rec, off))
	case opInt32, opInt64, opOddInt:
		return appendInt(dst, v.signed(rec, off))
	case opUint128:
		return appendUint128(dst, binary.LittleEndian.Uint64(rec[off+8:]), binary.LittleEndian.Uint64(rec[off:]))
	case opInt128:
		return appendInt128(dst, binary.LittleEndian.Uint64(rec[off+8:]), binary.LittleEndian.Uint64(rec[off:]))
	case opFloat32, opFloat64:
		f, size := v.float(rec, o, off)
		return appendFloat(dst, f, size, v.precision, v.words)
	case opBool, opOddBool:
		return appendBool(dst, v.bits(rec, off) != 0)
	case opRestLen:
		return appendUint(dst, uint64(len(v.rest.Trailing(rec))))
	}
	return dst
}

// appendBase16 appends the bits of an integer.
func (v *value) appendBase16(dst, rec []byte, o op, off uint32) []byte {
	dst = append(dst, "0x"...)
	if o != opUint128 && o != opInt128 {
		return strconv.AppendUint(dst, v.bits(rec, off), 16)
	}
	low, high := binary.LittleEndian.Uint64(rec[off:]), binary.LittleEndian.Uint64(rec[off+8:])
	if high == 0 {
		return strconv.AppendUint(dst, low, 16)
	}
	dst = strconv.AppendUint(dst, high, 16)
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, hexDigits[low>>shift&15])
	}
	return dst
}

// bits loads an integer of at most 8 bytes, or a bit field.
func (v *value) bits(rec []byte, off uint32) uint64 {
	x := event.LoadUint(rec[off:], v.size)
	if v.bitSize > 0 {
		x = x >> v.bitOff & (1<<v.bitSize - 1)
	}
	return x
}

// signed is bits for two's complement.
func (v *value) signed(rec []byte, off uint32) int64 {
	width := uint(v.bitSize)
	if width == 0 {
		width = uint(v.size) * 8
	}
	shift := 64 - width
	return int64(v.bits(rec, off)<<shift) >> shift
}

// float loads a float and returns its size in bits as well.
func (v *value) float(rec []byte, o op, off uint32) (float64, int) {
	if o == opFloat32 {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(rec[off:]))), 32
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(rec[off:])), 64
}

var boolNames = [...]string{"false", "true"}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, boolNames[1]...)
	}
	return append(dst, boolNames[0]...)
}

// brackets stand around and between the elements of an array.
type brackets struct{ open, between, end string }

// appendArray appends the elements of an array.
func (v *value) appendArray(dst, rec []byte, br *brackets) []byte {
	dst = append(dst, br.open...)
	off := v.off
	for i := range v.count {
		if i > 0 {
			dst = append(dst, br.between...)
		}
		dst = v.appendScalar(dst, rec, v.elem, off)
		off += v.size
	}
	return append(dst, br.end...)
}

// data returns the bytes of a value that is text or bytes of the record; of text, up to its end.
func (v *value) data(rec []byte) []byte {
	switch v.op {
	case opString:
		return event.CString(rec[v.off : v.off+v.size])
	case opRestString:
		return event.CString(v.rest.Trailing(rec))
	case opBytes:
		return rec[v.off : v.off+v.size]
	case opRestBytes:
		return v.rest.Trailing(rec)
	}
	return nil
}

// appendText appends a value that is text, as it is.
func (v *value) appendText(dst []byte, b *event.Batch, row int) []byte {
	if v.op == opText {
		return v.text(dst, b, row)
	}
	return append(dst, v.data(b.Rows[row])...)
}

// appendToken appends the number or boolean that the field's Text writes. What is none becomes null:
// a value that has no text, above all.
func (v *value) appendToken(dst []byte, b *event.Batch, row int) []byte {
	start := len(dst)
	dst = v.text(dst, b, row)
	token := dst[start:]
	switch {
	case v.op == opTextBool && (string(token) == "true" || string(token) == "false"):
	case v.op == opTextNumber && isNumber(token):
	default:
		dst = append(dst[:start], "null"...)
	}
	return dst
}

// appendHex appends a value that is bytes.
func (v *value) appendHex(dst, rec []byte) []byte {
	return hex.AppendEncode(dst, v.data(rec))
}
