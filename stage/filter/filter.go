// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"cmp"
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// bound is a filter for the rows of one schema. It is not safe for use by several goroutines at
// once.
type bound struct {
	terms []term
	buf   []byte
}

func (p *bound) holds(b *event.Batch, row int) bool {
	for i := range p.terms {
		if !p.terms[i].holds(b, row, &p.buf) {
			return false
		}
	}
	return true
}

// keep is a [pipeline.Func].
func (p *bound) keep(b *event.Batch) error {
	b.Keep(func(row int) bool { return p.holds(b, row) })
	return nil
}

// Bind prepares the filter for the rows of a schema. The filter may name all of its fields. The returned
// function reports whether the filter holds for a row. Like the schema's own functions, only one
// goroutine may use it. Errors are of type [*Error].
func (f *Filter) Bind(s *event.Schema) (func(b *event.Batch, row int) bool, error) {
	v := viewOf(s)
	p, err := f.compile(v, []view{v})
	if err != nil {
		return nil, err
	}
	return p.holds, nil
}

// compile prepares the comparisons whose field is in v. Comparisons of fields that only another view has
// do not apply to the events of v.
func (f *Filter) compile(v view, all []view) (*bound, error) {
	p := &bound{}
	for i := range f.clauses {
		c := &f.clauses[i]
		field, ok := v.find(c.field)
		if !ok {
			if err := c.checkUnknown(v, all); err != nil {
				return nil, f.errorAt(c.fieldAt, err)
			}
			continue
		}
		o, err := newOperand(v, field)
		if err != nil {
			return nil, f.errorAt(c.fieldAt, err)
		}
		t, err := newTerm(o, c.op, c.value)
		if err != nil {
			return nil, f.errorAt(c.valueAt, err)
		}
		p.terms = append(p.terms, t)
	}
	slices.SortStableFunc(p.terms, func(a, b term) int { return cmp.Compare(a.cost(), b.cost()) })
	return p, nil
}

// checkUnknown returns an error if no view has the clause's field. v is known to lack it.
func (c *clause) checkUnknown(v view, all []view) error {
	for _, other := range all {
		if _, ok := other.find(c.field); ok {
			return nil
		}
	}
	if v.isAround(c.field) {
		return isStruct(v, c.field)
	}
	return newUnknownField(c.field, all)
}

// bind implements condition.
func (f *Filter) bind(v view, all []view) (pipeline.Func, error) {
	p, err := f.compile(v, all)
	if err != nil || len(p.terms) == 0 {
		return nil, err
	}
	return p.keep, nil
}

// addNeed adds the fields of v that the filter reads.
func (f *Filter) addNeed(v view, need *event.FieldSet) {
	for i := range f.clauses {
		if field, ok := v.find(f.clauses[i].field); ok {
			need.Add(field)
		}
	}
}
