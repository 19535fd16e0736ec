// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

// The limits of a file, which may be hostile.
const (
	maxSize     = 1 << 20 // bytes
	maxReread   = 4 << 20 // bytes times lines, to find the place of an error
	maxDepth    = 32      // mappings and lists in each other
	maxProblems = 100     // reported
)

// readTree turns the text into a tree and returns its top, or nil for an empty file. A problem here
// leaves nothing to look at further.
func readTree(data []byte) (*yaml.Node, *Problem) {
	doc, broken := readDocument(data)
	if doc == nil {
		return nil, broken
	}
	return doc.Content[0], nil
}

// readDocument is readTree with what surrounds the tree: comments at its start and end. The tree has no aliases.
func readDocument(data []byte) (*yaml.Node, *Problem) {
	if len(data) > maxSize {
		return nil, &Problem{Err: fmt.Errorf("the file has %d bytes; at most %d are read", len(data), maxSize)}
	}
	if p := checkText(data); p != nil {
		return nil, p
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, syntaxProblem(err, data)
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, at(&second, errors.New("a second document starts here; a gadget.yaml is one document"))
	case !errors.Is(err, io.EOF):
		return nil, syntaxProblem(err, data)
	}
	if p := writeOut(&doc); p != nil {
		return nil, p
	}
	return &doc, nil
}

// checkText finds the first character that a file must not contain, because the YAML library does not report its
// place.
func checkText(data []byte) *Problem {
	pos := Pos{Line: 1, Column: 1}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return &Problem{Pos: pos, Err: fmt.Errorf("the byte 0x%02x is not valid UTF-8; the file must be UTF-8 text", data[i])}
		case r == '\n':
			pos = Pos{Line: pos.Line + 1}
		case r == '\t' || r == '\r' || r == 0x85:
		case unicode.IsControl(r), r == 0xFFFE, r == 0xFFFF, r == 0xFEFF && i > 0:
			return &Problem{Pos: pos, Err: fmt.Errorf("the character %q is not allowed; in quotes it can be written as an escape", r)}
		}
		pos.Column++
		i += size
	}
	return nil
}

var yamlMessage = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntaxProblem makes a problem of the YAML library's message.
func syntaxProblem(err error, data []byte) *Problem {
	parts := yamlMessage.FindStringSubmatch(err.Error())
	if parts == nil {
		return &Problem{Err: fmt.Errorf("not valid YAML: %w", err)}
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	n, ok := brokenLine(lines)
	if !ok {
		n, _ = strconv.Atoi(parts[1])
		n = min(max(n, 1), len(lines))
	}
	indent := indentOf(lines[n-1])
	if tab := bytes.IndexByte(indent, '\t'); tab >= 0 {
		return &Problem{Pos: Pos{n, tab + 1}, Err: errors.New("a tab in the indentation; YAML takes spaces only")}
	}
	return &Problem{Pos: Pos{n, len(indent) + 1}, Err: fmt.Errorf("not valid YAML: %s%s", parts[2], yamlAdvice()[parts[2]])}
}

// yamlAdvice adds advice to some of the YAML library's messages.
func yamlAdvice() map[string]string {
	return map[string]string{
		"mapping values are not allowed in this context": `; a text with ": " in it needs quotes, and the lines of a mapping the same indentation`,
		"found character that cannot start any token":    "; a text that starts with a special character needs quotes",
		"could not find expected ':'":                    "; want KEY: VALUE",
		"found unexpected end of stream":                 "; is a quote missing?",
		"did not find expected ',' or ']'":               "; is a comma or a bracket missing?",
		"did not find expected ',' or '}'":               "; is a comma or a brace missing?",
	}
}

// brokenLine returns the number of the line that breaks the text: the line after the longest valid beginning of
// the text. The YAML library reports the start of the surrounding block or an adjacent line,
// depending on the error. brokenLine gives up and returns false if it would have to read too much.
func brokenLine(lines [][]byte) (int, bool) {
	size := 0
	for _, line := range lines {
		size += len(line)
	}
	if size*len(lines) > maxReread {
		return 0, false
	}
	text := bytes.Join(lines, nil)
	for n := len(lines) - 1; n > 0; n-- {
		text = text[:len(text)-len(lines[n])]
		if isYAML(text) {
			return n + 1, true
		}
	}
	return 1, true
}

func isYAML(text []byte) bool {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		if err := decoder.Decode(&doc); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

func indentOf(line []byte) []byte {
	return line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
}

// at makes a problem at the place of a node.
func at(n *yaml.Node, err error) *Problem {
	return &Problem{Pos: Pos{n.Line, n.Column}, Err: err}
}

// cleaner walks over a tree, and reports and removes constructs that a gadget.yaml must not contain.
type cleaner struct{ problems []*Problem }

func (c *cleaner) report(n *yaml.Node, format string, args ...any) {
	c.problems = append(c.problems, at(n, fmt.Errorf(format, args...)))
}

func (c *cleaner) clean(n *yaml.Node, depth int) {
	if n.Style&yaml.TaggedStyle != 0 && n.ShortTag() != "!!str" {
		c.report(n, "the tag %s is not accepted", annotation.Quote(n.Tag))
	}
	if n.Kind == yaml.ScalarNode {
		return
	}
	if depth > maxDepth {
		c.report(n, "mappings and lists are nested more than %d deep", maxDepth)
		n.Content = nil
		return
	}
	if n.Kind == yaml.MappingNode {
		c.checkKeys(n)
	}
	for _, child := range n.Content {
		c.clean(child, depth+1)
	}
}

// checkKeys keeps the pairs of a mapping whose keys are usable.
func (c *cleaner) checkKeys(n *yaml.Node) {
	first := make(map[string]int)
	var kept []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		line, twice := first[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode:
			c.report(key, "a key must be a single word or text")
		case key.Value == "" || strings.ContainsFunc(key.Value, unicode.IsControl):
			c.report(key, "%s cannot be a key", annotation.Quote(key.Value))
		case twice:
			c.problems = append(c.problems, at(key, twiceError(key.Value, line)))
		default:
			first[key.Value] = key.Line
			kept = append(kept, key, n.Content[i+1])
		}
	}
	n.Content = kept
}
