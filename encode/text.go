// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// Text from traced programs is nearly always printable ASCII. It is scanned a word of eight bytes at
// a time, and only what is not plain is looked at closely.

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// notPrintable marks, with the high bit of the byte, the bytes of x that are not printable ASCII.
// The lowest mark is exact; those above it may be too many, since additions carry.
func notPrintable(x uint64) uint64 {
	return ((x - ' '*lowBits) | (x + lowBits) | x) & highBits
}

// notPlain marks what cannot stand between double quotes as it is: notPrintable, and `"` and `\`.
func notPlain(x uint64) uint64 {
	quote := (x ^ '"'*lowBits) - lowBits
	backslash := (x ^ '\\'*lowBits) - lowBits
	return notPrintable(x) | (quote|backslash)&highBits
}

func isPlainByte(c byte) bool { return c >= ' ' && c < 0x7f && c != '"' && c != '\\' }

// putPlain copies p to buf[n:] up to the first NUL byte, or the end, or the first byte that is not
// plain. It returns how many bytes that is and whether they are all of p's text. It writes up to 8
// bytes beyond them.
func putPlain(buf []byte, n int, p []byte) (int, bool) {
	i := 0
	for ; i+8 <= len(p); i += 8 {
		x := binary.LittleEndian.Uint64(p[i:])
		binary.LittleEndian.PutUint64(buf[n+i:], x)
		if m := notPlain(x); m != 0 {
			i += bits.TrailingZeros64(m) >> 3
			return i, p[i] == 0
		}
	}
	for ; i < len(p); i++ {
		if !isPlainByte(p[i]) {
			return i, p[i] == 0
		}
		buf[n+i] = p[i]
	}
	return i, true
}

// plainPrefix returns the number of plain bytes that p starts with.
func plainPrefix(p []byte) int {
	i := 0
	for ; i+8 <= len(p); i += 8 {
		if m := notPlain(binary.LittleEndian.Uint64(p[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for ; i < len(p) && isPlainByte(p[i]); i++ {
	}
	return i
}

// isUnsafe reports whether r, a character beyond ASCII, must not reach a terminal raw: the control
// characters C1, line separators, what changes the direction of text (a file name can look like
// another one by it), and what YAML does not allow.
func isUnsafe(r rune) bool {
	switch {
	case r < 0xa0:
		return true
	case r < 0x61c:
		return false
	case r == 0x61c, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return r == 0xfeff || r == 0xfffe || r == 0xffff
}

// replacement stands for bytes that are not UTF-8.
const replacement = "\uFFFD"

const hexDigits = "0123456789abcdef"

// appendEscaped appends p as it stands between the quotes of a JSON string. YAML reads such a string
// in the same way, for which escapes stay within the first 65536 characters.
func appendEscaped(dst, p []byte) []byte {
	for {
		n := plainPrefix(p)
		dst = append(dst, p[:n]...)
		if p = p[n:]; len(p) == 0 {
			return dst
		}
		if p[0] < utf8.RuneSelf {
			dst = appendEscapedByte(dst, p[0])
			p = p[1:]
			continue
		}
		r, size := utf8.DecodeRune(p)
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, replacement...)
		case isUnsafe(r):
			dst = append(dst, '\\', 'u', hexDigits[r>>12], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		default:
			dst = append(dst, p[:size]...)
		}
		p = p[size:]
	}
}

func appendEscapedByte(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// escapeFrom escapes dst[start:] in place.
func escapeFrom(dst []byte, start int) []byte {
	start += plainPrefix(dst[start:])
	if start == len(dst) {
		return dst
	}
	// The escaped text is longer: it is written behind the old one first.
	end := len(dst)
	dst = appendEscaped(dst, dst[start:end])
	return dst[:start+copy(dst[start:], dst[end:])]
}

// plainEnd returns the end of the plain text that begins at buf[start], at most end. It reads whole
// words: up to 7 bytes behind end, which must be there.
func plainEnd(buf []byte, start, end int) int {
	for ; start < end; start += 8 {
		if m := notPlain(binary.LittleEndian.Uint64(buf[start:])); m != 0 {
			return min(end, start+bits.TrailingZeros64(m)>>3)
		}
	}
	return end
}
