// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"

	"github.com/gizmo-ebpf/gizmo/internal/digits"
)

// numberRoom is how many bytes the put functions may write: 20 digits, or a sign and 19 digits, and
// the bytes that a store of 8 bytes writes beyond them.
const numberRoom = 28

// putUint writes v in base 10 at buf[n:] and returns the index after it. It may overwrite
// up to numberRoom bytes in all.
//
// It computes eight digits at once; strconv takes half as long again.
func putUint(buf []byte, n int, v uint64) int {
	if v < 1e8 {
		return putShort(buf, n, v)
	}
	n = putUint(buf, n, v/1e8)
	binary.LittleEndian.PutUint64(buf[n:], digits.Eight(uint32(v%1e8))|digits.ASCII)
	return n + 8
}

// putShort is putUint for numbers below 10^8.
func putShort(buf []byte, n int, v uint64) int {
	d := digits.Eight(uint32(v))
	// The first digit is in the lowest byte. The bit set in the highest byte keeps the last digit of 0.
	leading := bits.TrailingZeros64(d|1<<56) &^ 7
	binary.LittleEndian.PutUint64(buf[n:], (d|digits.ASCII)>>leading)
	return n + 8 - leading>>3
}

// putSign writes the minus sign of a negative number and returns the absolute value.
func putSign(buf []byte, n int, v int64) (int, uint64) {
	if v >= 0 {
		return n, uint64(v)
	}
	buf[n] = '-'
	return n + 1, -uint64(v)
}

func appendUint(dst []byte, v uint64) []byte {
	buf, n := reserve(dst, numberRoom)
	return buf[:putUint(buf, n, v)]
}

func appendInt(dst []byte, v int64) []byte {
	buf, n := reserve(dst, numberRoom)
	n, u := putSign(buf, n, v)
	return buf[:putUint(buf, n, u)]
}

// reserve makes room for need bytes after dst. It returns the buffer at its full capacity, and
// the end of dst in it.
func reserve(dst []byte, need int) ([]byte, int) {
	n := len(dst)
	if cap(dst)-n < need {
		dst = append(dst[:cap(dst)], make([]byte, need-(cap(dst)-n))...)
	}
	return dst[:cap(dst)], n
}

// appendUint128 appends the number of 128 bits.
func appendUint128(dst []byte, high, low uint64) []byte {
	const block = 1e19 // the most digits that 64 bits hold
	if high == 0 {
		return appendUint(dst, low)
	}
	qHigh, rest := high/block, high%block
	qLow, rest := bits.Div64(rest, low, block)
	dst = appendUint128(dst, qHigh, qLow)
	buf, n := reserve(dst, numberRoom)
	n = putUint(buf, n, rest/1e16) // below 1000
	for pad := n - len(dst); pad < 3; pad++ {
		copy(buf[len(dst)+1:n+1], buf[len(dst):n])
		buf[len(dst)] = '0'
		n++
	}
	binary.LittleEndian.PutUint64(buf[n:], digits.Eight(uint32(rest%1e16/1e8))|digits.ASCII)
	binary.LittleEndian.PutUint64(buf[n+8:], digits.Eight(uint32(rest%1e8))|digits.ASCII)
	return buf[:n+16]
}

// appendInt128 is appendUint128 for two's complement.
func appendInt128(dst []byte, high, low uint64) []byte {
	if int64(high) >= 0 {
		return appendUint128(dst, high, low)
	}
	low, borrow := bits.Sub64(0, low, 0)
	high, _ = bits.Sub64(0, high, borrow)
	return appendUint128(append(dst, '-'), high, low)
}

// nonFinite holds the words for NaN and the infinities.
type nonFinite struct {
	nan, plus, minus string
	point            bool // a float always has a decimal point where it matters
}

// appendFloat appends the shortest text that reads back as f, a float of the given number of bits,
// or f with as many digits after the decimal point as precision says. Very large and very small numbers have
// an exponent, because they would be hard to read without one.
func appendFloat(dst []byte, f float64, bitSize int, precision *int, words *nonFinite) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, words.nan...)
	case math.IsInf(f, 1):
		return append(dst, words.plus...)
	case math.IsInf(f, -1):
		return append(dst, words.minus...)
	}
	if precision != nil {
		return strconv.AppendFloat(dst, f, 'f', *precision, bitSize)
	}
	form := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		form = 'e'
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, form, -1, bitSize)
	if words.point && (form == 'e' || f == 0 && math.Signbit(f)) {
		return withPoint(dst, start)
	}
	return dst
}

// withPoint adds a decimal point to the number at dst[start:]. Without it, readers of YAML take a number with an
// exponent for text and a negative zero for an integer.
func withPoint(dst []byte, start int) []byte {
	at := start + len(dst[start:])
	for i, c := range dst[start:] {
		if c == '.' {
			return dst
		}
		if c == 'e' {
			at = start + i
			break
		}
	}
	dst = append(dst, ".0"...)
	copy(dst[at+2:], dst[at:])
	copy(dst[at:], ".0")
	return dst
}

// isNumber reports whether p is a number in JSON's notation: no sign but minus, no leading zeros, digits
// on both sides of a decimal point.
func isNumber(p []byte) bool {
	i := 0
	if i < len(p) && p[i] == '-' {
		i++
	}
	whole := countDigits(p[i:])
	if whole == 0 || whole > 1 && p[i] == '0' {
		return false
	}
	i += whole
	if i < len(p) && p[i] == '.' {
		n := countDigits(p[i+1:])
		if n == 0 {
			return false
		}
		i += 1 + n
	}
	if i < len(p) && p[i]|0x20 == 'e' {
		i++
		if i < len(p) && (p[i] == '+' || p[i] == '-') {
			i++
		}
		n := countDigits(p[i:])
		if n == 0 {
			return false
		}
		i += n
	}
	return i == len(p)
}

// countDigits returns the number of digits that p starts with.
func countDigits(p []byte) int {
	i := 0
	for ; i+8 <= len(p) && allDigits(binary.LittleEndian.Uint64(p[i:])); i += 8 {
	}
	for ; i < len(p) && p[i]-'0' <= 9; i++ {
	}
	return i
}

// allDigits reports whether the eight bytes of x are digits: the upper four bits of a digit are 3, and
// still are if 6 is added.
func allDigits(x uint64) bool {
	const high, threes, sixes = 0xf * 0x10 * lowBits, 0x30 * lowBits, 6 * lowBits
	return x&high == threes && (x+sixes)&high == threes
}
