// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package plain makes text safe to show: file names, programs' messages and other text that someone
// else chose. Such text could move a terminal's cursor, change its title, or look like other text than
// it is.
//
// [Text] is for a piece of text within a line, [Lines] for text of several lines, [Error] for an error,
// and [Writer] for all that goes to a terminal.
package plain

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns s with everything that is not plainly visible as an escape: control characters, line
// breaks and tabs among them (\x1b, \n), what changes the direction of text (\u202e), invisible
// characters (\u200b, \U000e0041), and bytes that are not UTF-8 (\xff). Other text stays as it is,
// backslashes too: the result is for people, and not for parsing.
func Text(s string) string { return clean(s, "") }

// Lines is like [Text], but line breaks and tabs stay.
func Lines(s string) string { return clean(s, "\n\t") }

// Error returns an error with the text of err as [Text] shows it, which wraps err. It returns nil for
// nil.
func Error(err error) error {
	if err == nil {
		return nil
	}
	return &plainError{err}
}

type plainError struct{ err error }

func (e *plainError) Error() string { return Text(e.err.Error()) }
func (e *plainError) Unwrap() error { return e.err }

func clean(s, keep string) string {
	start := nextUnsafe(s, keep)
	if start == len(s) {
		return s
	}
	return string(appendClean(make([]byte, 0, len(s)+16), s, keep))
}

// appendClean appends s to b, cleaned except for the characters to keep.
func appendClean(b []byte, s, keep string) []byte {
	for {
		n := nextUnsafe(s, keep)
		b = append(b, s[:n]...)
		if s = s[n:]; s == "" {
			return b
		}
		r, size := utf8.DecodeRuneInString(s)
		b = appendEscape(b, r, s[:size])
		s = s[size:]
	}
}

// nextUnsafe returns where in s the first character is that cannot be shown, or the length of s.
func nextUnsafe(s, keep string) int {
	for i := 0; i < len(s); {
		c := s[i]
		if ' ' <= c && c < 0x7f || strings.IndexByte(keep, c) >= 0 {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 || !visible(r) {
			return i
		}
		i += size
	}
	return len(s)
}

// visible reports whether a character is visible, and at its own place in the text.
func visible(r rune) bool {
	if r == ' ' {
		return true
	}
	// IsGraphic leaves out control and format characters, line and paragraph separators, private ones
	// and those that are not assigned. Of what remains these show nothing, or nothing of their own.
	return unicode.IsGraphic(r) && !unicode.Is(blank, r) && !unicode.Is(unicode.Variation_Selector, r)
}

// blank are the characters that are letters or marks by Unicode's categories, but are drawn as nothing or as
// a space that is not one, and the spaces other than the usual one.
var blank = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x00a0, Hi: 0x00a0, Stride: 1}, // no-break space
		{Lo: 0x034f, Hi: 0x034f, Stride: 1}, // combining grapheme joiner
		{Lo: 0x115f, Hi: 0x1160, Stride: 1}, // Hangul fillers
		{Lo: 0x1680, Hi: 0x1680, Stride: 1}, // Ogham space
		{Lo: 0x17b4, Hi: 0x17b5, Stride: 1}, // Khmer inherent vowels
		{Lo: 0x2000, Hi: 0x200a, Stride: 1}, // spaces of certain widths
		{Lo: 0x202f, Hi: 0x202f, Stride: 1}, // narrow no-break space
		{Lo: 0x205f, Hi: 0x205f, Stride: 1}, // mathematical space
		{Lo: 0x2800, Hi: 0x2800, Stride: 1}, // Braille without dots
		{Lo: 0x3000, Hi: 0x3000, Stride: 1}, // ideographic space
		{Lo: 0x3164, Hi: 0x3164, Stride: 1}, // Hangul filler
		{Lo: 0xffa0, Hi: 0xffa0, Stride: 1}, // halfwidth Hangul filler
	},
	LatinOffset: 1,
}

// appendEscape appends the escape for a character, which was encoded as the given bytes.
func appendEscape(b []byte, r rune, encoded string) []byte {
	switch {
	case r == utf8.RuneError && len(encoded) == 1:
		return fmt.Appendf(b, `\x%02x`, encoded[0])
	case r == '\n':
		return append(b, `\n`...)
	case r == '\t':
		return append(b, `\t`...)
	case r == '\r':
		return append(b, `\r`...)
	case r < 0x80:
		return fmt.Appendf(b, `\x%02x`, r)
	case r <= 0xffff:
		return fmt.Appendf(b, `\u%04x`, r)
	}
	return fmt.Appendf(b, `\U%08x`, r)
}

// Writer returns a writer that passes on to w what [Lines] makes of the text. A character may come in
// several pieces: of one that is not whole the bytes wait for the rest, until a line ends or the writer is
// closed. Closing it does not close w. It is not for use by several goroutines at once.
func Writer(w io.Writer) io.WriteCloser { return &writer{w: w} }

type writer struct {
	w    io.Writer
	rest []byte // the beginning of a character
	buf  []byte
}

// Write implements io.Writer. On an error it cannot tell how much of p was written, since that was other
// text: it says nothing was.
func (w *writer) Write(p []byte) (int, error) {
	text := append(w.rest, p...)
	whole := len(text) - incomplete(text)
	w.buf = appendClean(w.buf[:0], string(text[:whole]), "\n\t")
	w.rest = append(text[:0], text[whole:]...)
	if err := w.flush(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close writes what waits for the rest of a character.
func (w *writer) Close() error {
	w.buf = appendClean(w.buf[:0], string(w.rest), "\n\t")
	w.rest = w.rest[:0]
	return w.flush()
}

func (w *writer) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	_, err := w.w.Write(w.buf)
	return err
}

// incomplete returns how many bytes at the end of p are the beginning of a character.
func incomplete(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		end := p[len(p)-n:]
		if utf8.RuneStart(end[0]) {
			if utf8.FullRune(end) {
				return 0
			}
			return n
		}
	}
	return 0
}
