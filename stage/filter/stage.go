// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// Stage removes the events for which a filter does not hold. It is a [pipeline.Stage].
type Stage struct {
	rules []rule
	// views are the data sources to filter: those of the schemas that were extended, in that order.
	views []view
}

// rule is a filter and the name of its data source; an empty name means all of them.
type rule struct {
	source string
	condition
}

// condition is a filter in one of the languages.
type condition interface {
	// bind prepares the filter for the schema of v. A nil Func means that the filter does not apply to
	// it. all are the views that the filter is meant for, v among them.
	bind(v view, all []view) (pipeline.Func, error)
	addNeed(v view, need *event.FieldSet)
}

// New returns a stage that removes the events for which a filter does not hold. filters maps the names of data
// sources to texts for [Parse]. The empty name means all data sources; a comparison of that filter applies
// to the data sources that have its field.
func New(filters map[string]string) (*Stage, error) {
	return newStage(filters, func(text string) (condition, error) { return Parse(text) })
}

// NewExpr is New for expressions. The expression for all data sources applies to those that have all of
// its fields.
func NewExpr(exprs map[string]string) (*Stage, error) {
	return newStage(exprs, func(text string) (condition, error) { return parseExpr(text) })
}

func newStage(texts map[string]string, parse func(string) (condition, error)) (*Stage, error) {
	st := &Stage{}
	for _, source := range slices.Sorted(maps.Keys(texts)) {
		c, err := parse(texts[source])
		switch {
		case err != nil && source != "":
			return nil, fmt.Errorf("data source %q: %w", source, err)
		case err != nil:
			return nil, err
		}
		st.rules = append(st.rules, rule{source, c})
	}
	return st, nil
}

// Extend adds nothing to s; it records the fields that filters can use.
func (st *Stage) Extend(s *event.Schema) error {
	st.views = append(st.views, viewOf(s))
	return nil
}

// Bind prepares the filters for s. It ignores need: a filter reads the fields that it names.
func (st *Stage) Bind(s *event.Schema, _ event.FieldSet) (pipeline.Func, error) {
	v, all := st.see(s)
	var funcs []pipeline.Func
	for _, r := range st.rules {
		if err := r.checkSource(all); err != nil {
			return nil, err
		}
		views, ok := r.views(v, all)
		if !ok {
			continue
		}
		f, err := r.bind(v, views)
		if err != nil {
			return nil, err
		}
		if f != nil {
			funcs = append(funcs, f)
		}
	}
	return chain(funcs), nil
}

// Reads implements [pipeline.Stage]: a filter reads the fields that it names.
func (st *Stage) Reads(s *event.Schema) (event.FieldSet, error) {
	var need event.FieldSet
	v, all := st.see(s)
	for _, r := range st.rules {
		if _, ok := r.views(v, all); ok {
			r.addNeed(v, &need)
		}
	}
	return need, nil
}

// Close does nothing.
func (st *Stage) Close() error { return nil }

// see returns the view of s and the views of all data sources.
func (st *Stage) see(s *event.Schema) (view, []view) {
	for _, v := range st.views {
		if v.schema == s {
			return v, st.views
		}
	}
	v := viewOf(s)
	return v, append(slices.Clip(st.views), v)
}

// views returns the views that a rule is meant for, and whether v is one of them.
func (r *rule) views(v view, all []view) ([]view, bool) {
	if r.source == "" {
		return all, true
	}
	return []view{v}, v.schema.ID().Matches(r.source)
}

// checkSource returns an error if the rule is meant for a data source that does not exist.
func (r *rule) checkSource(all []view) error {
	if r.source == "" {
		return nil
	}
	var names []string
	for _, v := range all {
		if v.schema.ID().Matches(r.source) {
			return nil
		}
		names = append(names, v.schema.ID().String())
	}
	return fmt.Errorf("filter for data source %q: there is no data source of this name%s", r.source, nearest.Hint(r.source, names))
}

// chain returns a Func that calls all of funcs, or nil if there are none.
func chain(funcs []pipeline.Func) pipeline.Func {
	switch len(funcs) {
	case 0:
		return nil
	case 1:
		return funcs[0]
	}
	return func(b *event.Batch) error {
		for _, f := range funcs {
			if err := f(b); err != nil {
				return err
			}
		}
		return nil
	}
}
