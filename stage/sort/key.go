// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import (
	"github.com/gizmo-ebpf/gizmo/event"
)

// op is how the value of a field becomes a key.
type op uint8

const (
	opUint op = iota // integers of at most 8 bytes, bit fields
	opInt
	opBool
	opUint128
	opInt128
	opFloat
	opRestLen   // number of bytes of trailing data
	opTextInt   // an integer that the field's Text writes
	opTextFloat // any number that the field's Text writes
	opText      // from here on: values of any length
	opString    // char[N]
	opRestString
	opBytes
	opRestBytes
	opElements // an array of numbers
)

// isText reports whether keys are compared byte by byte.
func (o op) isText() bool { return o >= opText }

// words is the number of words that a key takes up.
func (o op) words() int {
	if o.isText() || o == opUint128 || o == opInt128 || o == opTextInt || o == opTextFloat {
		return 2
	}
	return 1
}

// key makes one part of the sort key of a row.
type key struct {
	op    op
	flip  uint64 // all ones if the greatest come first
	field event.Field
	elem  *key // of an array: reads the element that a record begins with
}

func newKey(f *event.Field, descending bool) key {
	k := key{field: *f}
	if descending {
		k.flip = ^uint64(0)
	}
	switch {
	case f.Added || f.Kind == event.Struct:
		k.op = textOp(f)
	case f.Rest:
		k.op = restOp(f.Kind)
	case f.Count > 0:
		k.bindArray()
	default:
		// A field of the record is compared by its bytes also if its Text shows it in another way, as
		// that of a timestamp does: the order is the same.
		k.op = plainOp(f.Kind, f.Size, f.BitSize)
	}
	return k
}

func textOp(f *event.Field) op {
	switch {
	case f.Count > 0:
		return opText
	case f.Kind == event.Uint, f.Kind == event.Int:
		return opTextInt
	case f.Kind == event.Float:
		return opTextFloat
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

// bindArray decides whether the elements of an array are compared one by one.
func (k *key) bindArray() {
	size := k.field.ElemSize()
	switch elem := plainOp(k.field.Kind, size, 0); {
	case elem == opString:
		k.op = opString
	case elem.isText(), size*k.field.Count != k.field.Size:
		k.op = opBytes
	default:
		k.op = opElements
		k.elem = &key{op: elem, field: event.Field{Size: size}}
	}
}

// plainOp is how a value of the record is read. What has no such size is compared as bytes.
func plainOp(k event.Kind, size uint32, bitSize uint8) op {
	small := size >= 1 && size <= 8
	switch {
	case k == event.String:
		return opString
	case k == event.Uint && small:
		return opUint
	case k == event.Int && small:
		return opInt
	case k == event.Bool && small:
		return opBool
	case k == event.Uint && size == 16 && bitSize == 0:
		return opUint128
	case k == event.Int && size == 16 && bitSize == 0:
		return opInt128
	case k == event.Float && (size == 4 || size == 8):
		return opFloat
	}
	return opBytes
}

// append puts the key of a row into t.
func (k *key) append(t *table, b *event.Batch, row int) {
	switch rec := b.Rows[row]; k.op {
	case opTextInt, opTextFloat:
		class, value := k.textNumber(t, b, row)
		t.pushPair(class^k.flip, value^k.flip)
	case opUint128, opInt128:
		high, low := k.wide(rec)
		t.pushPair(high^k.flip, low^k.flip)
	case opText, opString, opRestString, opBytes, opRestBytes, opElements:
		start := len(t.texts)
		t.texts = k.appendText(t.texts, b, row)
		t.pushText(start, k.flip)
	default:
		t.words = append(t.words, k.number(rec)^k.flip)
	}
}

// number returns the order of a value that fits a word.
func (k *key) number(rec []byte) uint64 {
	switch k.op {
	case opInt:
		return orderInt(k.field.Int(rec))
	case opBool:
		return orderBool(k.field.Uint(rec))
	case opFloat:
		return orderFloatBits(k.field.Uint(rec), k.field.Size)
	case opRestLen:
		return uint64(len(rec)) - uint64(k.field.Off)
	}
	return k.field.Uint(rec)
}

// wide returns the order of an integer of 128 bits.
func (k *key) wide(rec []byte) (high, low uint64) {
	low, high = event.LoadUint(rec[k.field.Off:], 8), event.LoadUint(rec[k.field.Off+8:], 8)
	if k.op == opInt128 {
		high = orderInt(int64(high))
	}
	return high, low
}

// textNumber returns the order of the number that the field's Text writes.
func (k *key) textNumber(t *table, b *event.Batch, row int) (class, value uint64) {
	start := len(t.texts)
	t.texts = k.field.Text(t.texts, b, row)
	text := t.texts[start:]
	t.texts = t.texts[:start]
	if k.op == opTextInt {
		return orderIntText(text)
	}
	return orderFloatText(text)
}

// appendText appends bytes that compare as the values do.
func (k *key) appendText(dst []byte, b *event.Batch, row int) []byte {
	f, rec := &k.field, b.Rows[row]
	switch k.op {
	case opText:
		return f.Text(dst, b, row)
	case opString:
		return append(dst, event.CString(rec[f.Off:f.Off+f.Size])...)
	case opRestString:
		return append(dst, event.CString(f.Trailing(rec))...)
	case opRestBytes:
		return append(dst, f.Trailing(rec)...)
	case opElements:
		return k.appendElements(dst, rec)
	}
	return append(dst, rec[f.Off:f.Off+f.Size]...)
}

// appendElements appends the elements of an array, each as words with the highest byte first.
func (k *key) appendElements(dst, rec []byte) []byte {
	rec = rec[k.field.Off:][:k.field.Size]
	for size := int(k.elem.field.Size); len(rec) > 0; rec = rec[size:] {
		if k.elem.op.words() == 1 {
			dst = appendWord(dst, k.elem.number(rec))
			continue
		}
		high, low := k.elem.wide(rec)
		dst = appendWord(appendWord(dst, high), low)
	}
	return dst
}
