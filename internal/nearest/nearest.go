// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package nearest finds the name that a user meant when they typed another one.
package nearest

import (
	"strconv"
	"strings"
	"unicode"
)

// longest is the length in characters beyond which names are not compared: users do not type such
// names, and untrusted input must not cost time.
const longest = 64

// Name returns the name in names that is most similar to got: with one or two typing errors, in
// another case, with _ for -, or without the words before its last dot. If several are equally
// similar, the first wins. It returns false if no name is similar.
func Name(got string, names []string) (string, bool) {
	word := fold(got)
	if len(word) == 0 || len(word) > longest {
		return "", false
	}
	best, least := "", tolerance(len(word))+1
	for _, name := range names {
		if name == got {
			continue
		}
		if d := distance(word, fold(name), least); d < least {
			best, least = name, d
		}
	}
	if best != "" {
		return best, true
	}
	return byLastPart(string(word), names)
}

// Hint returns the end of an error message, `; did you mean "x"?`, or nothing where no name comes
// close to got.
func Hint(got string, names []string) string {
	name, ok := Name(got, names)
	if !ok {
		return ""
	}
	return "; did you mean " + strconv.Quote(name) + "?"
}

// fold makes spellings equal that people take for the same.
func fold(s string) []rune {
	return []rune(strings.Map(func(r rune) rune {
		if r == '_' {
			return '-'
		}
		return unicode.ToLower(r)
	}, s))
}

// tolerance is how many slips a word of n characters may have. It stays small: a wrong suggestion
// is worse than none.
func tolerance(n int) int {
	switch {
	case n < 2:
		return 0
	case n < 6:
		return 1
	case n < 12:
		return 2
	}
	return 3
}

// distance counts the characters to insert, remove, replace or swap with their neighbour to turn a
// into b. It returns limit at once if the lengths alone show that the distance is at least limit.
func distance(a, b []rune, limit int) int {
	if len(b) > longest || abs(len(a)-len(b)) >= limit {
		return limit
	}
	// Three lines of the usual table: the one before last is needed for swaps.
	var lines [3][longest + 1]int
	before, last, line := &lines[0], &lines[1], &lines[2]
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		line[0] = i
		for j := 1; j <= len(b); j++ {
			line[j] = min(last[j]+1, line[j-1]+1, last[j-1]+unequal(a[i-1], b[j-1]))
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				line[j] = min(line[j], before[j-2]+1)
			}
		}
		before, last, line = last, line, before
	}
	return last[len(b)]
}

func unequal(a, b rune) int {
	if a == b {
		return 0
	}
	return 1
}

func abs(n int) int { return max(n, -n) }

// byLastPart finds the shortest name that continues word to the left, "columns.hidden" for "hidden";
// failing that, the longest that word continues.
func byLastPart(word string, names []string) (string, bool) {
	whole, part := "", ""
	for _, name := range names {
		folded := string(fold(name))
		switch {
		case folded == "":
		case strings.HasSuffix(folded, "."+word):
			if whole == "" || len(name) < len(whole) {
				whole = name
			}
		case strings.HasSuffix(word, "."+folded):
			if len(name) > len(part) {
				part = name
			}
		}
	}
	if whole != "" {
		return whole, true
	}
	return part, part != ""
}
