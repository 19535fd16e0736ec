// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipelinetest

import (
	"bytes"
	"sync"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// StageCase describes a stage to [Stage].
type StageCase struct {
	// New returns a new stage. The suite closes it.
	New func(t testing.TB) pipeline.Stage
	// Schemas returns new schemas of the data sources of a run, at least two. For at least one of
	// them the stage has something to do. Nil means NewSchema(One, true), NewSchema(Two, true) and
	// NewSchema(Arrays, false).
	Schemas func() []*event.Schema
	// Rows returns records of that schema, each in its own memory. Nil means the records of NewSchema with
	// the serials 0 to 99.
	Rows func(s *event.Schema) [][]byte
}

// Stage runs the tests that every [pipeline.Stage] passes.
func Stage(t *testing.T, c StageCase) {
	t.Helper()
	run(t, stageRules(), c.complete())
}

func stageRules() []rule[StageCase] {
	rules := []rule[StageCase]{
		{"Extend adds fields", extendAdds},
		{"Extend adds the same to equal schemas", extendIsTheSame},
		{"Reads names fields", readsFields},
		{"there is something to do", hasSomethingToDo},
		{"rows are not written to", rowsAreRead},
		{"rows and handles stay together", handlesStay},
		{"losses, More and the schema stay", restStays},
		{"a batch without rows", takesNoRows},
		{"data sources at once", schemasAtOnce},
		{"two of the kind in one run", twoOfAKind},
		{"Close without Bind", closesUnbound},
	}
	if !raceDetector { // the detector allocates, too
		rules = append(rules, rule[StageCase]{"allocates nothing", stageAllocatesNothing})
	}
	return rules
}

func (c StageCase) complete() StageCase {
	if c.Schemas == nil {
		c.Schemas = func() []*event.Schema {
			return []*event.Schema{NewSchema(One, true), NewSchema(Two, true), NewSchema(Arrays, false)}
		}
	}
	if c.Rows == nil {
		c.Rows = func(*event.Schema) [][]byte {
			var rows [][]byte
			for serial := range uint64(100) {
				rows = append(rows, Record(serial))
			}
			return rows
		}
	}
	return c
}

// stageRun is a run of stages as the engine makes it.
type stageRun struct {
	c       StageCase
	stages  []pipeline.Stage
	schemas []*boundSchema
}

// boundSchema is a schema with the stages that are bound to it.
type boundSchema struct {
	*event.Schema
	own   event.Column // filled before the stages
	unset event.Column // by nothing
	added []int        // the number of fields before each stage, and after the last
	funcs []pipeline.Func
}

// newRun binds n stages to all schemas, each of which has two columns of the suite's.
func newRun(t testing.TB, c StageCase, n int) *stageRun {
	t.Helper()
	r := &stageRun{c: c}
	for _, s := range c.Schemas() {
		bound := &boundSchema{Schema: s, own: s.AddColumn(), unset: s.AddColumn()}
		r.schemas = append(r.schemas, bound)
	}
	if len(r.schemas) < 2 {
		t.Fatalf("the case has %d schemas, want at least two", len(r.schemas))
	}
	for range n {
		stage := c.New(t)
		r.stages = append(r.stages, stage)
		for _, s := range r.schemas {
			s.added = append(s.added, len(s.Fields))
			if err := stage.Extend(s.Schema); err != nil {
				t.Fatalf("Extend of data source %q: %v", s.ID(), err)
			}
		}
	}
	for _, s := range r.schemas {
		s.added = append(s.added, len(s.Fields))
	}
	r.bind(t)
	return r
}

// bind binds the stages; all fields are needed.
func (r *stageRun) bind(t testing.TB) {
	t.Helper()
	for _, s := range r.schemas {
		var need event.FieldSet
		for i := range s.Fields {
			need.Add(i)
		}
		for _, stage := range r.stages {
			if _, err := stage.Reads(s.Schema); err != nil {
				t.Fatalf("Reads of data source %q: %v", s.ID(), err)
			}
		}
		for _, stage := range r.stages {
			f, err := stage.Bind(s.Schema, need)
			if err != nil {
				t.Fatalf("Bind to data source %q: %v", s.ID(), err)
			}
			if f == nil {
				f = func(*event.Batch) error { return nil }
			}
			s.funcs = append(s.funcs, f)
		}
	}
}

func (r *stageRun) close(t testing.TB) {
	t.Helper()
	for _, stage := range r.stages {
		closing(t, stage)
	}
}

// fill makes a batch of the rows, each with its index, counted from 1, as its handle.
func (s *boundSchema) fill(b *event.Batch, rows [][]byte) {
	b.Reset(s.Schema)
	b.Rows = append(b.Rows, rows...)
	for i := range s.own.Fill(b) {
		s.own.Handles(b)[i] = event.Handle(i + 1)
	}
}

// pass calls the Func of one stage.
func (s *boundSchema) pass(t testing.TB, stage int, b *event.Batch) {
	t.Helper()
	if err := s.funcs[stage](b); err != nil {
		t.Fatalf("data source %q: %v", s.ID(), err)
	}
}

func extendAdds(t testing.TB, c StageCase) {
	stage := c.New(t)
	defer closing(t, stage)
	for _, s := range c.Schemas() {
		before := s.Clone()
		if err := stage.Extend(s); err != nil {
			t.Fatalf("Extend of data source %q: %v", s.ID(), err)
		}
		old := s.Clone()
		old.Fields = old.Fields[:min(len(before.Fields), len(s.Fields))]
		if old.ID() != before.ID() || old.Single != before.Single || old.Size != before.Size || len(old.Fields) < len(before.Fields) {
			t.Errorf("Extend changes the schema of data source %q", before.ID())
		}
		for i := range old.Fields {
			if !sameField(&before.Fields[i], &s.Fields[i], true) {
				t.Errorf("Extend changes field %q of data source %q", before.Fields[i].Name, s.ID())
			}
		}
		for i := len(old.Fields); i < len(s.Fields); i++ {
			if f := &s.Fields[i]; !f.Added {
				t.Errorf("Extend appends field %q, which is not an added one", f.Name)
			} else if f.HasValue() && f.Text == nil && f.Table == nil {
				t.Errorf("Extend adds field %q, which has neither a Text nor a Table", f.Name)
			}
		}
	}
}

func extendIsTheSame(t testing.TB, c StageCase) {
	stage, another := c.New(t), c.New(t)
	defer closing(t, stage)
	defer closing(t, another)
	schemas, equal := c.Schemas(), c.Schemas()
	for i, s := range schemas {
		if err := stage.Extend(s); err != nil {
			t.Fatalf("Extend of data source %q: %v", s.ID(), err)
		}
		if err := another.Extend(equal[i]); err != nil {
			t.Fatalf("Extend of data source %q: %v", s.ID(), err)
		}
		if len(s.Fields) != len(equal[i].Fields) || len(s.Columns()) != len(equal[i].Columns()) {
			t.Fatalf("two stages of the kind add different numbers of fields or columns to equal schemas: %d and %d, %d and %d",
				len(s.Fields), len(equal[i].Fields), len(s.Columns()), len(equal[i].Columns()))
		}
		for j := range s.Fields {
			if !sameField(&s.Fields[j], &equal[i].Fields[j], false) {
				t.Errorf("two stages of the kind add different fields to equal schemas: %q and %q", s.Fields[j].Name, equal[i].Fields[j].Name)
			}
		}
	}
}

func readsFields(t testing.TB, c StageCase) {
	r := newRun(t, c, 1)
	defer r.close(t)
	for _, s := range r.schemas {
		reads, err := r.stages[0].Reads(s.Schema)
		if err != nil {
			t.Fatalf("Reads of data source %q: %v", s.ID(), err)
		}
		checkSet(t, "Reads", s.Schema, reads)
	}
}

// checkSet fails the test if the set has fields that s does not have.
func checkSet(t testing.TB, method string, s *event.Schema, set event.FieldSet) {
	t.Helper()
	there := 0
	for i := range s.Fields {
		if set.Has(i) {
			there++
		}
	}
	if there != set.Len() {
		t.Errorf("%s returns %d fields of data source %q that do not exist", method, set.Len()-there, s.ID())
	}
}

// hasSomethingToDo fails if the stage has nothing to do, because then the case tests nothing.
func hasSomethingToDo(t testing.TB, c StageCase) {
	stage := c.New(t)
	defer closing(t, stage)
	schemas := c.Schemas()
	for _, s := range schemas {
		if err := stage.Extend(s); err != nil {
			t.Fatalf("Extend of data source %q: %v", s.ID(), err)
		}
	}
	for _, s := range schemas {
		var need event.FieldSet
		for i := range s.Fields {
			need.Add(i)
		}
		if f, err := stage.Bind(s, need); f != nil && err == nil {
			return
		}
	}
	t.Errorf("Bind returns no Func for any of the schemas: the case tests nothing")
}

func rowsAreRead(t testing.TB, c StageCase) {
	r := newRun(t, c, 1)
	defer r.close(t)
	for _, s := range r.schemas {
		var b event.Batch
		rows := c.Rows(s.Schema)
		before := make([][]byte, len(rows))
		for i, row := range rows {
			before[i] = bytes.Clone(row)
		}
		s.fill(&b, rows)
		s.pass(t, 0, &b)
		for i, row := range rows {
			if !bytes.Equal(row, before[i]) {
				t.Fatalf("data source %q: the stage wrote to row %d", s.ID(), i)
			}
		}
	}
}

func handlesStay(t testing.TB, c StageCase) {
	r := newRun(t, c, 1)
	defer r.close(t)
	for range 3 { // a stage uses its memory again
		for _, s := range r.schemas {
			rows := c.Rows(s.Schema)
			var b event.Batch
			s.fill(&b, rows)
			s.pass(t, 0, &b)
			checkShape(t, &b)
			s.checkHandles(t, &b, rows)
		}
	}
}

// checkHandles looks up each remaining row among the original ones, and compares its handle.
func (s *boundSchema) checkHandles(t testing.TB, b *event.Batch, rows [][]byte) {
	t.Helper()
	index := make(map[*byte]int, len(rows))
	for i, row := range rows {
		index[&row[0]] = i
	}
	if s.unset.Handles(b) != nil {
		t.Errorf("data source %q: the stage filled a column that is not its own", s.ID())
	}
	for i, row := range b.Rows {
		was, ok := index[&row[0]]
		if !ok || len(row) != len(rows[was]) {
			t.Fatalf("data source %q: row %d is none of those that came, or came out twice", s.ID(), i)
		}
		delete(index, &row[0])
		if got := s.own.At(b, i); int(got) != was+1 {
			t.Fatalf("data source %q: row %d, which was row %d, has the handle of row %d", s.ID(), i, was, int(got)-1)
		}
	}
}

func restStays(t testing.TB, c StageCase) {
	r := newRun(t, c, 1)
	defer r.close(t)
	loss := event.Loss{CPU: 3, Cause: event.BufferFull, Count: 5}
	for _, s := range r.schemas {
		for _, more := range []bool{true, false} {
			var b event.Batch
			s.fill(&b, c.Rows(s.Schema))
			b.Lost, b.More = append(b.Lost, loss), more
			s.pass(t, 0, &b)
			if b.Schema != s.Schema || b.More != more || len(b.Lost) != 1 || b.Lost[0] != loss {
				t.Errorf("data source %q: the stage changes the losses, More or the schema of a batch", s.ID())
			}
		}
	}
}

func takesNoRows(t testing.TB, c StageCase) {
	r := newRun(t, c, 1)
	defer r.close(t)
	for _, s := range r.schemas {
		var b event.Batch
		for _, rows := range [][][]byte{nil, c.Rows(s.Schema), nil} {
			s.fill(&b, rows)
			s.pass(t, 0, &b)
			if len(b.Rows) > len(rows) {
				t.Errorf("data source %q: the stage made %d rows of %d", s.ID(), len(b.Rows), len(rows))
			}
			checkShape(t, &b)
		}
	}
}

// schemasAtOnce calls the Funcs of all schemas at the same time, as the goroutines of several sources do. The race
// detector finds data that they share.
func schemasAtOnce(t testing.TB, c StageCase) {
	r := newRun(t, c, 1)
	defer r.close(t)
	var all sync.WaitGroup
	failed := make([]string, len(r.schemas))
	for i, s := range r.schemas {
		rows := c.Rows(s.Schema)
		want := s.outcome(t, 0, rows)
		all.Go(func() {
			var b event.Batch
			for range 20 {
				s.fill(&b, rows)
				if err := s.funcs[0](&b); err != nil {
					failed[i] = err.Error()
				} else if got := s.survivors(&b); !bytes.Equal(got, want) {
					failed[i] = "the batch comes out differently"
				}
			}
		})
	}
	all.Wait()
	for i, what := range failed {
		if what != "" {
			t.Errorf("data source %q, while the others are called, too: %s", r.schemas[i].ID(), what)
		}
	}
}

// outcome returns the handles of the rows that are left of a batch.
func (s *boundSchema) outcome(t testing.TB, stage int, rows [][]byte) []byte {
	t.Helper()
	var b event.Batch
	s.fill(&b, rows)
	s.pass(t, stage, &b)
	return s.survivors(&b)
}

func (s *boundSchema) survivors(b *event.Batch) []byte {
	var out []byte
	for i := range b.Rows {
		out = append(out, byte(s.own.At(b, i)), byte(s.own.At(b, i)>>8))
	}
	return out
}

// twoOfAKind compares the results of the first of two stages with those of the same stage alone.
func twoOfAKind(t testing.TB, c StageCase) {
	alone, pair := newRun(t, c, 1), newRun(t, c, 2)
	defer alone.close(t)
	defer pair.close(t)
	for i, s := range pair.schemas {
		rows := c.Rows(s.Schema)
		var b, single event.Batch
		s.fill(&b, rows)
		s.pass(t, 0, &b)
		alone.schemas[i].fill(&single, rows)
		alone.schemas[i].pass(t, 0, &single)
		want := alone.schemas[i].values(t, &single)
		checkValues(t, s, &b, want, "is there, too")
		s.pass(t, 1, &b)
		checkShape(t, &b)
		s.checkHandles(t, &b, rows)
		checkValues(t, s, &b, want, "has run, too")
	}
}

// checkValues compares the values that the first stage gives with want.
func checkValues(t testing.TB, s *boundSchema, b *event.Batch, want map[event.Handle]string, when string) {
	t.Helper()
	for row, got := range s.values(t, b) {
		if got != want[row] {
			t.Fatalf("data source %q: the fields of the stage are %q for row %d when a second one of the kind %s, want %q",
				s.ID(), got, row-1, when, want[row])
		}
	}
}

// values returns the texts of the fields that the first stage added, for each row by its handle.
func (s *boundSchema) values(t testing.TB, b *event.Batch) map[event.Handle]string {
	t.Helper()
	var readers []event.Reader
	for i := s.added[0]; i < s.added[1]; i++ {
		if !s.Fields[i].HasValue() {
			continue
		}
		r, err := s.Reader(i)
		if err != nil {
			t.Fatalf("field %q: %v", s.Fields[i].Name, err)
		}
		readers = append(readers, r)
	}
	out := make(map[event.Handle]string)
	for row := range b.Rows {
		var text []byte
		for i := range readers {
			text = append(readers[i].Append(text, b, row), ';')
		}
		out[s.own.At(b, row)] = string(text)
	}
	return out
}

func closesUnbound(t testing.TB, c StageCase) {
	closing(t, c.New(t))
	stage := c.New(t)
	for _, s := range c.Schemas() {
		if err := stage.Extend(s); err != nil {
			t.Fatalf("Extend of data source %q: %v", s.ID(), err)
		}
	}
	closing(t, stage)
}

func stageAllocatesNothing(t testing.TB, c StageCase) {
	r := newRun(t, c, 1)
	defer r.close(t)
	for _, s := range r.schemas {
		rows := c.Rows(s.Schema)
		var b event.Batch
		pass := func() {
			s.fill(&b, rows)
			s.pass(t, 0, &b)
		}
		for range 20 {
			pass()
		}
		if n := testing.AllocsPerRun(50, pass); n > 0 {
			t.Errorf("data source %q: the stage allocates %v times for %d rows", s.ID(), n, len(rows))
		}
	}
}
