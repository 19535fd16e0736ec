// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"fmt"
	"unicode/utf8"
)

// Error is an error in a filter and its place.
type Error struct {
	// Text is the whole filter or expression.
	Text string
	// Line and Column are the place in Text, in characters, counted from 1.
	Line, Column int
	// Err is the error without the place.
	Err error
}

// Error returns the message in one line.
func (e *Error) Error() string {
	where := fmt.Sprintf("column %d", e.Column)
	if e.Line > 1 {
		where = fmt.Sprintf("line %d, %s", e.Line, where)
	}
	return fmt.Sprintf("filter %#q, %s: %v", shorten(e.Text), where, e.Err)
}

// Unwrap returns the error without the place.
func (e *Error) Unwrap() error { return e.Err }

// longestQuote is how many characters of a filter a message repeats.
const longestQuote = 200

func shorten(text string) string {
	n := 0
	for i := range text {
		if n == longestQuote {
			return text[:i] + "…"
		}
		n++
	}
	return text
}

// errorAt returns the error err at the character of the given index. A line break counts as a character.
func errorAt(text string, char int, err error) *Error {
	e := &Error{Text: text, Line: 1, Column: 1, Err: err}
	for _, r := range text {
		if char <= 0 {
			break
		}
		char--
		e.Column++
		if r == '\n' {
			e.Line, e.Column = e.Line+1, 1
		}
	}
	return e
}

// errorAtByte is errorAt for an index in bytes.
func errorAtByte(text string, i int, err error) *Error {
	return errorAt(text, utf8.RuneCountInString(text[:i]), err)
}
