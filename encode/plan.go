// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"strings"

	"github.com/gizmo-ebpf/gizmo/event"
)

// plan is put together while a tree of fields is walked: the values in the order of output, and the
// text that stands before each of them.
type plan struct {
	schema  *event.Schema
	words   *nonFinite
	steps   []step
	pending string // text since the last value; in the end, what follows it
	err     error  // the first
}

// step is one value and the text before it.
type step struct {
	prefix string
	value
	brackets brackets // for arrays
}

func (p *plan) text(parts ...string) { p.pending += strings.Join(parts, "") }

func (p *plan) bind(field int) value {
	v, err := bindValue(p.schema, field, p.words)
	if err != nil && p.err == nil {
		p.err = err
	}
	return v
}

func (p *plan) add(v value, br brackets) {
	p.steps = append(p.steps, step{p.pending, v, br})
	p.pending = ""
}

// insert adds all of another plan.
func (p *plan) insert(sub *plan) {
	for i := range sub.steps {
		st := &sub.steps[i]
		p.text(st.prefix)
		p.add(st.value, st.brackets)
	}
	p.text(sub.pending)
}

// frame is the text around the events of a batch.
type frame struct {
	open    string // before the first
	between string
	end     string // after the last
	none    string // for a batch without events
}
