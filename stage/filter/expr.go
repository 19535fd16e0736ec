// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"errors"
	"fmt"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// memoryBudget is how many elements of lists and similar values an expression may make for one event.
const memoryBudget = 100_000

// expression is a filter in the language of expr.
type expression struct{ text string }

// parseExpr checks the syntax of an expression.
func parseExpr(text string) (*expression, error) {
	if len(text) > maxLength {
		return nil, errorAt(text, 0, fmt.Errorf("an expression can have at most %d bytes, and this one has %d", maxLength, len(text)))
	}
	config := conf.CreateNew()
	expr.Function(cidrName, cidr, cidrType)(config)
	if _, err := parser.ParseWithConfig(text, config); err != nil {
		return nil, exprError(text, err)
	}
	return &expression{text}, nil
}

// exprError converts an error of expr to this package's Error.
func exprError(text string, err error) error {
	var at *file.Error
	if !errors.As(err, &at) {
		if strings.HasPrefix(err.Error(), "expected bool") {
			err = fmt.Errorf("an expression must be true or false: %w", err)
		}
		return errorAt(text, 0, err)
	}
	cause := error(errors.New(at.Message))
	if at.Prev != nil {
		cause = at.Prev
	}
	return errorAt(text, at.From, cause)
}

// cursor is the event that the functions of a program read.
type cursor struct {
	batch *event.Batch
	row   int
	buf   []byte
}

// program is an expression that is bound to a schema.
type program struct {
	text   string
	code   *vm.Program
	cursor *cursor
	vm     vm.VM
	fields event.FieldSet
}

// compile translates the expression for the fields of v. Fields become calls of functions that
// read them.
func (e *expression) compile(v view) (*program, error) {
	r := newResolver(v)
	code, err := expr.Compile(e.text,
		func(c *conf.Config) { r.config = c },
		expr.Env(nil), // the resolver alone defines names
		expr.Function(cidrName, cidr, cidrType),
		expr.Patch(declarations{r}),
		expr.Patch(r),
		expr.AsBool(),
		expr.WarnOnAny(),
	)
	r.finish()
	switch {
	case r.err != nil: // this comes first: the program makes no sense then
		return nil, errorAt(e.text, r.errAt.Location().From, r.err)
	case err != nil:
		return nil, exprError(e.text, err)
	}
	p := &program{text: e.text, code: code, cursor: r.cursor, vm: vm.VM{MemoryBudget: memoryBudget}}
	for _, o := range r.fields {
		p.fields.Add(o.index)
	}
	return p, nil
}

// holds evaluates the expression for a row.
func (p *program) holds(b *event.Batch, row int) (bool, error) {
	p.cursor.batch, p.cursor.row = b, row
	out, err := p.vm.Run(p.code, nil)
	if err != nil {
		return false, fmt.Errorf("the expression has no value for an event: %w", exprError(p.text, err))
	}
	is, _ := out.(bool) // always a bool: the compiler checked that
	return is, nil
}

// keep is a [pipeline.Func].
func (p *program) keep(b *event.Batch) error {
	var failed error
	b.Keep(func(row int) bool {
		if failed != nil {
			return true
		}
		is, err := p.holds(b, row)
		failed = err
		return is
	})
	p.cursor.batch = nil
	return failed
}

// bind makes the expression one of a stage.
func (e *expression) bind(v view, all []view) (pipeline.Func, error) {
	p, err := e.compile(v)
	if err == nil {
		return p.keep, nil
	}
	if errors.Is(err, errUnknown) && len(all) > 1 {
		return nil, e.checkElsewhere(v, all, err)
	}
	return nil, err
}

// checkElsewhere returns err, which says that v lacks a field, unless another view has all fields.
func (e *expression) checkElsewhere(v view, all []view, err error) error {
	for _, other := range all {
		if other.schema == v.schema {
			continue
		}
		if _, otherErr := e.compile(other); !errors.Is(otherErr, errUnknown) {
			return nil // binding the other view reports its errors
		}
	}
	return err
}

func (e *expression) addNeed(v view, need *event.FieldSet) {
	p, err := e.compile(v)
	if err != nil {
		return // Bind reports the error
	}
	for i := range v.fields {
		if p.fields.Has(i) {
			need.Add(i)
		}
	}
}

// declarations records the variables of an expression, before the resolver looks for fields.
type declarations struct{ *resolver }

func (d declarations) Visit(node *ast.Node) {
	if n, ok := (*node).(*ast.VariableDeclaratorNode); ok {
		d.variables[n.Name] = true
		if _, taken := d.view.find(n.Name); taken || d.view.isAround(n.Name) {
			d.fail(n, fmt.Errorf("%q is the name of a field; give the variable another", n.Name))
		}
	}
}
