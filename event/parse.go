// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package event

import (
	"math"
	"math/bits"
	"strconv"
)

// parseWide parses a text as a whole number, in two's complement. It returns false if the text is not a
// number, or a number beyond 127 bits and a sign.
func parseWide(p []byte) (high, low uint64, ok bool) {
	negative := len(p) > 0 && p[0] == '-'
	if negative {
		p = p[1:]
	}
	for _, c := range p {
		if c < '0' || c > '9' || high >= 1<<63/10 {
			return 0, 0, false
		}
		carry, product := bits.Mul64(low, 10)
		var more uint64
		low, more = bits.Add64(product, uint64(c-'0'), 0)
		high = high*10 + carry + more
	}
	if negative {
		var borrow uint64
		low, borrow = bits.Sub64(0, low, 0)
		high, _ = bits.Sub64(0, high, borrow)
	}
	return high, low, len(p) > 0
}

// parseFloat parses a text as a float.
func parseFloat(p []byte) (float64, bool) {
	if !looksNumeric(p) { // checked first, because strconv allocates its errors
		return 0, false
	}
	v, err := strconv.ParseFloat(string(p), 64)
	return v, (err == nil || math.IsInf(v, 0)) && v == v
}

func looksNumeric(p []byte) bool {
	switch string(p) {
	case "+Inf", "-Inf", "Inf":
		return true
	}
	digits := 0
	for _, c := range p {
		switch {
		case c-'0' <= 9:
			digits++
		case c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E':
			return false
		}
	}
	return digits > 0
}
