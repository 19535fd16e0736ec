// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import "strings"

// parseDeps returns the files after the colon of a rule of make that clang -MD wrote.
//
// clang writes a space in a name as "\ " and doubles the backslashes right before it, "$" as
// "$$", and "#" as "\#". That notation is ambiguous for some names (a name that ends in a
// backslash, say). The result is then wrong, which the caller notices, because there is no such file.
func parseDeps(rule string) []string {
	_, rest, ok := strings.Cut(rule, ":")
	if !ok {
		return nil
	}
	var files []string
	for {
		rest = strings.TrimLeft(rest, " \n")
		if strings.HasPrefix(rest, "\\\n") {
			rest = rest[2:]
			continue
		}
		if rest == "" {
			return files
		}
		var name string
		name, rest = parseName(rest)
		files = append(files, name)
	}
}

// parseName splits s, which is not empty, after its first name.
func parseName(s string) (name, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); {
		switch c := s[i]; c {
		case ' ', '\n':
			return b.String(), s[i:]
		case '$':
			i++
			if i < len(s) && s[i] == '$' {
				i++
			}
			b.WriteByte('$')
		case '\\':
			run := len(s[i:]) - len(strings.TrimLeft(s[i:], "\\"))
			text, used := unescape(s[i:], run)
			b.WriteString(text)
			i += used
		default:
			b.WriteByte(c)
			i++
		}
	}
	return b.String(), ""
}

// unescape decodes the run of backslashes at the start of s, together with what they escape, and
// returns how many bytes of s that was.
func unescape(s string, run int) (text string, used int) {
	next := byte(0)
	if run < len(s) {
		next = s[run]
	}
	switch {
	case next == ' ' && run%2 == 1:
		return s[:run/2] + " ", run + 1
	case next == '#':
		return s[:run-1] + "#", run + 1
	}
	return s[:run], run
}
