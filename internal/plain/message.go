// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package plain

import (
	"errors"
	"strings"
)

// Line returns a text of several lines as part of one line: like [Text], but with a blank for each line break and tab.
func Line(s string) string {
	isBreak := func(r rune) bool { return r == ' ' || r == '\n' || r == '\r' || r == '\t' }
	return Text(strings.Join(strings.FieldsFunc(s, isBreak), " "))
}

// Message returns the message of an error, with invisible characters as escapes. Joined errors keep their lines, also
// inside errors that wrap them; all other line breaks are part of a foreign name.
func Message(err error) string {
	var b strings.Builder
	rest := err.Error()
	joined := isJoined(err)
	for i, cause := range causesOf(err) {
		text := cause.Error()
		before, after, found := strings.Cut(rest, text)
		if !found || text == "" {
			continue
		}
		if joined && i > 0 {
			b.WriteByte('\n')
		} else {
			b.WriteString(Text(before))
		}
		b.WriteString(Message(cause))
		rest = after
	}
	return b.String() + Text(rest)
}

// Parts splits joined errors, also nested ones.
func Parts(err error) []error {
	if !isJoined(err) {
		return []error{err}
	}
	var all []error
	for _, cause := range causesOf(err) {
		all = append(all, Parts(cause)...)
	}
	return all
}

// causesOf returns the errors that an error wraps.
func causesOf(err error) []error {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return all.Unwrap()
	}
	if cause := errors.Unwrap(err); cause != nil {
		return []error{cause}
	}
	return nil
}

// isJoined reports whether an error consists of several others, a line each.
func isJoined(err error) bool {
	causes := causesOf(err)
	if len(causes) < 2 {
		return false
	}
	texts := make([]string, len(causes))
	for i, cause := range causes {
		texts[i] = cause.Error()
	}
	return err.Error() == strings.Join(texts, "\n")
}
