// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
	"github.com/gizmo-ebpf/gizmo/wire/wiretest"
)

// sparse is a table whose handles are far apart.
type sparse map[event.Handle]struct {
	text []byte
	bits uint64
}

func (s *sparse) Bytes(h event.Handle) []byte { return (*s)[h].text }
func (s *sparse) Bits(h event.Handle) uint64  { return (*s)[h].bits }

func (s *sparse) set(h event.Handle, text string, bits uint64) {
	if *s == nil {
		*s = sparse{}
	}
	v := (*s)[h]
	v.bits = bits
	if text != "nothing" {
		v.text = []byte(text)
	}
	(*s)[h] = v
}

// columnsSchema is a data source of single events with columns as stages make them: the first has a field of each
// kind, the second nothing, the third a struct and a member of another one.
func columnsSchema() (*event.Schema, *sparse) {
	values := &sparse{}
	values.set(7, "web-1", 1)
	values.set(1<<31, "", math.Float64bits(-0.25))
	values.set(math.MaxUint32, "nothing", math.MaxUint64)
	values.set(9, "\x00\xffbytes", 0)
	s := &event.Schema{Gadget: "one", Name: "opens", Single: true, Size: 4, Fields: []event.Field{
		{Name: "pid", Kind: event.Uint, Size: 4, Parent: event.NoParent},
	}}
	s.Add(event.Field{Name: "pid_text", Kind: event.String, Parent: event.NoParent,
		Text: func(dst []byte, _ *event.Batch, _ int) []byte { return append(dst, "computed"...) }})
	unused := s.Add(event.Field{Name: "unused", Kind: event.Struct, Parent: event.NoParent})
	s.Add(event.Field{Name: "unused.too", Kind: event.Struct, Parent: unused})
	k8s := s.Add(event.Field{Name: "k8s", Kind: event.Struct, Parent: event.NoParent})
	var fields []event.Field
	for _, kind := range []event.Kind{event.String, event.Bytes, event.Uint, event.Int, event.Float, event.Bool} {
		fields = append(fields, event.Field{Name: "c." + kind.String(), Kind: kind, Types: []string{"some_type"}, Parent: event.NoParent, Table: values})
	}
	s.AddColumn(fields...)
	s.AddColumn()
	inner := len(s.Fields)
	s.AddColumn(
		event.Field{Name: "k8s.pod", Kind: event.Struct, Parent: k8s},
		event.Field{Name: "k8s.pod.name", Kind: event.String, Parent: inner, Table: values},
		event.Field{Name: "k8s.none", Kind: event.Struct, Parent: k8s})
	return s, values
}

// setHandles fills a column of b.
func setHandles(b *event.Batch, column int, handles ...event.Handle) {
	copy(b.Schema.Columns()[column].Fill(b), handles)
}

func columnsHeader(s *event.Schema) wire.Header {
	count := countSchema()
	count.Gadget = "two"
	return wire.Header{
		Gadgets:     []wire.Gadget{{Name: "one", Reference: "trace_open"}, {Name: "two", Reference: "top_file", Metadata: []byte(`{"a":1}`)}},
		DataSources: []wire.DataSource{{Schema: s}, {Schema: count}},
	}
}

// columnsBatches are batches with all that a column can have.
func columnsBatches(s *event.Schema) []*event.Batch {
	rows := func(n int) (b *event.Batch) {
		b = &event.Batch{Schema: s}
		for i := range n {
			b.Rows = append(b.Rows, record(4, byte(i+1)))
		}
		return b
	}
	none, zero, some, runs, lost := rows(2), rows(2), rows(5), rows(300), rows(0)
	setHandles(zero, 0)
	setHandles(some, 0, 7, 0, 1<<31, math.MaxUint32, 7)
	setHandles(some, 2, 9, 9, 9, 9, 9)
	for i, h := range runs.Schema.Columns()[2].Fill(runs) {
		_ = h
		runs.Schema.Columns()[2].Handles(runs)[i] = []event.Handle{7, 9}[i/200]
	}
	lost.Lost = []event.Loss{{Count: 1}}
	return []*event.Batch{none, zero, some, runs, lost, some}
}

func writeColumns(t testing.TB) []byte {
	t.Helper()
	s, _ := columnsSchema()
	return wiretest.RecordBatches(t, columnsHeader(s), columnsBatches(s)...)
}

// spellBatches writes batches with the values of the named fields.
func spellBatches(t testing.TB, batches []event.Batch, fields ...string) string {
	t.Helper()
	var text strings.Builder
	for i := range batches {
		b := &batches[i]
		fmt.Fprintf(&text, "%s %v\n", b.Schema.ID(), b.Lost)
		for row := range b.Rows {
			fmt.Fprintf(&text, "  %x", b.Rows[row])
			for _, name := range fields {
				r, err := b.Schema.ReaderOf(name)
				check(t, err)
				column, table := r.Column()
				h := column.At(b, row)
				switch {
				case h == 0:
					text.WriteString(" -")
				case r.Form() == event.FormText || r.Form() == event.FormBytes:
					fmt.Fprintf(&text, " %q/%v", table.Bytes(h), table.Bytes(h) == nil)
				default:
					fmt.Fprintf(&text, " %s", r.String(b, row))
				}
			}
			text.WriteString("\n")
		}
	}
	return text.String()
}

var columnFields = []string{"pid", "c.string", "c.bytes", "c.uint", "c.int", "c.float", "c.bool", "k8s.pod.name"}

func wantColumns(t *testing.T, recording []byte) {
	t.Helper()
	got, r, err := read(recording)
	check(t, err)
	s, _ := columnsSchema()
	var written []event.Batch
	for _, b := range columnsBatches(s) {
		written = append(written, *b)
	}
	if got, want := spellBatches(t, got, columnFields[1:]...), spellBatches(t, written, columnFields[1:]...); got != want {
		t.Errorf("batches:\n got %s\nwant %s", got, want)
	}
	var names []string
	schema := r.Header().DataSources[0].Schema
	for _, f := range schema.Fields {
		parent := ""
		if f.Parent != event.NoParent {
			parent = schema.Fields[f.Parent].Name
		}
		names = append(names, fmt.Sprint(f.Name, " ", f.Kind, " ", f.Added, " ", f.Types, " under ", parent))
	}
	want := []string{
		"pid uint false [] under ", "k8s struct true [] under ",
		"c.string string true [some_type] under ", "c.bytes bytes true [some_type] under ", "c.uint uint true [some_type] under ",
		"c.int int true [some_type] under ", "c.float float true [some_type] under ", "c.bool bool true [some_type] under ",
		"k8s.pod struct true [] under k8s", "k8s.pod.name string true [] under k8s.pod",
	}
	if !slices.Equal(names, want) {
		t.Errorf("fields:\n got %q\nwant %q", names, want)
	}
	if h := columnsHeader(s); fmt.Sprint(r.Header().Gadgets) != fmt.Sprint(h.Gadgets) || r.Schemas()[1].ID() != (event.SourceID{Gadget: "two", Name: "count"}) {
		t.Errorf("gadgets %v, data source %v", r.Header().Gadgets, r.Schemas()[1].ID())
	}
}

func TestColumnsTravel(t *testing.T) {
	t.Parallel()
	wantColumns(t, writeColumns(t))
}

// A recording with columns that is read and written again has the same values, with the Reader's handles.
func TestCopyOfColumns(t *testing.T) {
	t.Parallel()
	recording := writeColumns(t)
	for range 2 {
		r := wiretest.Reader(t, recording)
		var out writeBuffer
		w, err := wire.NewWriter(&out, *r.Header())
		check(t, err)
		var b event.Batch
		for r.Next(t.Context(), &b) == nil {
			check(t, w.Write(&b))
		}
		check(t, w.Close())
		wantColumns(t, out)
		recording = out
	}
}

// A batch without handles takes one byte for all its columns, a column with the same handle in all rows two more, and values
// are written once.
func TestColumnsAreSmall(t *testing.T) {
	t.Parallel()
	s, _ := columnsSchema()
	b := &event.Batch{Schema: s, Rows: slices.Repeat([][]byte{{1, 2, 3, 4}}, 1000)}
	size := func(write ...func()) int {
		var out writeBuffer
		w, err := wire.NewWriter(&out, columnsHeader(s))
		check(t, err)
		for _, f := range append(write, func() {}) {
			f()
			check(t, w.Write(b))
		}
		check(t, w.Close())
		return len(out)
	}
	same := func() {
		for i := range b.Schema.Columns()[0].Fill(b) {
			b.Schema.Columns()[0].Handles(b)[i] = 1 << 31
		}
	}
	once, twice := size(), size(func() {})
	empty := twice - once
	if want := 1 + 2 + 1 + 1 + 2 + 1000 + 4000 + 1 + 4; empty > want+2 { // frame, source, losses, rows, lengths, rows, set, checksum
		t.Errorf("a batch without handles takes %d bytes, want %d", empty, want)
	}
	first := size(same) // both batches have the handle
	second := size(same, func() {})
	if got := second - first - empty; got != 2 {
		t.Errorf("a column of equal handles takes %d bytes, want 2", got)
	}
}

// Columns that no stage filled have no handles in the reader, and handles of a batch before are gone.
func TestAbsentColumns(t *testing.T) {
	t.Parallel()
	r := wiretest.Reader(t, writeColumns(t))
	var b event.Batch
	for i, want := range [][2]bool{{false, false}, {false, false}, {true, true}, {false, true}, {false, false}, {true, true}} {
		check(t, r.Next(t.Context(), &b))
		for j, column := range b.Schema.Columns() {
			if got := column.Handles(&b) != nil; got != want[j] {
				t.Errorf("batch %d: column %d is there: %v, want %v", i, j, got, want[j])
			}
		}
	}
}

// A writer reads the columns that its header has, and no others.
func TestBindSaysWhatIsRead(t *testing.T) {
	t.Parallel()
	s, values := columnsSchema()
	w, err := wire.NewWriter(io.Discard, columnsHeader(s))
	check(t, err)
	later := s.Clone()
	later.AddColumn(event.Field{Name: "later", Kind: event.String, Parent: event.NoParent, Table: values})
	for _, c := range []struct {
		s   *event.Schema
		all bool
	}{{s, true}, {later, false}} {
		got, err := w.Bind(c.s)
		check(t, err)
		if c.all != (fmt.Sprint(got) == fmt.Sprint(wire.Reads(c.s))) {
			t.Errorf("reads %v, and all columns are %v", got, wire.Reads(c.s))
		}
		for i := range c.s.Fields {
			_, column := c.s.Fields[i].Column()
			want := column && c.s.Fields[i].Kind != event.Struct && c.s.Fields[i].Name != "later"
			if got.Has(i) != want {
				t.Errorf("reads %s: %v, want %v", c.s.Fields[i].Name, got.Has(i), want)
			}
		}
	}
	without := wire.Header{DataSources: []wire.DataSource{{Schema: countSchema()}}}
	w, err = wire.NewWriter(io.Discard, without)
	check(t, err)
	with := countSchema()
	with.AddColumn(event.Field{Name: "later", Kind: event.String, Parent: event.NoParent, Table: values})
	if got, err := w.Bind(with); err != nil || got.Len() > 0 {
		t.Errorf("a writer without columns reads %v, %v", got, err)
	}
	b := &event.Batch{Schema: with, Rows: [][]byte{{1, 2, 3, 4}}}
	setHandles(b, 0, 7)
	check(t, w.Write(b))
}

func TestColumnsThatDoNotFit(t *testing.T) {
	t.Parallel()
	s, values := columnsSchema()
	w, err := wire.NewWriter(io.Discard, columnsHeader(s))
	check(t, err)
	base := s.Clone()
	base.Fields = base.Fields[:1]
	check(t, w.Write(&event.Batch{Schema: base, Rows: [][]byte{record(4, 1)}}))
	for i, want := range map[int]bool{0: true, 1: false} {
		other := s.Clone()
		f := &other.Fields[len(other.Fields)-2]
		if f.Name != "k8s.pod.name" {
			t.Fatal(f.Name)
		}
		f.Table = []event.Table{values, &sparse{}}[i]
		_, err := w.Bind(other)
		if (err == nil) != want {
			t.Errorf("table %d: %v", i, err)
		}
	}
	noTable, _ := columnsSchema()
	noTable.AddColumn(event.Field{Name: "bad", Kind: event.Uint, Parent: event.NoParent})
	_, err = wire.NewWriter(io.Discard, columnsHeader(noTable))
	wantError(t, err, `field "bad" of a column has no table`)
	many, _ := columnsSchema()
	for i := range 40 {
		many.AddColumn(event.Field{Name: fmt.Sprint("c", i), Kind: event.Uint, Parent: event.NoParent, Table: values})
	}
	_, err = wire.NewWriter(io.Discard, columnsHeader(many))
	wantError(t, err, "42 columns; the limit is 32")
}

// text has a text of a size for each handle.
type text int

func (n text) Bytes(h event.Handle) []byte {
	p := bytes.Repeat([]byte{'x'}, int(n))
	binary.LittleEndian.PutUint32(p, uint32(h))
	return p
}
func (text) Bits(event.Handle) uint64 { return 0 }

// textSchema has a column of texts of 64 KiB.
func textSchema(single bool) *event.Schema {
	s := countSchema()
	s.Single = single
	s.AddColumn(event.Field{Name: "text", Kind: event.String, Parent: event.NoParent, Table: text(64 << 10)})
	return s
}

func handleBatch(s *event.Schema, first event.Handle, n int) *event.Batch {
	b := &event.Batch{Schema: s, Rows: slices.Repeat([][]byte{{1, 0, 0, 0}}, n)}
	for i := range s.Columns()[0].Fill(b) {
		s.Columns()[0].Handles(b)[i] = first + event.Handle(i)
	}
	return b
}

// Values without end are recorded with bounded memory on both sides: the dictionaries restart. The handles of the Reader
// go on, and those of long ago have no values any more unless they are to be kept.
func TestDictionariesRestart(t *testing.T) {
	t.Parallel()
	const batches, rows = 20, 50 // 62 MiB of values
	s := textSchema(true)
	in, out := io.Pipe()
	defer in.Close()
	go func() {
		w, err := wire.NewWriter(out, wire.Header{DataSources: []wire.DataSource{{Schema: s}}})
		for i := 0; i < batches && err == nil; i++ {
			err = errors.Join(w.Write(handleBatch(s, event.Handle(1+i*rows), rows)), w.Flush())
		}
		out.CloseWithError(errors.Join(err, w.Close()))
	}()
	r, err := wire.NewReader(in)
	check(t, err)
	var b event.Batch
	_, table := mustReader(t, r.Schemas()[0], "text").Column()
	handles := map[event.Handle]int{}
	for i := range batches {
		check(t, r.Next(t.Context(), &b))
		for row, h := range r.Schemas()[0].Columns()[0].Handles(&b) {
			want := i*rows + row
			if text := table.Bytes(h); len(text) != 64<<10 || binary.LittleEndian.Uint32(text) != uint32(want+1) {
				t.Fatalf("row %d has another text", want)
			}
			if before, used := handles[h]; used {
				t.Fatalf("the handle %d of row %d is that of row %d", h, before, want)
			}
			handles[h] = want
		}
	}
	kept := 0
	for h, row := range handles {
		text := table.Bytes(h)
		if text != nil && binary.LittleEndian.Uint32(text) != uint32(row+1) {
			t.Fatalf("the handle %d means something else now", h)
		}
		kept += len(text)
	}
	if kept < 16<<20 || kept > 48<<20 {
		t.Errorf("%d MiB of values are there at the end", kept>>20)
	}
}

func mustReader(t *testing.T, s *event.Schema, field string) *event.Reader {
	t.Helper()
	r, err := s.ReaderOf(field)
	check(t, err)
	return &r
}

// heldRow is a row that a caller has not let go of.
type heldRow struct {
	handle event.Handle
	want   uint32
}

// A caller who holds rows back finds their values until it is asked to let go. Then memory is free again.
func TestKeepValues(t *testing.T) {
	t.Parallel()
	s := textSchema(true)
	var batches []*event.Batch
	for i := range 44 { // 137 MiB of values
		batches = append(batches, handleBatch(s, event.Handle(1+i*50), 50))
	}
	r := wiretest.Reader(t, wiretest.RecordBatches(t, wire.Header{DataSources: []wire.DataSource{{Schema: s}}}, batches...))
	r.KeepValues()
	_, table := mustReader(t, r.Schemas()[0], "text").Column()
	var held, old []heldRow
	var b event.Batch
	rows, flushes := 0, 0
	letGo := func() {
		for _, row := range held {
			if text := table.Bytes(row.handle); len(text) != 64<<10 || binary.LittleEndian.Uint32(text) != row.want {
				t.Fatalf("the row of handle %d has another text", row.handle)
			}
		}
		old, held = append(old, held...), nil
	}
	for {
		err := r.Next(t.Context(), &b)
		for _, h := range r.Schemas()[0].Columns()[0].Handles(&b) {
			rows++
			held = append(held, heldRow{h, uint32(rows)})
		}
		if b.Flush {
			if flushes++; len(b.Rows) > 0 || len(held) == 0 {
				t.Fatalf("asked to let go of %d rows, by a batch with %d", len(held), len(b.Rows))
			}
			letGo()
		}
		if errors.Is(err, io.EOF) {
			break
		}
		check(t, err)
	}
	letGo()
	kept := 0
	for _, row := range old {
		kept += len(table.Bytes(row.handle))
	}
	if rows != 44*50 || flushes < 8 || kept > 16<<20 {
		t.Errorf("%d rows, %d flushes, %d MiB of values at the end", rows, flushes, kept>>20)
	}
}

// An array is never held back beyond its last part, and a batch without rows would be an array.
func TestKeepValuesOfArrays(t *testing.T) {
	t.Parallel()
	s := textSchema(false)
	var batches []*event.Batch
	for i := range 22 {
		batches = append(batches, handleBatch(s, event.Handle(1+i*50), 50))
	}
	r := wiretest.Reader(t, wiretest.RecordBatches(t, wire.Header{DataSources: []wire.DataSource{{Schema: s}}}, batches...))
	r.KeepValues()
	got, err := wiretest.ReadAll(r)
	check(t, err)
	if len(got) != len(batches) {
		t.Errorf("%d arrays, want %d", len(got), len(batches))
	}
}

// A caller who keeps nothing finds the values of the batch that it has, and no others take memory.
func TestKeepLittle(t *testing.T) {
	t.Parallel()
	s := textSchema(true)
	var batches []*event.Batch
	for i := range 14 { // 44 MiB of values
		batches = append(batches, handleBatch(s, event.Handle(1+i*50), 50))
	}
	r := wiretest.Reader(t, wiretest.RecordBatches(t, wire.Header{DataSources: []wire.DataSource{{Schema: s}}}, batches...))
	r.KeepLittle()
	field := mustReader(t, r.Schemas()[0], "text")
	_, table := field.Column()
	var b event.Batch
	var all []event.Handle
	for i := range batches {
		check(t, r.Next(t.Context(), &b))
		for row := range b.Rows {
			if got := field.Bytes(&b, row); len(got) != 64<<10 || binary.LittleEndian.Uint32(got) != uint32(i*50+row+1) {
				t.Fatalf("batch %d, row %d: another text", i, row)
			}
		}
		all = append(all, r.Schemas()[0].Columns()[0].Handles(&b)...)
	}
	kept := 0
	for _, h := range all {
		kept += len(table.Bytes(h))
	}
	if kept > 16<<20 {
		t.Errorf("%d MiB of values are there at the end", kept>>20)
	}
}

// One batch with more values than fit between two restarts goes into several frames if its rows are events of their own,
// and is refused if it is an array. The recording goes on.
func TestValuesOfOneBatch(t *testing.T) {
	t.Parallel()
	for _, single := range []bool{true, false} {
		s := textSchema(single)
		var out writeBuffer
		w, err := wire.NewWriter(&out, wire.Header{DataSources: []wire.DataSource{{Schema: s}}})
		check(t, err)
		check(t, w.Write(handleBatch(s, 1000, 3)))
		err = w.Write(handleBatch(s, 1, 260)) // 16 MiB and a little
		if single {
			check(t, err)
		} else {
			wantError(t, err, "an array with values of more than 16777216 bytes")
		}
		check(t, w.Write(handleBatch(s, 1000, 3)))
		check(t, w.Close())
		got, r, err := read(out)
		check(t, err)
		rows := 0
		for i := range got {
			rows += len(got[i].Rows)
		}
		if want := map[bool]int{true: 266, false: 6}[single]; rows != want {
			t.Errorf("single %v: %d rows, want %d", single, rows, want)
		}
		last := &got[len(got)-1]
		if text := mustReader(t, r.Schemas()[0], "text").Bytes(last, 2); binary.LittleEndian.Uint32(text) != 1002 {
			t.Errorf("single %v: the last row has another text", single)
		}
	}
}

func TestHandleWithTooMuch(t *testing.T) {
	t.Parallel()
	s := countSchema()
	s.AddColumn(event.Field{Name: "text", Kind: event.String, Parent: event.NoParent, Table: text(256 << 10)})
	var out writeBuffer
	w, err := wire.NewWriter(&out, wire.Header{DataSources: []wire.DataSource{{Schema: s}}})
	check(t, err)
	wantError(t, w.Write(handleBatch(s, 1, 3)), "the limit is 262144")
	check(t, w.Write(handleBatch(s, 0, 1)))
	check(t, w.Close())
	if got, _, err := read(out); err != nil || len(got) != 1 {
		t.Errorf("%d batches, %v; want 1", len(got), err)
	}
}

// More handles than a frame takes: single events are divided, arrays refused.
func TestTooManyHandles(t *testing.T) {
	t.Parallel()
	for _, single := range []bool{true, false} {
		s := countSchema()
		s.Single = single
		numbers := &event.Numbers{}
		h := numbers.Add(5)
		for i := range 3 {
			s.AddColumn(event.Field{Name: fmt.Sprint("n", i), Kind: event.Uint, Parent: event.NoParent, Table: numbers})
		}
		b := &event.Batch{Schema: s, Rows: slices.Repeat([][]byte{{1, 0, 0, 0}}, 700_000)}
		for _, c := range s.Columns() {
			for i := range c.Fill(b) {
				c.Handles(b)[i] = h
			}
		}
		var out writeBuffer
		w, err := wire.NewWriter(&out, wire.Header{DataSources: []wire.DataSource{{Schema: s}}})
		check(t, err)
		if err := w.Write(b); !single {
			wantError(t, err, "an array of 700000 rows with handles in 3 columns is too large")
			continue
		}
		check(t, w.Close())
		got, _, err := read(out)
		check(t, err)
		rows := 0
		for i := range got {
			rows += len(got[i].Rows)
		}
		if rows != 700_000 || len(got) < 2 {
			t.Errorf("%d rows in %d batches", rows, len(got))
		}
	}
}

// Random columns come back as they were.
func TestRandomColumns(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 2))
		s, values := columnsSchema()
		for range 200 {
			values.set(event.Handle(rng.Uint32N(1000)+1), strings.Repeat("t", rng.IntN(30)), rng.Uint64())
		}
		var batches []*event.Batch
		var written []event.Batch
		for range 1 + rng.IntN(8) {
			b := randomBatch(rng, s)
			b = expected([]*event.Batch{b, {Schema: s, Lost: []event.Loss{{Count: 1}}}})[0]
			for _, c := range []int{0, 2} {
				randomHandles(rng, s.Columns()[c], b)
			}
			batches, written = append(batches, b), append(written, *b)
		}
		got, _, err := read(wiretest.RecordBatches(t, columnsHeader(s), batches...))
		check(t, err)
		if got, want := spellBatches(t, got, columnFields[1:]...), spellBatches(t, written, columnFields[1:]...); got != want {
			t.Fatalf("seed %d:\n got %s\nwant %s", seed, got, want)
		}
	}
}

func randomHandles(rng *rand.Rand, c event.Column, b *event.Batch) {
	if rng.IntN(4) == 0 {
		return
	}
	handles := c.Fill(b)
	for i := range handles {
		if i > 0 && rng.IntN(3) > 0 {
			handles[i] = handles[i-1]
		} else if rng.IntN(4) > 0 {
			handles[i] = event.Handle(rng.Uint32N(1000) + 1)
		}
	}
}
