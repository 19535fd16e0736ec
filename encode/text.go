// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"encoding/binary"
	"math/bits"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text from traced programs is nearly always printable ASCII. The encoders scan it a word of eight bytes at
// a time, and examine single characters only where it is not plain.

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// notPrintable marks, with the high bit of the byte, the bytes of x that are not printable ASCII.
// The lowest mark is exact; marks above it may be wrong, because additions carry.
func notPrintable(x uint64) uint64 {
	return ((x - ' '*lowBits) | (x + lowBits) | x) & highBits
}

// notPlain marks the bytes that need an escape between double quotes: those of notPrintable, and `"` and `\`.
func notPlain(x uint64) uint64 {
	quote := (x ^ '"'*lowBits) - lowBits
	backslash := (x ^ '\\'*lowBits) - lowBits
	return notPrintable(x) | (quote|backslash)&highBits
}

func isPlainByte(c byte) bool { return c >= ' ' && c < 0x7f && c != '"' && c != '\\' }

// putPlain copies p to buf[n:] up to the first NUL byte, or the end, or the first byte that is not
// plain. It returns the number of copied bytes and whether they are all of p's text. It may overwrite up to 8
// bytes after them.
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

// unsafeRunes lists the characters of isUnsafe, except the characters C1 and the two noncharacters at the end of
// every plane (U+nFFFE and U+nFFFF). It is the union of Unicode's properties Cf (without Prepended_Concatenation_Mark, which
// are visible), Zl, Zp, Other_Default_Ignorable_Code_Point, Variation_Selector and
// Noncharacter_Code_Point. A test compares it with these.
var unsafeRunes = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x00ad, Hi: 0x00ad, Stride: 1}, // soft hyphen
		{Lo: 0x034f, Hi: 0x034f, Stride: 1}, // combining grapheme joiner
		{Lo: 0x061c, Hi: 0x061c, Stride: 1}, // Arabic letter mark
		{Lo: 0x115f, Hi: 0x1160, Stride: 1}, // Hangul fillers
		{Lo: 0x17b4, Hi: 0x17b5, Stride: 1}, // Khmer inherent vowels
		{Lo: 0x180b, Hi: 0x180f, Stride: 1}, // Mongolian variation selectors, vowel separator
		{Lo: 0x200b, Hi: 0x200f, Stride: 1}, // zero-width characters, marks of direction
		{Lo: 0x2028, Hi: 0x202e, Stride: 1}, // ends of lines and paragraphs, directions
		{Lo: 0x2060, Hi: 0x206f, Stride: 1}, // invisible operators, isolated directions
		{Lo: 0x3164, Hi: 0x3164, Stride: 1}, // Hangul filler
		{Lo: 0xfdd0, Hi: 0xfdef, Stride: 1}, // no characters
		{Lo: 0xfe00, Hi: 0xfe0f, Stride: 1}, // variation selectors
		{Lo: 0xfeff, Hi: 0xfeff, Stride: 1}, // byte order mark
		{Lo: 0xffa0, Hi: 0xffa0, Stride: 1}, // narrow Hangul filler
		{Lo: 0xfff0, Hi: 0xfffb, Stride: 1}, // ignored, annotations
	},
	R32: []unicode.Range32{
		{Lo: 0x13430, Hi: 0x1343f, Stride: 1}, // controls of hieroglyphs
		{Lo: 0x1bca0, Hi: 0x1bca3, Stride: 1}, // controls of shorthand
		{Lo: 0x1d173, Hi: 0x1d17a, Stride: 1}, // controls of musical scores
		{Lo: 0xe0000, Hi: 0xe0fff, Stride: 1}, // tags, variation selectors
	},
	LatinOffset: 1,
}

// isUnsafe reports whether r, a character beyond ASCII, must be escaped for a person or a terminal:
// the control characters C1, line separators, characters that change the direction of text, invisible characters
// (both can make a file name look like another one), and noncharacters, which YAML does not
// allow.
func isUnsafe(r rune) bool {
	if r > 0xad && r < 0x34f || r > 0x3164 && r < 0xfdd0 { // the letters of Europe, the characters of East Asia
		return false
	}
	return isUnsafeElsewhere(r)
}

// isUnsafeElsewhere decides about characters outside the ranges that isUnsafe checks first. It is a
// separate function so that the compiler inlines isUnsafe.
func isUnsafeElsewhere(r rune) bool {
	switch {
	case r <= 0xad:
		return r < 0xa0 || r == 0xad
	case r&0xfffe == 0xfffe:
		return true
	case r > 0x1d17a && r < 0xe0000: // nearly all emoji
		return false
	}
	return unicode.Is(unsafeRunes, r)
}

// replacement replaces bytes that are not UTF-8.
const replacement = "\uFFFD"

const hexDigits = "0123456789abcdef"

// appendHexRune appends r as the last n hex digits of it.
func appendHexRune(dst []byte, r rune, n int) []byte {
	for n--; n >= 0; n-- {
		dst = append(dst, hexDigits[r>>(4*n)&15])
	}
	return dst
}

// escape appends an escape of a character beyond ASCII.
type escape func(dst []byte, r rune) []byte

// escapeUTF16 appends JSON's escape: two surrogates for characters beyond the first 65536.
func escapeUTF16(dst []byte, r rune) []byte {
	if high, low := utf16.EncodeRune(r); r > 0xffff {
		dst = appendHexRune(append(dst, '\\', 'u'), high, 4)
		r = low
	}
	return appendHexRune(append(dst, '\\', 'u'), r, 4)
}

// escapeRune appends the escape of YAML and columns.
func escapeRune(dst []byte, r rune) []byte {
	if r > 0xffff {
		return appendHexRune(append(dst, '\\', 'U'), r, 8)
	}
	return appendHexRune(append(dst, '\\', 'u'), r, 4)
}

// appendJSON appends p, escaped for the inside of a JSON string.
func appendJSON(dst, p []byte) []byte { return appendEscaped(dst, p, escapeUTF16) }

// appendYAML appends p, escaped for the inside of a YAML string in double quotes.
func appendYAML(dst, p []byte) []byte { return appendEscaped(dst, p, escapeRune) }

func appendEscaped(dst, p []byte, beyond escape) []byte {
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
			dst = beyond(dst, r)
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

// escapeFrom escapes dst[start:] in place, as appendJSON does.
func escapeFrom(dst []byte, start int) []byte {
	start += plainPrefix(dst[start:])
	if start == len(dst) {
		return dst
	}
	// The escaped text is longer: it is first written after the old one.
	end := len(dst)
	dst = appendJSON(dst, dst[start:end])
	return dst[:start+copy(dst[start:], dst[end:])]
}

// plainEnd returns the end of the plain text that begins at buf[start], at most end. It reads whole
// words, so buf must have 7 more bytes after end.
func plainEnd(buf []byte, start, end int) int {
	for ; start < end; start += 8 {
		if m := notPlain(binary.LittleEndian.Uint64(buf[start:])); m != 0 {
			return min(end, start+bits.TrailingZeros64(m)>>3)
		}
	}
	return end
}
