// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import (
	"math"
	"math/bits"

	"github.com/gizmo-ebpf/gizmo/event"
)

// key makes one part of the sort key of a row.
type key struct {
	reader event.Reader
	flip   uint64 // all ones if the greatest come first
	op     op
}

// op is how a value becomes words of a key.
type op uint8

const (
	opWord  op = iota // a number of the record that fits a word
	opWide            // a number of 128 bits
	opFound           // a number that may be absent: from a Text or a column
	opText            // text or bytes
	opArray           // numbers, one after the other
)

// newKey prepares the key for the field with the given index. A field of the record is compared by its bytes even
// if its Text shows it in another way, as the Text of a timestamp does: the order is the same.
func newKey(s *event.Schema, i int, descending bool) (key, error) {
	reader, err := s.RecordReader(i)
	k := key{reader: reader}
	if descending {
		k.flip = ^uint64(0)
	}
	switch form := reader.Form(); {
	case form == event.FormArray:
		k.op = opArray
	case !form.IsNumber():
		k.op = opText
	case reader.Origin() != event.FromRecord:
		k.op = opFound
	case form == event.FormUint128 || form == event.FormInt128:
		k.op = opWide
	}
	return k, err
}

// isText reports whether keys are compared byte by byte.
func (k *key) isText() bool { return k.op >= opText }

// words is the number of words that a key takes up.
func (k *key) words() int {
	if k.op == opWord {
		return 1
	}
	return 2
}

// append adds the key of a row to t.
func (k *key) append(t *table, b *event.Batch, row int) {
	switch k.op {
	case opWord:
		t.words = append(t.words, orderNumber(k.reader.Number(), b.Rows[row])^k.flip)
	case opWide:
		high, low := orderWide(k.reader.Number(), b.Rows[row])
		t.pushPair(high^k.flip, low^k.flip)
	case opFound:
		class, value := k.found(b, row)
		t.pushPair(class^k.flip, value^k.flip)
	case opText:
		start := len(t.texts)
		t.texts = append(t.texts, k.reader.Bytes(b, row)...)
		t.pushText(start, k.flip)
	case opArray:
		start := len(t.texts)
		t.texts = k.appendElements(t.texts, b.Rows[row])
		t.pushText(start, k.flip)
	}
}

// The classes of numbers that may be absent. An absent number comes before all numbers.
const (
	classNone uint64 = iota
	classNegative
	classPositive
)

// found returns the order of a number that may be absent. A whole number beyond 64 bits counts as the greatest or
// the least such number.
func (k *key) found(b *event.Batch, row int) (class, value uint64) {
	switch k.reader.Form() {
	case event.FormFloat:
		v, ok := k.reader.Float(b, row)
		if !ok {
			return classNone, 0
		}
		return classPositive, orderFloat(v)
	case event.FormBool:
		v, ok := k.reader.Uint(b, row)
		if !ok {
			return classNone, 0
		}
		return classPositive, v
	}
	high, low, ok := k.reader.Wide(b, row)
	switch {
	case !ok:
		return classNone, 0
	case int64(high) < 0:
		size, borrow := bits.Sub64(0, low, 0)
		if above, _ := bits.Sub64(0, high, borrow); above > 0 {
			size = math.MaxUint64
		}
		return classNegative, ^size
	case high > 0:
		low = math.MaxUint64
	}
	return classPositive, low
}

// appendElements appends the elements of an array, each as words with the highest byte first.
func (k *key) appendElements(dst, rec []byte) []byte {
	n := *k.reader.Number()
	for range k.reader.Count() {
		if n.Size <= 8 {
			dst = appendWord(dst, orderNumber(&n, rec))
		} else {
			high, low := orderWide(&n, rec)
			dst = appendWord(appendWord(dst, high), low)
		}
		n.Off += n.Size
	}
	return dst
}
