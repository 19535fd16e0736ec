// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapexpr

import (
	"net/netip"
	"strconv"
	"strings"
)

type tokenKind uint8

const (
	endToken tokenKind = iota
	symbolToken
	wordToken
	escapedToken // a word after a backslash, which is no keyword
	numberToken
	dottedToken // an address of IPv4, or the beginning of one
	ip6Token
	macToken
	badToken
)

// token is a part of the expression.
type token struct {
	kind tokenKind
	text string
	at   int // byte
	end  int
}

func (t *token) is(symbol string) bool { return t.kind == symbolToken && t.text == symbol }
func (t *token) isWord(word string) bool {
	return t.kind == wordToken && t.text == word
}

// symbols lists the operators; longer ones come before their beginnings.
const symbols = "&& || != == <= >= << >> ( ) [ ] : ! = < > & | + - * / % ^"

// scan returns the token that begins at or after a byte. As for tcpdump, a word is as long as it can be: "80-90" is one.
func scan(text string, at int) token {
	for at < len(text) && strings.IndexByte(" \t\r\n", text[at]) >= 0 {
		at++
	}
	if at == len(text) {
		return token{kind: endToken, at: at, end: at}
	}
	rest := text[at:]
	if t, ok := scanAddress(rest); ok {
		t.at, t.end = at, at+len(t.text)
		return t
	}
	if n := wordLength(rest); n > 0 {
		return token{kindOfWord(rest[:n]), rest[:n], at, at + n}
	}
	if n := wordLength(rest[1:]); rest[0] == '\\' && n > 0 {
		return token{escapedToken, rest[1 : 1+n], at, at + 1 + n}
	}
	for symbol := range strings.FieldsSeq(symbols) {
		if strings.HasPrefix(rest, symbol) {
			return token{symbolToken, symbol, at, at + len(symbol)}
		}
	}
	return token{badToken, string([]rune(rest[:min(len(rest), 4)])[:1]), at, at + 1}
}

// scanAddress recognizes addresses with colons.
func scanAddress(rest string) (token, bool) {
	const longest = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")
	n := 0
	for n < len(rest) && n <= longest && (isHex(rest[n]) || rest[n] == ':' || rest[n] == '.') {
		n++
	}
	text := rest[:n]
	if n > longest || strings.IndexByte(text, ':') < 0 {
		return token{}, false
	}
	if _, ok := parseMAC(text); ok {
		return token{kind: macToken, text: text}, true
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Is6() {
		return token{kind: ip6Token, text: text}, true
	}
	return token{}, false
}

// wordLength returns the length of the word at the beginning of text.
func wordLength(text string) int {
	n, last := 0, 0
	for n < len(text) {
		c := text[n]
		alnum := isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !alnum && (n == 0 || c != '-' && c != '_' && c != '.') {
			break
		}
		n++
		if alnum || c == '.' {
			last = n
		}
	}
	return last
}

func kindOfWord(word string) tokenKind {
	if _, ok := parseMAC(word); ok {
		return macToken
	}
	switch {
	case strings.Trim(word, "0123456789") == "", isHexNumber(word):
		return numberToken
	case strings.Trim(word, "0123456789.") == "":
		return dottedToken
	}
	return wordToken
}

func isHexNumber(word string) bool {
	digits, ok := strings.CutPrefix(strings.ToLower(word), "0x")
	return ok && digits != "" && strings.Trim(digits, "0123456789abcdef") == ""
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// parseMAC reads an Ethernet address: 1:2:3:4:5:6, 1-2-3-4-5-6, 1.2.3.4.5.6, 0102.0304.0506 or 010203040506.
func parseMAC(text string) (mac [6]byte, ok bool) {
	digits := text
	switch parts := strings.FieldsFunc(text, func(r rune) bool { return r == ':' || r == '-' || r == '.' }); {
	case len(parts) == 6 && strings.Count(text, text[len(parts[0]):len(parts[0])+1]) == 5:
		digits = ""
		for _, p := range parts {
			if len(p) > 2 {
				return mac, false
			}
			digits += strings.Repeat("0", 2-len(p)) + p
		}
	case len(parts) == 3 && strings.Count(text, ".") == 2 && len(text) == len("0102.0304.0506"):
		digits = strings.Join(parts, "")
	}
	if len(digits) != 12 {
		return mac, false
	}
	v, err := strconv.ParseUint(digits, 16, 48)
	for i := range mac {
		mac[i] = byte(v >> (40 - 8*i))
	}
	return mac, err == nil
}

// parseNumber reads a number as C writes it.
func parseNumber(text string) (uint32, bool) {
	base, digits := 10, text
	switch {
	case isHexNumber(text):
		base, digits = 16, text[2:]
	case len(text) > 1 && text[0] == '0':
		base = 8
	}
	v, err := strconv.ParseUint(digits, base, 32)
	return uint32(v), err == nil
}

// parseDotted reads an address of IPv4, or the first bytes of one. It returns how many bits there are.
func parseDotted(text string) (address uint32, bits int, ok bool) {
	for part := range strings.SplitSeq(text, ".") {
		v, err := strconv.ParseUint(part, 10, 8)
		if err != nil || bits == 32 {
			return 0, 0, false
		}
		address = address<<8 | uint32(v)
		bits += 8
	}
	return address, bits, true
}
