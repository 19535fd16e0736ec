// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// foldLimit is the longest list of constants that is compared one by one. For longer lists, expr uses
// a map.
const foldLimit = 16

// foldable are the operators of expressions that compare a field with a constant, and the operators that
// replace them if the constant is on the left.
var foldable = map[string]struct{ op, flipped operator }{
	"==":         {equal, equal},
	"!=":         {unequal, unequal},
	"<":          {less, greater},
	"<=":         {lessEqual, greaterEqual},
	">":          {greater, less},
	">=":         {greaterEqual, lessEqual},
	"contains":   {contains, noOperator},
	"startsWith": {startsWith, noOperator},
	"endsWith":   {endsWith, noOperator},
	"matches":    {matches, noOperator},
}

// binary replaces a comparison of a field with a constant by a term. The other language consists of
// terms: they read the record in place, are exact for all 64 bits, and allocate
// nothing.
func (r *resolver) binary(node *ast.Node, n *ast.BinaryNode) {
	if n.Operator == "in" {
		r.in(node, n)
		return
	}
	known := foldable[n.Operator]
	op, field, value := known.op, r.fields[n.Left], n.Right
	if field == nil {
		op, field, value = known.flipped, r.fields[n.Right], n.Left
	}
	if field == nil || op == noOperator {
		return
	}
	if t, ok := r.fold(field, op, value); ok {
		r.compare(node, t)
	}
}

// in replaces the test whether a field is in a list of constants.
func (r *resolver) in(node *ast.Node, n *ast.BinaryNode) {
	field := r.fields[n.Left]
	list, ok := n.Right.(*ast.ArrayNode)
	if field == nil || !ok || len(list.Nodes) > foldLimit {
		return
	}
	terms := make([]term, 0, len(list.Nodes))
	for _, element := range list.Nodes {
		t, ok := r.fold(field, equal, element)
		if !ok {
			return
		}
		terms = append(terms, t)
	}
	r.compare(node, terms...)
}

// call replaces the test whether a field is an address in a given network.
func (r *resolver) call(node *ast.Node, n *ast.CallNode) {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return
	}
	if r.errAt == n.Callee { // the resolver took it for a field
		r.err = r.unknownFunction(callee.Value)
	}
	if callee.Value != cidrName || len(n.Arguments) != 2 {
		return
	}
	network, ok := n.Arguments[1].(*ast.StringNode)
	if !ok {
		return
	}
	if _, err := parseNetwork(network.Value); err != nil {
		r.fail(network, err)
	}
	if field := r.fields[n.Arguments[0]]; field != nil {
		t, err := newCIDR(field.operand, network.Value)
		if err != nil {
			r.fail(n.Arguments[0], err)
			return
		}
		r.compare(node, t)
	}
}

func (r *resolver) unknownFunction(name string) error {
	names := slices.Concat(slices.Collect(maps.Keys(r.config.Functions)), slices.Collect(maps.Keys(r.config.Builtins)))
	slices.Sort(names)
	return fmt.Errorf("there is no function %q%s", name, nearest.Hint(name, names))
}

// fold returns the term that compares a field with a node, if the node is a constant.
func (r *resolver) fold(field *fieldRef, op operator, node ast.Node) (term, bool) {
	c, ok := constant(node)
	if !ok || op >= matches && !field.isText() && !field.isHex() {
		return term{}, false
	}
	value, ok, err := field.literal(c)
	if err == nil && !ok {
		return term{}, false
	}
	var t term
	if err == nil {
		t, err = newTerm(field.operand, op, value)
	}
	if err != nil {
		r.fail(node, err)
	}
	return t, err == nil
}

// literal returns a constant in the notation of filters, and an error if the field cannot have
// such a value. It returns false if only expr can compare the two.
func (o *operand) literal(c any) (string, bool, error) {
	switch {
	case o.isText(), o.isHex():
		s, ok := c.(string)
		return s, ok, o.expect(ok, c, "strings")
	case o.Form() == event.FormBool:
		_, ok := c.(bool)
		return fmt.Sprint(c), ok, o.expect(ok, c, booleans)
	}
	switch c := c.(type) {
	case int:
		return strconv.Itoa(c), true, nil
	case float64:
		if o.Form() == event.FormFloat {
			return strconv.FormatFloat(c, 'g', -1, 64), true, nil
		}
		whole := c == math.Trunc(c) && math.Abs(c) < math.MaxInt64
		return strconv.FormatFloat(c, 'f', 0, 64), whole, nil
	}
	return "", false, o.expect(false, c, numbers)
}

// expect returns an error if the constant is not of the type that the field has.
func (o *operand) expect(is bool, c any, holds string) error {
	switch c := c.(type) {
	case nil:
		return fmt.Errorf("field %q (%s) always has a value, and never is nil", o.name, o.kind())
	case string:
		if !is {
			return o.mismatch(c, holds)
		}
	default:
		if !is {
			return fmt.Errorf("field %q (%s) holds %s, not %v", o.name, o.kind(), holds, c)
		}
	}
	return nil
}

// constant returns the value of a node, if it is the same for all events.
func constant(node ast.Node) (any, bool) {
	switch n := node.(type) {
	case *ast.IntegerNode:
		return n.Value, true
	case *ast.FloatNode:
		return n.Value, true
	case *ast.BoolNode:
		return n.Value, true
	case *ast.StringNode:
		return n.Value, true
	case *ast.NilNode:
		return nil, true
	}
	if !isArithmetic(node) {
		return nil, false
	}
	value, err := expr.Eval(node.String(), nil)
	return value, err == nil
}

// isArithmetic reports whether a node consists only of numbers and arithmetic operators.
func isArithmetic(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return true
	case *ast.UnaryNode:
		return n.Operator != "not" && n.Operator != "!" && isArithmetic(n.Node)
	case *ast.BinaryNode:
		return n.Operator != ".." && isArithmetic(n.Left) && isArithmetic(n.Right)
	}
	return false
}
