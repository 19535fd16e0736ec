// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"fmt"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
)

// root is the name of the set of all fields in an expression: $env["in"] is the field called
// in, which is a keyword of the language.
const root = "$env"

// resolver replaces the names of fields in an expression's tree by calls of functions that read
// them, and comparisons of fields with constants by calls of functions that compare. The tree is
// walked from the leaves up.
type resolver struct {
	view      view
	cursor    *cursor
	config    *conf.Config
	variables map[string]bool

	// names are the full names of the fields and structs that nodes mean so far: for a.b.c first a,
	// then a.b.
	names map[ast.Node]string
	// fields are the calls that read a field.
	fields map[ast.Node]*fieldRef
	// structs are the nodes that mean a struct and need the name of a member.
	structs map[ast.Node]bool
	order   []ast.Node // of structs
	terms   int

	// The first error and its place.
	err   error
	errAt ast.Node
}

func newResolver(v view) *resolver {
	return &resolver{
		view:      v,
		cursor:    &cursor{},
		variables: make(map[string]bool),
		names:     make(map[ast.Node]string),
		fields:    make(map[ast.Node]*fieldRef),
		structs:   make(map[ast.Node]bool),
	}
}

// fieldRef is a field that an expression names.
type fieldRef struct {
	operand
	index int
}

// Visit resolves one node. It is called for a node's children first.
func (r *resolver) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		r.identifier(node, n)
	case *ast.MemberNode:
		r.member(node, n)
	case *ast.ChainNode:
		if r.fields[n.Node] != nil { // a?.b: a field always exists
			*node = n.Node
		}
	case *ast.BinaryNode:
		r.binary(node, n)
	case *ast.CallNode:
		r.call(node, n)
	}
}

func (r *resolver) fail(node ast.Node, err error) {
	if r.err == nil {
		r.err, r.errAt = err, node
	}
}

// finish reports structs without the name of a member.
func (r *resolver) finish() {
	for _, node := range r.order {
		switch {
		case !r.structs[node]:
		case r.names[node] == "":
			r.fail(node, fmt.Errorf("%s stands for all fields; name one of them", root))
		default:
			r.fail(node, isStruct(r.view, r.names[node]))
		}
	}
}

func (r *resolver) identifier(node *ast.Node, n *ast.IdentifierNode) {
	switch {
	case r.variables[n.Value]:
	case r.config.Functions[n.Value] != nil:
	case n.Value == root:
		r.await(n, "")
	default:
		r.read(node, n.Value)
	}
}

// await records that the node means a struct.
func (r *resolver) await(n ast.Node, name string) {
	r.structs[n], r.names[n] = true, name
	r.order = append(r.order, n)
}

func (r *resolver) member(node *ast.Node, n *ast.MemberNode) {
	above, ok := r.names[n.Node]
	property, isName := n.Property.(*ast.StringNode)
	if !ok || !isName {
		return
	}
	delete(r.structs, n.Node)
	delete(r.fields, n.Node)
	name := property.Value
	if above != "" {
		name = above + "." + name
	}
	r.read(node, name)
}

// read replaces a node by a call that reads the field of that name. A struct without a value needs
// a member.
func (r *resolver) read(node *ast.Node, name string) {
	i, found := r.view.find(name)
	if !found && !r.view.isAround(name) {
		r.fail(*node, newUnknownField(name, []view{r.view}))
		return
	}
	if !found {
		r.await(*node, name)
		return
	}
	o, err := newOperand(r.view, i)
	switch {
	case err == nil:
		r.replace(node, "field "+name, o.reader(r.cursor))
		r.fields[*node], r.names[*node] = &fieldRef{o, i}, name
	case r.view.isAround(name):
		r.await(*node, name)
	default:
		r.fail(*node, err)
	}
}

// function replaces a node: it takes no arguments, and its type tells the compiler
// what it returns.
type function struct {
	call func(...any) (any, error)
	typ  any
}

// replace replaces a node by a call of f. name is unique to f; it contains a blank, so that it differs from
// all names in an expression.
func (r *resolver) replace(node *ast.Node, name string, f function) {
	if r.config.Functions[name] == nil {
		expr.Function(name, f.call, f.typ)(r.config)
	}
	callee := &ast.IdentifierNode{Value: name}
	callee.SetLocation((*node).Location())
	ast.Patch(node, &ast.CallNode{Callee: callee})
}

// compare replaces a node by the test whether any of the terms holds.
func (r *resolver) compare(node *ast.Node, terms ...term) {
	r.terms++
	t := term{op: opAny, any: terms}
	if len(terms) == 1 {
		t = terms[0]
	}
	c := r.cursor
	r.replace(node, fmt.Sprintf("term %d", r.terms), function{
		call: func(...any) (any, error) { return t.holds(c.batch, c.row, &c.buf), nil },
		typ:  new(func() bool),
	})
}
