// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package event

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"
	"strconv"
)

// Number locates a number or boolean within a record. Its methods do not check the length of the
// record: a [Reader] made sure that the number is within the schema's size.
type Number struct {
	Form Form
	// Off and Size are in bytes.
	Off, Size uint32
	// BitOff and BitSize locate a bit field within these bytes; BitSize 0: not a bit field.
	BitOff, BitSize uint8
}

// Bits returns the number of bits that the number has.
func (n *Number) Bits() uint {
	if n.BitSize > 0 {
		return uint(n.BitSize)
	}
	return uint(n.Size) * 8
}

// Uint returns the number's bits without a sign, the lowest 64 of them. For a boolean it is 0 or 1.
func (n *Number) Uint(rec []byte) uint64 {
	v := LoadUint(rec[n.Off:], n.Size)
	if n.BitSize > 0 {
		v = v >> n.BitOff & (1<<n.BitSize - 1)
	}
	if n.Form == FormBool && v != 0 {
		return 1
	}
	return v
}

// Int is Uint with the sign of a number in two's complement.
func (n *Number) Int(rec []byte) int64 {
	shift := 64 - min(n.Bits(), 64)
	return int64(n.Uint(rec)<<shift) >> shift
}

// Wide returns a whole number in 128 bits, in two's complement if it is signed.
func (n *Number) Wide(rec []byte) (high, low uint64) {
	switch n.Form {
	case FormUint128, FormInt128:
		return LoadUint(rec[n.Off+8:], 8), LoadUint(rec[n.Off:], 8)
	case FormInt:
		v := n.Int(rec)
		return uint64(v >> 63), uint64(v)
	}
	return 0, n.Uint(rec)
}

// Float returns a number as a float. Whole numbers beyond 53 bits lose their last digits.
func (n *Number) Float(rec []byte) float64 {
	switch n.Form {
	case FormFloat:
		if n.Size == 4 {
			return float64(math.Float32frombits(binary.LittleEndian.Uint32(rec[n.Off:])))
		}
		return math.Float64frombits(binary.LittleEndian.Uint64(rec[n.Off:]))
	case FormInt:
		return float64(n.Int(rec))
	case FormUint128, FormInt128:
		high, low := n.Wide(rec)
		return wideFloat(high, low, n.Form == FormInt128)
	}
	return float64(n.Uint(rec))
}

// wideFloat returns a number of 128 bits as a float.
func wideFloat(high, low uint64, signed bool) float64 {
	sign := 1.0
	if signed && int64(high) < 0 {
		var borrow uint64
		low, borrow = bits.Sub64(0, low, 0)
		high, _ = bits.Sub64(0, high, borrow)
		sign = -1
	}
	return sign * (float64(high)*(1<<64) + float64(low))
}

// Append appends the number in base 10, a float in the shortest form that reads back as the same, a
// boolean as true or false.
func (n *Number) Append(dst, rec []byte) []byte {
	switch n.Form {
	case FormInt:
		return strconv.AppendInt(dst, n.Int(rec), 10)
	case FormBool:
		return strconv.AppendBool(dst, n.Uint(rec) != 0)
	case FormFloat:
		return appendFloat(dst, n.Float(rec), int(n.Size)*8)
	case FormUint128, FormInt128:
		high, low := n.Wide(rec)
		return appendWide(dst, high, low, n.Form == FormInt128)
	}
	return strconv.AppendUint(dst, n.Uint(rec), 10)
}

// appendFloat appends the shortest text that reads back as x, with an exponent where it would have
// many zeros.
func appendFloat(dst []byte, x float64, bitSize int) []byte {
	form := byte('f')
	if a := math.Abs(x); a != 0 && (a < 1e-6 || a >= 1e21) {
		form = 'e'
	}
	return strconv.AppendFloat(dst, x, form, -1, bitSize)
}

// appendWide appends a number of 128 bits. It is not optimized, because such numbers are rare.
func appendWide(dst []byte, high, low uint64, signed bool) []byte {
	n := new(big.Int).SetUint64(high)
	if signed {
		n.SetInt64(int64(high))
	}
	n.Lsh(n, 64)
	return n.Add(n, new(big.Int).SetUint64(low)).Append(dst, 10)
}
