// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// maxLength is how many bytes a filter or an expression may have. It limits the cost of parsing.
const maxLength = 16 << 10

// operator compares a field with a value.
type operator uint8

const (
	noOperator operator = iota
	equal
	unequal
	less
	lessEqual
	greater
	greaterEqual
	matches
	matchesNot
	// Only expressions have the operators below.
	contains
	startsWith
	endsWith
)

var operatorTexts = [...]string{
	equal: "==", unequal: "!=", less: "<", lessEqual: "<=", greater: ">", greaterEqual: ">=", matches: "~", matchesNot: "!~",
	contains: "contains", startsWith: "startsWith", endsWith: "endsWith",
}

// filterOperators are the operators of filters. An operator comes after all longer ones that begin with it.
var filterOperators = [...]operator{equal, unequal, lessEqual, greaterEqual, less, greater, matchesNot, matches}

// operatorChars are the characters that an operator can begin with. None of them can be a part of a name.
const operatorChars = "=!<>~"

// String returns the operator as it is written.
func (o operator) String() string { return operatorTexts[o] }

// isMatch reports whether the operator takes a regular expression.
func (o operator) isMatch() bool { return o == matches || o == matchesNot }

// isOrder reports whether the operator compares the order of two values.
func (o operator) isOrder() bool { return o >= less && o <= greaterEqual }

// Filter is a list of comparisons, all of which must hold. It is not bound to a schema yet.
type Filter struct {
	text    string
	clauses []clause
}

// clause is one comparison as the user wrote it.
type clause struct {
	field string
	op    operator
	value string
	// Where the parts begin in the text, in bytes.
	fieldAt, opAt, valueAt int
}

// String returns the filter as it was written.
func (f *Filter) String() string { return f.text }

// Parse reads a filter. Its errors are of type [*Error].
func Parse(text string) (*Filter, error) {
	if len(text) > maxLength {
		return nil, errorAt(text, 0, fmt.Errorf("a filter can have at most %d bytes, and this one has %d", maxLength, len(text)))
	}
	f := &Filter{text: text}
	for start := 0; start <= len(text); {
		end := clauseEnd(text, start)
		if err := f.parseClause(start, end); err != nil {
			return nil, err
		}
		start = end + 1
	}
	return f, nil
}

// clauseEnd returns the index of the comma that ends the clause, or that of the text's end.
func clauseEnd(text string, start int) int {
	for i := start; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case ',':
			return i
		}
	}
	return len(text)
}

var (
	errNoClause = errors.New("a comparison is missing; write FIELD==VALUE, and commas between several")
	errNoField  = errors.New("the name of a field is missing before the operator")
	errEscape   = errors.New(`nothing follows the backslash; write \\ for a backslash`)
)

func (f *Filter) parseClause(start, end int) error {
	part := f.text[start:end]
	name := strings.TrimLeft(part, blanks)
	c := clause{fieldAt: end - len(name)}
	i := strings.IndexAny(part, operatorChars)
	if i < 0 {
		return f.errorAt(c.fieldAt, missingOperator(strings.TrimRight(name, blanks)))
	}
	c.opAt = start + i
	c.field = strings.Trim(part[:i], blanks)
	op, length, err := readOperator(part[i:])
	switch {
	case err != nil:
		return f.errorAt(c.opAt, err)
	case c.field == "":
		return f.errorAt(c.opAt, errNoField)
	}
	value := strings.TrimLeft(part[i+length:], blanks)
	c.op, c.valueAt = op, end-len(value)
	var ok bool
	if c.value, ok = unescape(value); !ok {
		return f.errorAt(end-1, errEscape)
	}
	if op.isMatch() {
		if _, err := compileRegexp(c.value); err != nil {
			return f.errorAt(c.valueAt, err)
		}
	}
	f.clauses = append(f.clauses, c)
	return nil
}

func (f *Filter) errorAt(i int, err error) error { return errorAtByte(f.text, i, err) }

func missingOperator(name string) error {
	if name == "" {
		return errNoClause
	}
	return fmt.Errorf("%q is compared with nothing; write %s==VALUE, or another of %s after the name", name, name, operatorList())
}

func readOperator(text string) (op operator, length int, err error) {
	for _, op := range filterOperators {
		if strings.HasPrefix(text, op.String()) {
			return op, len(op.String()), nil
		}
	}
	end := 0
	for end < len(text) && end < 2 && strings.IndexByte(operatorChars, text[end]) >= 0 {
		end++
	}
	return noOperator, 0, fmt.Errorf("%q is not an operator; the operators are %s", text[:end], operatorList())
}

func operatorList() string {
	var texts []string
	for _, op := range filterOperators {
		texts = append(texts, op.String())
	}
	return strings.Join(texts, " ")
}

// blanks may surround names and values without being a part of them.
const blanks = " \t"

// unescape returns a value without its escapes and the blanks after it. Only a comma, a backslash
// and a blank can be escaped; before any other character a backslash is an ordinary character, as regular
// expressions need it. It returns false if nothing follows the last backslash.
func unescape(s string) (string, bool) {
	var out []byte
	kept := 0
	for i := 0; i < len(s); i++ {
		c, escaped := s[i], false
		if c == '\\' {
			if i+1 == len(s) {
				return "", false
			}
			if next := s[i+1]; strings.IndexByte(`,\`+blanks, next) >= 0 {
				c, escaped = next, true
				i++
			}
		}
		out = append(out, c)
		if escaped || strings.IndexByte(blanks, c) < 0 {
			kept = len(out)
		}
	}
	return string(out[:kept]), true
}

// compileRegexp is regexp.Compile with an error that quotes the pattern only once.
func compileRegexp(pattern string) (*regexp.Regexp, error) {
	r, err := regexp.Compile(pattern)
	var wrong *syntax.Error
	if errors.As(err, &wrong) {
		return nil, fmt.Errorf("regular expression %q: %s", shorten(pattern), wrong.Code)
	}
	return r, err
}
