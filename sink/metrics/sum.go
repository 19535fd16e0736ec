// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"
)

// Value is a number: a float, or a whole number of 128 bits in two's complement, which no sum of 64-bit numbers leaves.
type Value struct {
	high uint64 // of a float: 0
	low  uint64 // of a float: its bits
}

// add adds a whole number of 128 bits.
func (v *Value) add(high, low uint64) {
	var carry uint64
	v.low, carry = bits.Add64(v.low, low, 0)
	v.high, _ = bits.Add64(v.high, high, carry)
}

// minus returns the difference of two values of an instrument.
func (v Value) minus(w Value, of *Instrument) Value {
	if of.Float {
		return Value{low: math.Float64bits(math.Float64frombits(v.low) - math.Float64frombits(w.low))}
	}
	low, borrow := bits.Sub64(v.low, w.low, 0)
	high, _ := bits.Sub64(v.high, w.high, borrow)
	return Value{high, low}
}

// addTimes adds a number n times.
func (v *Value) addTimes(number, n uint64) { v.add(bits.Mul64(number, n)) }

func (v *Value) addFloat(f float64) { v.low = math.Float64bits(math.Float64frombits(v.low) + f) }

// Float returns the value of an instrument as a float: of a whole number, the nearest one.
func (v Value) Float(of *Instrument) float64 {
	switch {
	case of.Float:
		return math.Float64frombits(v.low)
	case v.high == 0:
		return float64(v.low)
	case v.high == math.MaxUint64 && int64(v.low) < 0:
		return float64(int64(v.low))
	}
	f, _ := v.big().Float64()
	return f
}

// Int64 returns a whole number, and false if 64 bits are too few.
func (v Value) Int64() (n int64, ok bool) {
	n = int64(v.low)
	return n, v.high == uint64(n>>63)
}

func (v Value) big() *big.Int {
	n := new(big.Int).SetUint64(v.high)
	n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(v.low))
	if int64(v.high) < 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), 128))
	}
	return n
}

// Append appends the number in base 10: a float in the shortest form that reads back as the same.
func (v Value) Append(dst []byte, of *Instrument) []byte {
	switch n, ok := v.Int64(); {
	case of.Float:
		return strconv.AppendFloat(dst, math.Float64frombits(v.low), 'g', -1, 64)
	case ok:
		return strconv.AppendInt(dst, n, 10)
	}
	return v.big().Append(dst, 10)
}
