// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"strings"

	"github.com/gizmo-ebpf/gizmo/event"
)

// plan is the result of a walk over a tree of fields: the values in the order of output, and the
// text before each of them.
type plan struct {
	schema  *event.Schema
	words   *nonFinite
	memos   *int // see Options
	steps   []step
	pending string // text since the last value; in the end, the text after it
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

// takeMemo reports whether another group of values may be remembered.
func (p *plan) takeMemo() bool {
	if p.memos == nil {
		return true
	}
	if *p.memos == 0 {
		return false
	}
	*p.memos--
	return true
}

// frame is the text around the events of a batch.
type frame struct {
	open    string // before the first
	between string
	end     string // after the last
	none    string // for a batch without events
}

// array is the state of an encoder in an array that comes in parts.
type array struct {
	begun bool // rows of it were written
}

// before appends the text before the rows of b. There is at least one row.
func (a *array) before(dst []byte, f *frame) []byte {
	if a.begun {
		return append(dst, f.between...)
	}
	a.begun = true
	return append(dst, f.open...)
}

// after appends the text after the rows of b: the array's end, if b is its last part.
func (a *array) after(dst []byte, f *frame, b *event.Batch) []byte {
	if b.Continues {
		return dst
	}
	end := f.end
	if !a.begun {
		end = f.none
	}
	a.begun = false
	return append(dst, end...)
}
