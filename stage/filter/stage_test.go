// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package filter_test

import (
	"context"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/stage/filter"
)

var _ pipeline.Stage = (*filter.Stage)(nil)

// twoSources returns the schemas of two data sources that have a field in common.
func twoSources() (open, exec *event.Schema) {
	first, second := &layout{event.Schema{Name: "open", Single: true}}, &layout{event.Schema{Name: "exec"}}
	first.add("pid", event.Uint, 4)
	first.add("fname", event.String, 8)
	second.add("pid", event.Uint, 4)
	second.add("args", event.String, 8)
	return &first.s, &second.s
}

// keeps returns how many of two rows, of which the first has pid 1 and the text "x" and the second
// pid 2 and "y", the stage keeps.
func keeps(t *testing.T, st *filter.Stage, s *event.Schema) string {
	t.Helper()
	f, err := st.Bind(s, event.FieldSet{})
	if err != nil {
		return err.Error()
	}
	if f == nil {
		return "not for me"
	}
	b := &event.Batch{Schema: s, Rows: [][]byte{[]byte("\x01\x00\x00\x00x\x00\x00\x00\x00\x00\x00\x00"), []byte("\x02\x00\x00\x00y\x00\x00\x00\x00\x00\x00\x00")}}
	if err := f(b); err != nil {
		return err.Error()
	}
	var pids string
	for _, row := range b.Rows {
		pids += string('0' + row[0])
	}
	return pids
}

func TestDataSources(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		exprs      bool
		texts      map[string]string
		open, exec string
	}{
		{"common field", false, map[string]string{"": "pid==1"}, "1", "1"},
		{"field of one", false, map[string]string{"": "fname==y"}, "2", "not for me"},
		{"both kinds", false, map[string]string{"": "pid>=1,fname==y"}, "2", "12"},
		{"one for each", false, map[string]string{"open": "pid==1", "exec": "args==y"}, "1", "2"},
		{"one and all", false, map[string]string{"open": "fname==y", "": "pid==1"}, "", "1"},
		{"none", false, nil, "not for me", "not for me"},
		{"unknown", false, map[string]string{"": "fnme==y"},
			"filter `fnme==y`, column 1: no data source has a field \"fnme\"; did you mean \"fname\"?",
			"filter `fnme==y`, column 1: no data source has a field \"fnme\"; did you mean \"fname\"?"},
		{"of the other", false, map[string]string{"open": "args==y"},
			"filter `args==y`, column 1: data source \"open\" has no field \"args\"", "not for me"},
		{"no such source", false, map[string]string{"opn": "pid==1"},
			`filter for data source "opn": there is no data source of this name; did you mean "open"?`,
			`filter for data source "opn": there is no data source of this name; did you mean "open"?`},

		{"expression, common field", true, map[string]string{"": "pid == 1"}, "1", "1"},
		{"expression, field of one", true, map[string]string{"": "pid == 1 || fname == 'y'"}, "12", "not for me"},
		{"expression, one for each", true, map[string]string{"open": "pid == 1", "exec": "args == 'y'"}, "1", "2"},
		{"expression, fields of two", true, map[string]string{"": "fname == 'y' || args == 'x'"},
			"filter `fname == 'y' || args == 'x'`, column 17: data source \"open\" has no field \"args\"",
			"filter `fname == 'y' || args == 'x'`, column 1: data source \"exec\" has no field \"fname\""},
		{"expression, of the other", true, map[string]string{"open": "args == 'y'"},
			"filter `args == 'y'`, column 1: data source \"open\" has no field \"args\"", "not for me"},
	}
	for _, test := range tests {
		parse := filter.New
		if test.exprs {
			parse = filter.NewExpr
		}
		st, err := parse(test.texts)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		open, exec := twoSources()
		for _, s := range []*event.Schema{open, exec} {
			if err := st.Extend(s); err != nil {
				t.Fatal(err)
			}
		}
		if got := keeps(t, st, open); got != test.open {
			t.Errorf("%s: of open kept %q, want %q", test.name, got, test.open)
		}
		if got := keeps(t, st, exec); got != test.exec {
			t.Errorf("%s: of exec kept %q, want %q", test.name, got, test.exec)
		}
	}
}

func TestErrorsNameTheDataSource(t *testing.T) {
	t.Parallel()
	_, err := filter.New(map[string]string{"open": "pid=1"})
	if err == nil || !strings.HasPrefix(err.Error(), `data source "open": filter `) {
		t.Errorf("got %v", err)
	}
}

// TestFieldsOfLaterStages: a filter cannot use fields that are filled after it.
func TestFieldsOfLaterStages(t *testing.T) {
	t.Parallel()
	text := func(dst []byte, _ *event.Batch, _ int) []byte { return dst }
	for _, parse := range []func(map[string]string) (*filter.Stage, error){filter.New, filter.NewExpr} {
		st, err := parse(map[string]string{"": `later == ""`})
		if err != nil {
			t.Fatal(err)
		}
		s, _ := twoSources()
		if err := st.Extend(s); err != nil {
			t.Fatal(err)
		}
		s.Add(event.Field{Name: "later", Kind: event.String, Parent: event.NoParent, Text: text})
		if got := keeps(t, st, s); !strings.Contains(got, `field "later" is filled after the filter`) {
			t.Errorf("got %q", got)
		}
	}
}

func TestReads(t *testing.T) {
	t.Parallel()
	open, exec := twoSources()
	one, err := filter.New(map[string]string{"": "pid==1", "exec": "args==x"})
	if err != nil {
		t.Fatal(err)
	}
	two, err := filter.NewExpr(map[string]string{"": "len(fname) == pid", "exec": "cidr(args, '::/0')"})
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range []*filter.Stage{one, two} {
		for _, s := range []*event.Schema{open, exec} {
			if err := st.Extend(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		st    *filter.Stage
		s     *event.Schema
		first bool
		other bool
	}{{one, open, true, false}, {one, exec, true, true}, {two, open, true, true}, {two, exec, false, true}}
	for i, test := range tests {
		need, err := test.st.Reads(test.s)
		if err != nil || need.Has(0) != test.first || need.Has(1) != test.other {
			t.Errorf("%d: need has pid: %v, text: %v", i, need.Has(0), need.Has(1))
		}
	}
}

// TestMalformedSchema: nothing is read beyond a record, whatever a recording says of its fields.
func TestMalformedSchema(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]event.Field{
		"too far":     {Name: "x", Kind: event.Uint, Off: 8, Size: 4},
		"overflow":    {Name: "x", Kind: event.Uint, Off: 1<<32 - 2, Size: 4},
		"rest":        {Name: "x", Kind: event.Bytes, Rest: true, Off: 11},
		"rest length": {Name: "x", Kind: event.Bytes, Rest: true, Off: 10, LenOff: 8, LenSize: 4},
	} {
		s := &event.Schema{Name: "open", Size: 10, Fields: []event.Field{f}}
		for _, parse := range []func(map[string]string) (*filter.Stage, error){filter.New, filter.NewExpr} {
			st, err := parse(map[string]string{"": `x == 1`})
			if err != nil {
				t.Fatal(err)
			}
			if got := keeps(t, st, s); !strings.Contains(got, "of a record of 10 bytes") {
				t.Errorf("%s: got %q", name, got)
			}
		}
	}
}

// counter is a source of records that are a number each.
type counter struct {
	schema  *event.Schema
	next, n uint32
}

func (c *counter) Schemas() []*event.Schema { return []*event.Schema{c.schema} }
func (c *counter) Close() error             { return nil }
func (c *counter) Next(_ context.Context, b *event.Batch) error {
	b.Reset(c.schema)
	for len(b.Rows) < 100 && c.next < c.n {
		b.Rows = append(b.Rows, binary.LittleEndian.AppendUint32(nil, c.next))
		c.next++
	}
	if c.next%1000 == 0 {
		b.Lost = append(b.Lost, event.Loss{CPU: 1, Count: 3})
	}
	if c.next == c.n {
		return io.EOF
	}
	return nil
}

type sum struct{ rows int }

func (*sum) Bind(*event.Schema) (event.FieldSet, error) { return event.FieldSet{}, nil }

func (s *sum) Write(b *event.Batch) error { s.rows += len(b.Rows); return nil }

// TestLedger: events that a filter removes count as filtered, and events for which an expression fails as lost.
func TestLedger(t *testing.T) {
	t.Parallel()
	tests := []struct {
		filter, expr string
		want         pipeline.Totals
		fails        bool
	}{
		{"n<250", "", pipeline.Totals{Delivered: 250, Filtered: 750, Lost: 3}, false},
		{"", "n % 10 == 0", pipeline.Totals{Delivered: 100, Filtered: 900, Lost: 3}, false},
		{"n>=10", "n % 10 == 0", pipeline.Totals{Delivered: 99, Filtered: 901, Lost: 3}, false},
		{"n>5000", "", pipeline.Totals{Filtered: 1000, Lost: 3}, false},
		{"", "n % (n - 250) != 5", pipeline.Totals{Delivered: 199, Filtered: 1, Lost: 803}, true},
	}
	for _, test := range tests {
		var stages []pipeline.Stage
		if test.filter != "" {
			st, err := filter.New(map[string]string{"": test.filter})
			if err != nil {
				t.Fatal(err)
			}
			stages = append(stages, st)
		}
		if test.expr != "" {
			st, err := filter.NewExpr(map[string]string{"n": test.expr})
			if err != nil {
				t.Fatal(err)
			}
			stages = append(stages, st)
		}
		s := &event.Schema{Name: "n", Single: true, Size: 4, Fields: []event.Field{{Name: "n", Kind: event.Uint, Size: 4, Parent: event.NoParent}}}
		sink := &sum{}
		r := pipeline.Runner{Sources: []pipeline.Source{&counter{schema: s, n: 1000}}, Stages: stages, Sinks: []pipeline.NamedSink{{Sink: sink}}, Ledger: &pipeline.Ledger{}}
		if err := r.Run(t.Context()); (err != nil) != test.fails {
			t.Errorf("%s%s: %v", test.filter, test.expr, err)
		}
		got := r.Ledger.Account(event.SourceID{Name: "n"}, "").Totals()
		if got != test.want || got.Produced() != 1003 || uint64(sink.rows) != got.Delivered {
			t.Errorf("%s%s: %+v, want %+v; %d rows delivered", test.filter, test.expr, got, test.want, sink.rows)
		}
	}
}
