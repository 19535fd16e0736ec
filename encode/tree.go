// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/event"
)

// node is a place in the tree of names that json and yaml nest: a value, or an object of others.
type node struct {
	name  string
	field int // index in Schema.Fields, or object
	kids  []*node
}

// object is the field of nodes that are objects.
const object = -1

// newTree nests the fields by their names and sorts each object's members by the bytes of their
// names. Only names count, so that every key is unique in its object: if several fields have the same
// place, the last one in the schema gets it. A value that replaces an object removes the object's
// members; an object that needs the place of a value removes the value.
func newTree(s *event.Schema, fields []int) *node {
	root := &node{field: object}
	for _, i := range slices.Sorted(slices.Values(fields)) {
		at := root
		parts := strings.Split(strings.ToValidUTF8(s.Fields[i].Name, replacement), ".")
		for _, part := range parts[:len(parts)-1] {
			at = at.kid(part)
			at.field = object
		}
		leaf := at.kid(parts[len(parts)-1])
		leaf.field, leaf.kids = i, nil
	}
	return root
}

// kid returns the member of that name, and makes it if there is none.
func (n *node) kid(name string) *node {
	i, found := slices.BinarySearchFunc(n.kids, name, func(k *node, name string) int {
		return strings.Compare(k.name, name)
	})
	if !found {
		n.kids = slices.Insert(n.kids, i, &node{name: name, field: object})
	}
	return n.kids[i]
}

// leaves returns the number of values within the node.
func (n *node) leaves() (sum int) {
	if n.field != object {
		return 1
	}
	for _, kid := range n.kids {
		sum += kid.leaves()
	}
	return sum
}

// treeFields returns the fields that nested output writes: the chosen ones, with the members of a struct in
// its place, or by default all fields for nested output.
func treeFields(s *event.Schema, chosen []int) []int {
	if chosen == nil {
		return nestedDefault(s)
	}
	var out []int
	for _, i := range chosen {
		if s.Fields[i].Kind != event.Struct {
			out = append(out, i)
			continue
		}
		for _, m := range nestedDefault(s) {
			if event.IsUnder(s.Fields[m].Name, s.Fields[i].Name) {
				out = append(out, m)
			}
		}
	}
	return out
}
