// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipelinetest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// marker is a stage that keeps every other row and adds the field "parity". A test can replace its methods.
type marker struct {
	columns map[*event.Schema]event.Column
	texts   event.Texts
	extend  func(s *event.Schema) error
	reads   func(s *event.Schema) event.FieldSet
	bind    func(good pipeline.Func, s *event.Schema) pipeline.Func
	close   error
}

func (m *marker) Extend(s *event.Schema) error {
	if m.extend != nil {
		return m.extend(s)
	}
	if m.columns == nil {
		m.columns = make(map[*event.Schema]event.Column)
	}
	m.columns[s] = s.AddColumn(event.Field{Name: "parity", Kind: event.String, Parent: event.NoParent, Table: &m.texts})
	return nil
}

func (m *marker) Reads(s *event.Schema) (set event.FieldSet, err error) {
	if m.reads != nil {
		return m.reads(s), nil
	}
	set.Add(0)
	return set, nil
}

func (m *marker) Bind(s *event.Schema, _ event.FieldSet) (pipeline.Func, error) {
	var handles [4]event.Handle
	for i := range handles {
		handles[i] = m.texts.Handle(fmt.Sprintf("%d of 4", i))
	}
	column := m.columns[s]
	good := func(b *event.Batch) error {
		b.Keep(func(row int) bool { return serialOf(b.Rows[row])%2 == 0 })
		filled := column.Fill(b)
		for i, row := range b.Rows {
			filled[i] = handles[serialOf(row)%4]
		}
		return nil
	}
	if m.bind != nil {
		return m.bind(good, s), nil
	}
	return good, nil
}

func (m *marker) Close() error { return m.close }

// marking makes a case of a changed marker.
func marking(change func(m *marker)) StageCase {
	return StageCase{New: func(testing.TB) pipeline.Stage {
		m := new(marker)
		change(m)
		return m
	}}.complete()
}

// doing makes a case of a marker that does something more to each batch.
func doing(more func(b *event.Batch) error) StageCase {
	return marking(func(m *marker) {
		m.bind = func(good pipeline.Func, _ *event.Schema) pipeline.Func {
			return func(b *event.Batch) error {
				if err := good(b); err != nil {
					return err
				}
				return more(b)
			}
		}
	})
}

func TestMarker(t *testing.T) { Stage(t, marking(func(*marker) {})) }

func TestStageFindsBadOnes(t *testing.T) {
	expectFailures(t, stageRules(), slices.Concat(badExtends(), badFuncs(), badRuns()), "it shares a counter", "it allocates")
}

func badExtends() []bad[StageCase] {
	n := 0
	extend := func(f func(s *event.Schema)) StageCase {
		return marking(func(m *marker) { m.extend = func(s *event.Schema) error { f(s); return nil } })
	}
	return []bad[StageCase]{
		{"it changes a field", "Extend adds fields", `changes field "text"`, extend(func(s *event.Schema) { s.Fields[1].Name = "words" })},
		{"it changes a field's text", "Extend adds fields", `changes field "text"`, extend(func(s *event.Schema) {
			s.Fields[1].Text = func(dst []byte, _ *event.Batch, _ int) []byte { return dst }
		})},
		{"it removes a field", "Extend adds fields", "changes the schema", extend(func(s *event.Schema) { s.Fields = s.Fields[:3] })},
		{"it changes the size", "Extend adds fields", "changes the schema", extend(func(s *event.Schema) { s.Size = 1 })},
		{"it adds one of the record", "Extend adds fields", "not an added one", extend(func(s *event.Schema) {
			s.Fields = append(s.Fields, event.Field{Name: "x"})
		})},
		{"it adds one without a value", "Extend adds fields", "neither", extend(func(s *event.Schema) { s.Add(event.Field{Name: "x"}) })},
		{"Extend fails", "Extend adds fields", "no good", marking(func(m *marker) { m.extend = func(*event.Schema) error { return errBad } })},
		{"other fields each time", "Extend adds the same to equal schemas", "different fields", extend(func(s *event.Schema) {
			n++
			s.Add(event.Field{Name: fmt.Sprint("x", n), Text: func(dst []byte, _ *event.Batch, _ int) []byte { return dst }})
		})},
		{"more columns each time", "Extend adds the same to equal schemas", "different numbers", extend(func(s *event.Schema) {
			for n++; len(s.Columns()) < 3+n; {
				s.AddColumn()
			}
		})},
	}
}

func badFuncs() []bad[StageCase] {
	nothing := marking(func(m *marker) { m.bind = func(pipeline.Func, *event.Schema) pipeline.Func { return nil } })
	unknown := marking(func(m *marker) {
		m.reads = func(s *event.Schema) (set event.FieldSet) { set.Add(len(s.Fields)); return set }
	})
	return []bad[StageCase]{
		{"it reads what does not exist", "Reads names fields", "1 fields of data source", unknown},
		{"no Func", "there is something to do", "tests nothing", nothing},
		{"it writes to rows", "rows are not written to", "wrote to row 2", doing(func(b *event.Batch) error {
			if len(b.Rows) > 1 {
				b.Rows[1][20] = 'x'
			}
			return nil
		})},
		{"it moves rows alone", "rows and handles stay together", "has the handle of row", doing(func(b *event.Batch) error {
			slices.Reverse(b.Rows)
			return nil
		})},
		{"it doubles a row", "rows and handles stay together", "twice", doing(func(b *event.Batch) error {
			if len(b.Rows) > 1 {
				b.Rows[1] = b.Rows[0]
			}
			return nil
		})},
		{"it copies a row", "rows and handles stay together", "none of those", doing(func(b *event.Batch) error {
			if len(b.Rows) > 1 {
				b.Rows[1] = bytes.Clone(b.Rows[1])
			}
			return nil
		})},
		{"it forgets the columns", "rows and handles stay together", "handles for", doing(func(b *event.Batch) error {
			b.Rows = b.Rows[:min(len(b.Rows), 3)]
			return nil
		})},
		{"it fills another's column", "rows and handles stay together", "not its own", doing(func(b *event.Batch) error {
			b.Schema.Columns()[3].Fill(b)
			return nil
		})},
		{"it takes losses", "losses, More and the schema stay", "changes the losses", doing(func(b *event.Batch) error { b.Lost = b.Lost[:0]; return nil })},
		{"it takes More", "losses, More and the schema stay", "changes the losses", doing(func(b *event.Batch) error { b.More = false; return nil })},
		{"it wants a row", "a batch without rows", "no good", doing(func(b *event.Batch) error {
			if len(b.Rows) == 0 {
				return errBad
			}
			return nil
		})},
		{"it makes a row", "a batch without rows", "made 1 rows of 0", doing(func(b *event.Batch) error {
			if len(b.Rows) == 0 {
				b.Rows = append(b.Rows, Record(1))
			}
			return nil
		})},
	}
}

func badRuns() []bad[StageCase] {
	var kept []byte
	var last event.Column
	oneColumn := marking(func(m *marker) {
		m.extend = func(s *event.Schema) error {
			last = s.AddColumn(event.Field{Name: "parity", Kind: event.String, Table: &m.texts})
			return nil
		}
		m.bind = func(pipeline.Func, *event.Schema) pipeline.Func {
			column := last
			return func(b *event.Batch) error {
				for i := range column.Fill(b) {
					column.Handles(b)[i] = 1
				}
				return nil
			}
		}
	})
	counted := 0
	counter := marking(func(m *marker) {
		m.bind = func(good pipeline.Func, _ *event.Schema) pipeline.Func {
			return func(b *event.Batch) error {
				if counted++; counted > 10 {
					return errBad
				}
				return good(b)
			}
		}
	})
	return []bad[StageCase]{
		{"it shares a counter", "data sources at once", "no good", counter},
		{"its instances share a column", "two of the kind in one run", "want", oneColumn},
		{"Close fails", "Close without Bind", "Close: no good", marking(func(m *marker) { m.close = errBad })},
		{"it allocates", "allocates nothing", "allocates", doing(func(b *event.Batch) error {
			for _, row := range b.Rows {
				kept = bytes.Clone(row)
			}
			_ = kept
			return nil
		})},
	}
}
