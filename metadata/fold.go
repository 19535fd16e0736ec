// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

// Keys of a gadget.yaml are the same in capitals and small letters: files in the wild have dataSources
// and columns.maxWidth. The names of things stay as they are; see Fit for those.

// eachPair calls f for the pairs of a mapping.
func eachPair(n *yaml.Node, f func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		f(n.Content[i], n.Content[i+1])
	}
}

func (o object[T]) fold(n *yaml.Node) {
	eachPair(n, func(key, value *yaml.Node) {
		for _, m := range o.members {
			rest, isDotted := "", false
			if o.dotted && len(key.Value) > len(m.name) && key.Value[len(m.name)] == '.' {
				rest, isDotted = key.Value[len(m.name):], true
			}
			switch {
			case strings.EqualFold(key.Value, m.name):
				key.Value = m.name
				m.fold(value)
				return
			case isDotted && strings.EqualFold(key.Value[:len(m.name)], m.name):
				inner := &yaml.Node{Kind: yaml.ScalarNode, Value: rest[1:]}
				m.fold(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{inner, value}})
				key.Value = m.name + "." + inner.Value
				return
			}
		}
	})
}

func (d dict[V]) fold(n *yaml.Node) {
	eachPair(n, func(_, value *yaml.Node) { d.value.fold(value) })
}

func (a annotations[T]) fold(n *yaml.Node) {
	eachPair(n, func(key, _ *yaml.Node) { key.Value = annotation.Canonical(a.keys, key.Value) })
}

func (text) fold(*yaml.Node)         {}
func (optionalText) fold(*yaml.Node) {}
func (yesNo) fold(*yaml.Node)        {}
func (number) fold(*yaml.Node)       {}
func (texts) fold(*yaml.Node)        {}
func (span) fold(*yaml.Node)         {}
func (count) fold(*yaml.Node)        {}
func (tree) fold(*yaml.Node)         {}
