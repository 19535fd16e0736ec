// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package sort

import (
	"encoding/binary"
	"math"
	"strconv"
)

// The order functions turn values into words that compare, as unsigned numbers, as the values do.

const signBit = 1 << 63

func orderInt(v int64) uint64 { return uint64(v) ^ signBit }

func orderBool(v uint64) uint64 {
	if v != 0 {
		return 1
	}
	return 0
}

// orderFloatBits is orderFloat for the bits of a float of 4 or 8 bytes.
func orderFloatBits(bits uint64, size uint32) uint64 {
	if size == 4 {
		return orderFloat(float64(math.Float32frombits(uint32(bits))))
	}
	return orderFloat(math.Float64frombits(bits))
}

// orderFloat puts what is no number before all numbers. The two zeros are the same.
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

// The classes of numbers that are given as text: a text that is no number, which an empty one is
// above all, comes before all numbers.
const (
	classNone uint64 = iota
	classNegative
	classPositive
)

// orderIntText reads an integer in base 10. What goes beyond 64 bits counts as the greatest such
// number.
func orderIntText(text []byte) (class, value uint64) {
	class = classPositive
	if len(text) > 0 && text[0] == '-' {
		class, text = classNegative, text[1:]
	}
	if len(text) == 0 {
		return classNone, 0
	}
	for _, c := range text {
		digit := uint64(c - '0')
		if digit > 9 {
			return classNone, 0
		}
		if value > (math.MaxUint64-digit)/10 {
			value = math.MaxUint64
			continue // the rest may still turn out to be no digits
		}
		value = value*10 + digit
	}
	switch {
	case class == classPositive:
		return class, value
	case value == 0:
		return classPositive, 0
	}
	return class, ^value
}

// orderFloatText reads a number in any form.
func orderFloatText(text []byte) (class, value uint64) {
	if !looksNumeric(text) { // asked first because errors of strconv are allocated
		return classNone, 0
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil && !math.IsInf(v, 0) || v != v {
		return classNone, 0
	}
	return classPositive, orderFloat(v)
}

func looksNumeric(text []byte) bool {
	switch string(text) {
	case "+Inf", "-Inf", "Inf":
		return true
	}
	digits := 0
	for _, c := range text {
		switch {
		case c-'0' <= 9:
			digits++
		case c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E':
			return false
		}
	}
	return digits > 0
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
