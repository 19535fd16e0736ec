// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import (
	"encoding/binary"
	"math"

	"github.com/gizmo-ebpf/gizmo/event"
)

// The order functions turn values into words that compare, as unsigned numbers, as the values do.

const signBit = 1 << 63

func orderInt(v int64) uint64 { return uint64(v) ^ signBit }

// orderNumber returns the order of a number or boolean that fits a word.
func orderNumber(n *event.Number, rec []byte) uint64 {
	switch n.Form {
	case event.FormInt:
		return orderInt(n.Int(rec))
	case event.FormFloat:
		return orderFloat(n.Float(rec))
	}
	return n.Uint(rec)
}

// orderWide returns the order of a number of 128 bits.
func orderWide(n *event.Number, rec []byte) (high, low uint64) {
	high, low = n.Wide(rec)
	if n.Form == event.FormInt128 {
		high = orderInt(int64(high))
	}
	return high, low
}

// orderFloat returns the order of a float: NaN comes before all numbers, and the two zeros are the same.
func orderFloat(v float64) uint64 {
	switch bits := math.Float64bits(v); {
	case v != v:
		return 0
	case v == 0:
		return signBit
	case bits&signBit != 0:
		return ^bits
	default:
		return bits | signBit
	}
}

func appendWord(dst []byte, w uint64) []byte { return binary.BigEndian.AppendUint64(dst, w) }

// prefix returns the first 8 bytes of text as a word.
func prefix(text []byte) uint64 {
	if len(text) >= 8 {
		return binary.BigEndian.Uint64(text)
	}
	var w uint64
	for i, c := range text {
		w |= uint64(c) << (56 - 8*i)
	}
	return w
}
