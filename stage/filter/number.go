// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"fmt"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// parseInteger parses a whole number: decimal digits, or digits of base 16, 8 and 2 after 0x, 0o and
// 0b. A leading zero has no meaning.
func parseInteger(s string) (*big.Int, bool) {
	digits, negative := strings.CutPrefix(s, "-")
	base := 10
	if len(digits) > 2 && digits[0] == '0' {
		switch digits[1] {
		case 'x', 'X':
			base = 16
		case 'o', 'O':
			base = 8
		case 'b', 'B':
			base = 2
		}
		if base != 10 {
			digits = digits[2:]
		}
	}
	// The limit of the length bounds the time: longer numbers are out of range anyway.
	if len(digits) == 0 || len(digits) > 200 || strings.ContainsAny(digits, "+-_") {
		return nil, false
	}
	n, ok := new(big.Int).SetString(digits, base)
	if ok && negative {
		n.Neg(n)
	}
	return n, ok
}

// limits returns the least and the greatest number of the given number of bits.
func limits(bits uint, signed bool) (least, greatest *big.Int) {
	one := big.NewInt(1)
	if !signed {
		return new(big.Int), new(big.Int).Sub(new(big.Int).Lsh(one, bits), one)
	}
	half := new(big.Int).Lsh(one, bits-1)
	return new(big.Int).Neg(half), new(big.Int).Sub(half, one)
}

// span is a range of integers: all x for which x-low, modulo a power of two, is at most width. This
// form serves signed and unsigned numbers, and testing whether a number is in it takes one subtraction.
type span struct{ low, width uint128 }

type uint128 struct{ high, low uint64 }

// spanOf returns the range of the numbers for which op n holds, and whether there are any. For
// unequal it returns the range of equal.
func spanOf(op operator, n, least, greatest *big.Int) (span, bool) {
	low, high, one := n, n, big.NewInt(1)
	switch op {
	case less:
		low, high = least, new(big.Int).Sub(n, one)
	case lessEqual:
		low = least
	case greater:
		low, high = new(big.Int).Add(n, one), greatest
	case greaterEqual:
		high = greatest
	}
	if low.Cmp(high) > 0 {
		return span{}, false
	}
	return span{low: words(low), width: words(new(big.Int).Sub(high, low))}, true
}

// words returns the lowest 128 bits of n in two's complement.
func words(n *big.Int) uint128 {
	mask := new(big.Int).SetUint64(1<<64 - 1)
	low := new(big.Int).And(n, mask) // as if n were in two's complement
	high := new(big.Int).And(new(big.Int).Rsh(n, 64), mask)
	return uint128{high: high.Uint64(), low: low.Uint64()}
}

// has reports whether x is in the range.
func (s *span) has(x uint128) bool {
	low, borrow := bits.Sub64(x.low, s.low.low, 0)
	high, _ := bits.Sub64(x.high, s.low.high, borrow)
	return high < s.width.high || high == s.width.high && low <= s.width.low
}

// parseFloat reads a number with or without a fraction.
func parseFloat(s string, bitSize int) (float64, error) {
	x, err := strconv.ParseFloat(s, bitSize)
	if err != nil || x != x || strings.Contains(s, "_") {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return x, nil
}
