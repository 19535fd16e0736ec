// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

// reader goes through a clean tree and collects problems and places.
type reader struct {
	positions map[string]Pos
	problems  []*Problem
}

func (r *reader) report(n *yaml.Node, err error) { r.problems = append(r.problems, at(n, err)) }

func (r *reader) reportUnknown(key *yaml.Node, known []string) {
	r.report(key, &annotation.UnknownError{What: "key", Name: key.Value, Known: known})
}

// pair is a key of a mapping and its value.
type pair struct{ key, value *yaml.Node }

// pairs returns the content of a mapping. A missing value counts as an empty mapping: authors often leave
// the key of a section in the file.
func (r *reader) pairs(path []string, n *yaml.Node) []pair {
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		r.wrongKind(path, n, "a mapping, that is, lines of the form KEY: VALUE")
		return nil
	}
	list := make([]pair, 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		list = append(list, pair{n.Content[i], n.Content[i+1]})
	}
	return list
}

// enter remembers the place of a pair and returns the path of its value.
func (r *reader) enter(path []string, p pair) []string {
	path = append(slices.Clip(path), p.key.Value)
	n := p.key
	if p.value.Kind == yaml.ScalarNode && !isNull(p.value) {
		n = p.value
	}
	r.positions[joinPath(path)] = Pos{n.Line, n.Column}
	return path
}

// scalar returns the text of a single value as it was written, without quotes. Nothing at all is
// the empty text.
func (r *reader) scalar(path []string, n *yaml.Node) (string, bool) {
	switch {
	case isNull(n):
		return "", true
	case n.Kind == yaml.ScalarNode:
		return n.Value, true
	}
	r.wrongKind(path, n, "a single value")
	return "", false
}

func (r *reader) wrongKind(path []string, n *yaml.Node, want string) {
	what := "the file"
	if len(path) > 0 {
		what = label(path)
	}
	r.report(n, fmt.Errorf("%s: want %s; got %s", what, want, kindOf(n)))
}

// label names the entry at path, for the start of a message. It quotes names that could garble the
// message.
func label(path []string) string {
	name := path[len(path)-1]
	if quoted := annotation.Quote(name); quoted != `"`+name+`"` || strings.ContainsAny(name, " :") {
		return quoted
	}
	return name
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

func (r *reader) reportTwice(key *yaml.Node, line int) { r.report(key, twiceError(key.Value, line)) }

func twiceError(key string, line int) error {
	return fmt.Errorf("the key %s is given a second time; the first is on line %d", annotation.Quote(key), line)
}

// checkValue reports a text that is not of the form that is wanted.
func (r *reader) checkValue(path []string, n *yaml.Node, v annotation.Value, text string) bool {
	err := v.Check(text)
	if err != nil {
		r.report(n, fmt.Errorf("%s: %w", label(path), err))
	}
	return err == nil
}

// reportAnnotation reports the key if that is unknown, and otherwise the value.
func (r *reader) reportAnnotation(p pair, err error) {
	n := p.value
	if unknown := (*annotation.UnknownError)(nil); errors.As(err, &unknown) && unknown.What == "annotation" {
		n = p.key
	}
	r.report(n, err)
}
