// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// quoteYAML makes the string dst[start:] a YAML scalar: unquoted if YAML reads it as that string,
// else in double quotes.
func quoteYAML(dst []byte, start int) []byte {
	if isPlainYAML(dst[start:]) {
		return dst
	}
	end := len(dst)
	dst = append(appendYAML(append(dst, '"'), dst[start:end]), '"')
	return dst[:start+copy(dst[start:], dst[end:])]
}

// isPlainYAML reports whether a reader of YAML, of version 1.1 or 1.2, takes the bare text p
// in block style for the string p.
func isPlainYAML(p []byte) bool {
	return len(p) > 0 && startsPlain(p) && staysPlain(p) && !isOtherYAML(p)
}

// startsPlain reports whether p's first bytes have no special meaning in YAML.
func startsPlain(p []byte) bool {
	if strings.IndexByte(",[]{}#&*!|>'\"%@` ", p[0]) >= 0 {
		return false
	}
	if strings.IndexByte("-?:", p[0]) >= 0 && (len(p) == 1 || p[1] == ' ') {
		return false
	}
	return !bytes.HasPrefix(p, []byte("---")) && !bytes.HasPrefix(p, []byte("..."))
}

// staysPlain reports whether no byte of p ends a bare text or needs an escape.
func staysPlain(p []byte) bool {
	for i := 0; i < len(p); {
		c := p[i]
		switch {
		case c > ':' && c < 0x7f: // most
		case c < ' ' || c == 0x7f:
			return false
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRune(p[i:])
			if r == utf8.RuneError && size == 1 || isUnsafe(r) {
				return false
			}
			i += size
			continue
		case c == ':' && (i+1 == len(p) || p[i+1] == ' '):
			return false
		case c == ' ' && (i+1 == len(p) || p[i+1] == '#'):
			return false
		}
		i++
	}
	return true
}

// isOtherYAML reports whether YAML reads the bare text p, which is not empty, as something other than a
// string: a number, a time, one of the words for booleans and null, a merge key.
func isOtherYAML(p []byte) bool {
	c := p[0]
	switch {
	case c == '+' || c == '-':
		return len(p) > 1 && isUnsignedYAML(p[1:])
	case c == '.' || c-'0' <= 9:
		return isUnsignedYAML(p) || isDateYAML(p)
	}
	return len(p) <= 5 && isWordYAML(p)
}

// isWordYAML compares without regard to case. That quotes more spellings than YAML's own words, which does
// no harm.
func isWordYAML(p []byte) bool {
	var lower [5]byte
	for i, c := range p {
		if c-'A' < 26 {
			c |= 0x20
		}
		lower[i] = c
	}
	switch string(lower[:len(p)]) {
	case "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", ".inf", ".nan", "=", "<<":
		return true
	}
	return false
}

// isUnsignedYAML reports whether p is a number without its sign: decimal, with another base, in
// base 60 with colons, infinite, or NaN.
func isUnsignedYAML(p []byte) bool {
	if len(p) == 4 && isWordYAML(p) || isOtherBase(p) {
		return true
	}
	n := leading(p, isDigit)
	whole := n
	if whole > 0 && n < len(p) && p[n] == ':' {
		n += leading(p[n:], func(c byte) bool { return isDigit(c) || c == ':' })
	}
	if n < len(p) && p[n] == '.' {
		fraction := leading(p[n+1:], isDigit)
		n += 1 + fraction
		whole += fraction
	}
	if whole == 0 {
		return false
	}
	if n < len(p) && p[n]|0x20 == 'e' {
		n++
		n += leading(p[n:], isDigitOrSign)
	}
	return n == len(p)
}

// isOtherBase reports whether p is a number with a base before it: "0x1f", "0o17", "0b1".
func isOtherBase(p []byte) bool {
	n := 1 + leading(p[1:], func(c byte) bool { return c == '_' })
	if p[0] != '0' || n+1 >= len(p) || strings.IndexByte("xXoObB", p[n]) < 0 {
		return false
	}
	digits := p[n+1:]
	return leading(digits, func(c byte) bool { return isDigitOrSign(c) || c|0x20-'a' < 6 }) == len(digits)
}

// isDateYAML reports whether p begins as a date does, "2006-1-2", alone or before a time.
func isDateYAML(p []byte) bool {
	if leading(p, isDigit) != 4 || len(p) < 8 || p[4] != '-' {
		return false
	}
	month := leading(p[5:], isDigit)
	day := 5 + month + 1
	if month == 0 || month > 2 || day >= len(p) || p[day-1] != '-' {
		return false
	}
	n := leading(p[day:], isDigit)
	end := day + n
	return n == 1 || n == 2 && (end == len(p) || strings.IndexByte("Tt ", p[end]) >= 0)
}

// leading returns the number of bytes that p starts with for which is holds.
func leading(p []byte, is func(byte) bool) int {
	for i, c := range p {
		if !is(c) {
			return i
		}
	}
	return len(p)
}

// isDigit also accepts the underscores that numbers may contain.
func isDigit(c byte) bool { return c-'0' <= 9 || c == '_' }

// isDigitOrSign is for places where some readers allow a sign, even after an underscore.
func isDigitOrSign(c byte) bool { return isDigit(c) || c == '+' || c == '-' }
