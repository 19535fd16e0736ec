// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"bytes"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

// Object holds the names of a gadget that a gadget.yaml should mention.
type Object struct {
	// Name is the gadget's name if the file gives none.
	Name        string
	DataSources []ObjectSource
	Params      []ObjectParam
}

// ObjectSource is a data source.
type ObjectSource struct {
	Name   string
	Fields []ObjectField
}

// ObjectField is a field of a data source.
type ObjectField struct {
	// Name is the full name.
	Name string
	// Described says that the field has a description without the file's help.
	Described bool
}

// ObjectParam is a param.
type ObjectParam struct {
	// Var is the C variable.
	Var string
	// Key is the name that users know, and Default the initial value; empty for none.
	Key, Default string
}

// toDescribe marks descriptions that only the author can write.
const toDescribe = "# describe me"

// Update returns data, the text of a gadget.yaml, with an entry for everything of the object that it
// does not mention yet, and the number of those entries. Where a description is missing it writes an empty one,
// with a comment. It keeps the existing text, comments included; only
// blank lines and indentation may change. If nothing is missing it returns the text unchanged.
//
// If Parse does not accept the text, Update returns the error of Parse. The name is the file's name, for
// messages.
func Update(name string, data []byte, o *Object) ([]byte, int, error) {
	if _, err := Parse(name, data); err != nil {
		return nil, 0, err
	}
	doc, _ := readDocument(data) // Parse would have reported a problem
	var before []byte
	if doc == nil {
		before = withNewline(data) // comments at most
		doc = &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{newMapping()}}
	}
	u := &updater{parents: make(map[*yaml.Node]*yaml.Node)}
	u.update(doc.Content[0], o)
	if u.added == 0 {
		return data, 0, nil
	}
	text, err := encodeNode(doc)
	if err != nil {
		return nil, 0, err
	}
	text = slices.Concat(before, text)
	if _, err := Parse(name, text); err != nil {
		return nil, 0, fmt.Errorf("cannot extend %s: the result is not valid: %w", name, err)
	}
	return text, u.added, nil
}

func withNewline(text []byte) []byte {
	if len(text) == 0 || bytes.HasSuffix(text, []byte("\n")) {
		return text
	}
	return append(slices.Clip(text), '\n')
}

// updater adds entries to a tree.
type updater struct {
	added   int
	parents map[*yaml.Node]*yaml.Node // of those that were entered
}

func (u *updater) update(root *yaml.Node, o *Object) {
	order := metadataShape().names()
	u.put(root, keyName, order, newText(o.Name))
	u.put(root, keyDescription, order, newDescription())
	var sources, vars []string
	for _, s := range o.DataSources {
		sources = append(sources, s.Name)
	}
	for _, s := range o.DataSources {
		u.updateSource(u.enter(root, keyDataSources, order), &s, sources)
	}
	for _, p := range o.Params {
		vars = append(vars, p.Var)
	}
	for _, p := range o.Params {
		params := u.enter(root, keyParams, order)
		u.put(u.enter(params, keyEBPF, paramsShape().names()), p.Var, vars, newParam(&p))
	}
}

func (u *updater) updateSource(sources *yaml.Node, s *ObjectSource, order []string) {
	if indexKey(sources, s.Name) < 0 {
		entry := newMapping()
		addPair(entry, keyAnnotations, newAnnotations(false))
		u.put(sources, s.Name, order, entry)
	}
	source := u.enter(sources, s.Name, order)
	var names []string
	for _, f := range s.Fields {
		names = append(names, f.Name)
	}
	for _, f := range s.Fields {
		entry := newMapping()
		addPair(entry, keyAnnotations, newAnnotations(f.Described))
		u.put(u.enter(source, keyFields, dataSourceShape().names()), f.Name, names, entry)
	}
}

// put adds a pair to a mapping, after the keys that come before it in order, unless the key exists.
func (u *updater) put(n *yaml.Node, key string, order []string, value *yaml.Node) {
	if indexKey(n, key) >= 0 {
		return
	}
	u.added++
	u.insert(n, key, order, value)
}

func (u *updater) insert(n *yaml.Node, key string, order []string, value *yaml.Node) {
	if isNull(n) {
		n.Kind, n.Tag, n.Value = yaml.MappingNode, "!!map", ""
	}
	for up := n; up != nil; up = u.parents[up] {
		up.Style &^= yaml.FlowStyle // in which there is no good place for comments
	}
	n.Content = slices.Insert(n.Content, placeFor(n, key, order), newText(key), value)
}

// placeFor returns the index in the content of a mapping after the keys that come before key in order.
func placeFor(n *yaml.Node, key string, order []string) int {
	for i := slices.Index(order, key) - 1; i >= 0; i-- {
		if j := indexKey(n, order[i]); j >= 0 {
			return j + 2
		}
	}
	return 0
}

// enter returns the value at a key, a mapping or nothing at all. If the key is missing it is added.
func (u *updater) enter(n *yaml.Node, key string, order []string) *yaml.Node {
	if indexKey(n, key) < 0 {
		u.insert(n, key, order, newMapping())
	}
	value := n.Content[indexKey(n, key)+1]
	u.parents[value] = n
	return value
}

func newDescription() *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, LineComment: toDescribe}
}

// newAnnotations returns an empty mapping, or one with an empty description to fill in.
func newAnnotations(described bool) *yaml.Node {
	n := newMapping()
	if !described {
		addPair(n, keyDescription, newDescription())
	}
	return n
}

func newParam(p *ObjectParam) *yaml.Node {
	n := newMapping()
	addPair(n, keyKey, newText(p.Key))
	// Not every text of a C variable can be written to the file.
	if p.Default != "" && (annotation.Value{Kind: annotation.Line}).Check(p.Default) == nil {
		addPair(n, keyDefault, newText(p.Default))
	}
	addPair(n, keyDescription, newDescription())
	return n
}
