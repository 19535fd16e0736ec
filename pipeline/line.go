// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import "github.com/gizmo-ebpf/gizmo/event"

// line is what batches of one schema go through.
type line struct {
	schema  *event.Schema
	funcs   []Func
	account *Account
	taken   int // rows that the sink has taken and that are not booked yet
}

// refine runs the stages. After an error the batch is empty.
func (l *line) refine(b *event.Batch) error {
	for _, f := range l.funcs {
		before := len(b.Rows)
		if err := f(b); err != nil {
			l.fail(before)
			b.Reset(b.Schema)
			return err
		}
		l.account.filter(before - len(b.Rows))
	}
	return nil
}

func (l *line) deliver(rows int) { l.account.deliver(rows) }

// fail books rows that did not get through.
func (l *line) fail(rows int) {
	if rows > 0 {
		l.account.lose(event.Loss{CPU: event.NoCPU, Cause: event.OutputFailed, Count: uint64(rows)})
	}
}

// lines are those of one source.
type lines []*line

func (ls lines) of(s *event.Schema) *line {
	for _, l := range ls {
		if l.schema == s {
			return l
		}
	}
	panic("pipeline: a source returned a batch of a schema that it had not declared")
}

// settle books what the sink has taken.
func (ls lines) settle(book func(l *line, rows int)) {
	for _, l := range ls {
		book(l, l.taken)
		l.taken = 0
	}
}
