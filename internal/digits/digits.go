// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package digits turns numbers into decimal digits, eight at once in the lanes of a word: without a
// loop, and without a branch on the number of digits, which no processor could foretell.
package digits

import "encoding/binary"

// ASCII makes characters of the digits that Eight returns, when it is added to them by "or".
const ASCII = 0x3030303030303030

// Eight returns the eight digits of v, which is below 10^8, one a byte, the first in the lowest.
// Each step splits all lanes into quotient and remainder: by 10000, by 100, by 10. The factors are
// reciprocals in fixed point that are exact for the range of their lanes.
func Eight(v uint32) uint64 {
	high := v / 10000
	x := uint64(high) | uint64(v-high*10000)<<32
	q := x * 10486 >> 20 & 0x0000007f_0000007f
	x = q | (x-q*100)<<16
	q = x * 103 >> 10 & 0x000f000f_000f000f
	return q | (x-q*10)<<8
}

// PutNine writes v, which is below 10^9, to the first nine bytes of p, with leading zeros.
func PutNine(p []byte, v uint32) {
	first := v / 1e8
	_ = p[8]
	p[0] = '0' + byte(first)
	binary.LittleEndian.PutUint64(p[1:], Eight(v-first*1e8)|ASCII)
}
