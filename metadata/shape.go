// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

// shape is a form that a value in the file has: how it is read into a T, written, and described in
// the JSON Schema.
type shape[T any] interface {
	// read reports problems to r; dst may then hold only a part.
	read(r *reader, path []string, n *yaml.Node, dst *T)
	// fold brings the keys of a tree that may not be right into the spelling of the tables.
	fold(n *yaml.Node)
	// write returns nil if there is nothing to write.
	write(src *T) *yaml.Node
	schema() *schema
}

// object is a mapping with certain keys.
type object[T any] struct {
	members []member[T]
	// dotted accepts "perf.type: x" for "perf: {type: x}".
	dotted bool
}

// member is a key of an object.
type member[T any] struct {
	name, doc string
	read      func(r *reader, path []string, n *yaml.Node, dst *T)
	fold      func(n *yaml.Node)
	write     func(src *T) *yaml.Node
	schema    func() *schema
}

// key makes a member whose value has the shape s and its place where the function says.
func key[T, V any](name, doc string, place func(*T) *V, s shape[V]) member[T] {
	return member[T]{
		name:   name,
		doc:    doc,
		read:   func(r *reader, path []string, n *yaml.Node, dst *T) { s.read(r, path, n, place(dst)) },
		fold:   s.fold,
		write:  func(src *T) *yaml.Node { return s.write(place(src)) },
		schema: s.schema,
	}
}

// within makes members of a part of T members of T.
func within[T, V any](place func(*T) *V, members []member[V]) []member[T] {
	list := make([]member[T], len(members))
	for i, m := range members {
		list[i] = member[T]{
			name:   m.name,
			doc:    m.doc,
			read:   func(r *reader, path []string, n *yaml.Node, dst *T) { m.read(r, path, n, place(dst)) },
			fold:   m.fold,
			write:  func(src *T) *yaml.Node { return m.write(place(src)) },
			schema: m.schema,
		}
	}
	return list
}

func (o object[T]) names() []string {
	names := make([]string, len(o.members))
	for i, m := range o.members {
		names[i] = m.name
	}
	return names
}

func (o object[T]) read(r *reader, path []string, n *yaml.Node, dst *T) {
	names := o.names()
	if o.dotted {
		n = r.nest(n, names)
	}
	for _, p := range r.pairs(path, n) {
		i := slices.Index(names, p.key.Value)
		if i < 0 {
			r.reportUnknown(p.key, names)
			continue
		}
		o.members[i].read(r, r.enter(path, p), p.value, dst)
	}
}

func (o object[T]) write(src *T) *yaml.Node {
	n := newMapping()
	for _, m := range o.members {
		if value := m.write(src); value != nil {
			addPair(n, m.name, value)
		}
	}
	if len(n.Content) == 0 {
		return nil
	}
	return n
}

// dict is a mapping whose keys are names of things.
type dict[V any] struct{ value shape[V] }

func (d dict[V]) read(r *reader, path []string, n *yaml.Node, dst *map[string]V) {
	for _, p := range r.pairs(path, n) {
		if *dst == nil {
			*dst = make(map[string]V)
		}
		sub := r.enter(path, p)
		r.positions[joinPath(sub)] = Pos{p.key.Line, p.key.Column}
		var v V
		d.value.read(r, sub, p.value, &v)
		(*dst)[p.key.Value] = v
	}
}

func (d dict[V]) write(src *map[string]V) *yaml.Node {
	if len(*src) == 0 {
		return nil
	}
	n := newMapping()
	for _, name := range slices.Sorted(maps.Keys(*src)) {
		v := (*src)[name]
		value := d.value.write(&v)
		if value == nil {
			value = newNothing() // the name alone says something
		}
		addPair(n, name, value)
	}
	return n
}

// text is a single value that stays text.
type text struct{ kind annotation.ValueKind }

func (t text) read(r *reader, path []string, n *yaml.Node, dst *string) {
	if s, ok := r.scalar(path, n); ok && r.checkValue(path, n, annotation.Value{Kind: t.kind}, s) {
		*dst = s
	}
}

func (t text) write(src *string) *yaml.Node {
	if *src == "" {
		return nil
	}
	return newText(*src)
}

// optionalText is text that may be missing: an empty text differs from a missing one.
type optionalText struct{ text }

func (t optionalText) read(r *reader, path []string, n *yaml.Node, dst **string) {
	var s string
	t.text.read(r, path, n, &s)
	*dst = &s
}

func (t optionalText) write(src **string) *yaml.Node {
	if *src == nil {
		return nil
	}
	return newText(**src)
}

// yesNo is true or false.
type yesNo struct{}

var boolValue = annotation.Value{Kind: annotation.Bool}

func (yesNo) read(r *reader, path []string, n *yaml.Node, dst *bool) {
	if s, ok := r.scalar(path, n); ok && r.checkValue(path, n, boolValue, s) {
		yes, _ := annotation.BoolTexts()
		*dst = slices.Contains(yes, s)
	}
}

func (yesNo) write(src *bool) *yaml.Node {
	if !*src {
		return nil
	}
	return newBare("true")
}

// number is a whole number from 1 to most.
type number struct{ most int }

func (s number) value() annotation.Value {
	return annotation.Value{Kind: annotation.Whole, Min: 1, Max: s.most}
}

func (s number) read(r *reader, path []string, n *yaml.Node, dst *uint64) {
	if text, ok := r.scalar(path, n); ok && r.checkValue(path, n, s.value(), text) {
		*dst, _ = strconv.ParseUint(text, 10, 64) // cannot fail after the check
	}
}

func (number) write(src *uint64) *yaml.Node {
	if *src == 0 {
		return nil
	}
	return newBare(strconv.FormatUint(*src, 10))
}

// span is a length of time; zero says that it may be 0.
type span struct{ zero bool }

var spanValue = annotation.Value{Kind: annotation.Duration}

func (s span) read(r *reader, path []string, n *yaml.Node, dst *time.Duration) {
	text, ok := r.scalar(path, n)
	if !ok || isNull(n) || !r.checkValue(path, n, spanValue, text) {
		return
	}
	*dst, _ = time.ParseDuration(text) // cannot fail after the check
	if *dst == 0 && !s.zero {
		r.report(n, fmt.Errorf("%s: want more than 0", label(path)))
	}
}

func (span) write(src *time.Duration) *yaml.Node {
	if *src == 0 {
		return nil
	}
	return newText(src.String())
}

// count is a number of things; 0 for no limit.
type count struct{}

var countValue = annotation.Value{Kind: annotation.Whole, Max: math.MaxInt32}

func (count) read(r *reader, path []string, n *yaml.Node, dst *int) {
	if text, ok := r.scalar(path, n); ok && !isNull(n) && r.checkValue(path, n, countValue, text) {
		*dst, _ = strconv.Atoi(text) // cannot fail after the check
	}
}

func (count) write(src *int) *yaml.Node {
	if *src == 0 {
		return nil
	}
	return newBare(strconv.Itoa(*src))
}

// texts is a list of single values.
type texts struct{ text }

func (t texts) read(r *reader, path []string, n *yaml.Node, dst *[]string) {
	switch {
	case isNull(n):
		return
	case n.Kind != yaml.SequenceNode:
		r.wrongKind(path, n, "a list, that is, lines of the form - VALUE")
		return
	}
	for _, child := range n.Content {
		var s string
		t.text.read(r, path, child, &s)
		*dst = append(*dst, s)
	}
}

func (texts) write(src *[]string) *yaml.Node {
	if len(*src) == 0 {
		return nil
	}
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, s := range *src {
		n.Content = append(n.Content, newText(s))
	}
	return n
}

// tree is a mapping whose content is for other code to read.
type tree struct{}

func (tree) read(r *reader, path []string, n *yaml.Node, dst **yaml.Node) {
	if len(r.pairs(path, n)) > 0 {
		*dst = n
	}
}

func (tree) write(src **yaml.Node) *yaml.Node {
	if *src == nil {
		return nil
	}
	return plainCopy(*src)
}

// operatorTree is a tree with parts that gizmo knows.
type operatorTree struct{ tree }

func (operatorTree) fold(n *yaml.Node) { operatorShape().fold(n) }

// annotations is a mapping of the annotations in a table.
type annotations[T any] struct {
	keys []annotation.Key[T]
	// whole checks annotations that depend on each other.
	whole func(annotation.Set) error
}

func (a annotations[T]) read(r *reader, path []string, n *yaml.Node, dst *annotation.Set) {
	for _, p := range r.pairs(path, n) {
		sub := r.enter(path, p)
		s, ok := r.scalar(sub, p.value)
		if !ok {
			continue
		}
		if err := annotation.CheckKey(a.keys, p.key.Value, s); err != nil {
			r.reportAnnotation(p, err)
			continue
		}
		if *dst == nil {
			*dst = make(annotation.Set)
		}
		(*dst)[p.key.Value] = s
	}
	// This is also done if there are problems: the rest is used if all of them are unknown keys.
	if err := a.whole(*dst); err != nil {
		r.report(n, err)
	}
}

func (a annotations[T]) write(src *annotation.Set) *yaml.Node {
	if len(*src) == 0 {
		return nil
	}
	n := newMapping()
	for _, name := range slices.Sorted(maps.Keys(*src)) {
		addPair(n, name, newAnnotation((*src)[name]))
	}
	return n
}
