// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// maxCopied is how many nodes all aliases of a file may expand to. A real file has a few hundred; one
// that multiplies itself would take all memory.
const maxCopied = 1 << 16

// writeOut replaces each alias by a copy of its anchor's value, and each "<<" by the keys of the mappings that it
// names. A copy has the position of the alias, for messages, and no comments.
func writeOut(n *yaml.Node) *Problem {
	c := copier{open: make(map[*yaml.Node]bool)}
	return c.visit(n)
}

// copier copies the values of aliases.
type copier struct {
	copied int
	open   map[*yaml.Node]bool // those whose copy is not complete: an alias to one of them has no end
}

// visit writes out everything below a node of the file.
func (c *copier) visit(n *yaml.Node) *Problem {
	n.Anchor = ""
	for i, child := range n.Content {
		if child.Kind != yaml.AliasNode {
			if p := c.visit(child); p != nil {
				return p
			}
			continue
		}
		value, p := c.copy(child.Alias, child)
		if p != nil {
			return p
		}
		n.Content[i] = value
	}
	return merge(n)
}

// copy returns a copy of a node without aliases, with the position of an alias.
func (c *copier) copy(n, place *yaml.Node) (*yaml.Node, *Problem) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if c.copied++; c.copied > maxCopied {
		return nil, at(place, fmt.Errorf("the aliases expand to more than %d values", maxCopied))
	}
	if c.open[n] {
		return nil, at(place, errors.New("an alias of a value that it is part of"))
	}
	c.open[n] = true
	defer delete(c.open, n)
	out := &yaml.Node{Kind: n.Kind, Style: n.Style, Tag: n.Tag, Value: n.Value, Line: place.Line, Column: place.Column}
	for _, child := range n.Content {
		value, p := c.copy(child, place)
		if p != nil {
			return nil, p
		}
		out.Content = append(out.Content, value)
	}
	return out, merge(out)
}

// merge replaces the keys "<<" of a mapping by those of the mappings that they name. A key of the mapping itself
// takes precedence, and so does a key of an earlier mapping.
func merge(n *yaml.Node) *Problem {
	if n.Kind != yaml.MappingNode || !hasMerge(n) {
		return nil
	}
	taken := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		taken[n.Content[i].Value] = true
	}
	var content []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !isMerge(key) {
			content = append(content, key, value)
			continue
		}
		parts := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			parts = value.Content
		}
		for _, part := range parts {
			if part.Kind != yaml.MappingNode {
				return at(key, fmt.Errorf("<<: want an alias of a mapping, or a list of them; got %s", kindOf(part)))
			}
			content = appendNew(content, part, taken)
		}
	}
	n.Content = content
	return nil
}

// appendNew appends the pairs of a mapping whose keys are new.
func appendNew(content []*yaml.Node, from *yaml.Node, taken map[string]bool) []*yaml.Node {
	for i := 0; i+1 < len(from.Content); i += 2 {
		if key := from.Content[i]; !taken[key.Value] {
			taken[key.Value] = true
			content = append(content, key, from.Content[i+1])
		}
	}
	return content
}

func hasMerge(n *yaml.Node) bool {
	for i := 0; i < len(n.Content); i += 2 {
		if isMerge(n.Content[i]) {
			return true
		}
	}
	return false
}

func isMerge(key *yaml.Node) bool { return key.ShortTag() == "!!merge" }
