// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// nest turns "perf.type: x" into "perf: {type: x}" in a copy of a mapping, for keys whose first
// part is in names. Both spellings are in use.
func (r *reader) nest(n *yaml.Node, names []string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return n
	}
	out := *n
	out.Content = nil
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if first, rest, ok := strings.Cut(key.Value, "."); ok && slices.Contains(names, first) {
			outer, inner := *key, *key
			outer.Value, inner.Value = first, rest
			key = &outer
			value = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{&inner, value}, Line: key.Line, Column: key.Column}
		}
		r.addNested(&out, key, value)
	}
	return &out
}

// addNested adds a pair to a mapping. If the key exists already, the two values must be
// mappings, and it merges them.
func (r *reader) addNested(n, key, value *yaml.Node) {
	i := indexKey(n, key.Value)
	if i < 0 {
		n.Content = append(n.Content, key, value)
		return
	}
	old := n.Content[i+1]
	if old.Kind != yaml.MappingNode || value.Kind != yaml.MappingNode {
		r.reportTwice(key, n.Content[i].Line)
		return
	}
	both := *old
	both.Content = slices.Clip(both.Content)
	for j := 0; j+1 < len(value.Content); j += 2 {
		if k := indexKey(&both, value.Content[j].Value); k >= 0 {
			r.reportTwice(value.Content[j], both.Content[k].Line)
			continue
		}
		both.Content = append(both.Content, value.Content[j], value.Content[j+1])
	}
	n.Content[i+1] = &both
}

// indexKey returns the index of a key in the content of a mapping, or -1.
func indexKey(n *yaml.Node, name string) int {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return i
		}
	}
	return -1
}
