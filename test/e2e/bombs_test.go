// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/clock"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// A bomb is a recording that makes a reader use much memory if the reader lets it. Each makes one thing as large as the format
// allows, or repeats it.
type bomb struct {
	header wire.Header
	write  func(t *testing.T, w *wire.Writer) // the batches
	flags  []string
	// wantRefusal is a part of the error. Empty: all events are delivered.
	wantRefusal string
	once        bool // the output mode makes no difference, or the replay takes long: one is enough
}

// source adds a data source to the header.
func (b *bomb) source(s *event.Schema) *event.Schema {
	b.header.DataSources = append(b.header.DataSources, wire.DataSource{Schema: s})
	return s
}

// schema returns a schema with one field for each name. All have the same place, at the start of the record.
func schemaOf(single bool, size int, kind event.Kind, fieldSize int, names ...string) *event.Schema {
	s := &event.Schema{Name: "bomb", Single: single, Size: uint32(size)}
	for _, name := range names {
		s.Fields = append(s.Fields, event.Field{Name: name, Kind: kind, Types: []string{"t"}, Size: uint32(fieldSize), Parent: event.NoParent})
	}
	return s
}

// namesOf returns n different names of that length.
func namesOf(n, length int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("f%04d%s", i, strings.Repeat("x", length-5))
	}
	return names
}

// repeated returns a function that writes one batch with n times the same row.
func repeated(s *event.Schema, n int, row []byte) func(*testing.T, *wire.Writer) {
	return func(t *testing.T, w *wire.Writer) { recordRows(t, w, s, slices.Repeat([][]byte{row}, n)...) }
}

func recordRows(t *testing.T, w *wire.Writer, s *event.Schema, rows ...[]byte) {
	t.Helper()
	if err := w.Write(&event.Batch{Schema: s, Rows: rows}); err != nil {
		t.Fatal(err)
	}
}

// rowBomb is a bomb of one batch.
func rowBomb(s *event.Schema, rows int, row []byte) bomb {
	var b bomb
	b.source(s)
	b.write = repeated(s, rows, row)
	return b
}

// restBomb has one row with as much trailing data as a row may have.
func restBomb(fill byte) bomb {
	s := schemaOf(true, 8, event.Uint, 8, "n")
	s.Fields = append(s.Fields, event.Field{Name: "rest", Kind: event.Bytes, Types: []string{"t"}, Off: 8, Rest: true, Parent: event.NoParent})
	return rowBomb(s, 1, bytes.Repeat([]byte{fill}, maxRow))
}

// maxRow is the longest row of a recording.
const maxRow = 16 << 20

// values is a table of a column whose values follow from the handle.
type values func(event.Handle) []byte

func (v values) Bytes(h event.Handle) []byte { return v(h) }
func (v values) Bits(h event.Handle) uint64  { return uint64(h) }

// valueBomb has batches of rows that have each another value in a column.
func valueBomb(kind event.Kind, value values, batches, rows int) bomb {
	s := schemaOf(true, 8, event.Uint, 8, "n")
	column := s.AddColumn(event.Field{Name: "value", Kind: kind, Parent: event.NoParent, Table: value})
	var b bomb
	b.source(s)
	b.write = func(t *testing.T, w *wire.Writer) {
		batch := event.Batch{Schema: s, Rows: slices.Repeat([][]byte{make([]byte, 8)}, rows)}
		for i := range batches {
			for row, handles := 0, column.Fill(&batch); row < rows; row++ {
				handles[row] = event.Handle(1 + i*rows + row)
			}
			if err := w.Write(&batch); err != nil {
				t.Fatal(err)
			}
		}
	}
	return b
}

// longValues are texts of nearly the greatest length, each of one character.
func longValues(h event.Handle) []byte { return bytes.Repeat([]byte{1 + byte(h)%0x7f}, 250<<10) }

func shortValues(h event.Handle) []byte { return strconv.AppendUint(nil, uint64(h), 10) }

// columnsBomb has batches with as many handles as a batch may have.
func columnsBomb() bomb {
	s := schemaOf(true, 8, event.Uint, 8, "n")
	for i := range 32 {
		s.AddColumn(event.Field{Name: fmt.Sprint("value", i), Kind: event.Uint, Parent: event.NoParent, Table: values(shortValues)})
	}
	var b bomb
	b.source(s)
	b.write = func(t *testing.T, w *wire.Writer) {
		const rows = 1 << 16
		batch := event.Batch{Schema: s, Rows: slices.Repeat([][]byte{make([]byte, 8)}, rows)}
		for i, c := range s.Columns() {
			for row, handles := 0, c.Fill(&batch); row < rows; row++ {
				handles[row] = event.Handle(1 + (row+i)%100)
			}
		}
		if err := w.Write(&batch); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// sourcesBomb has many data sources, and for each a batch of one row.
func sourcesBomb(n int, row []byte, schema func(i int) *event.Schema) bomb {
	var b bomb
	var all []*event.Schema
	for i := range n {
		s := schema(i)
		s.Name = fmt.Sprint("source", i)
		all = append(all, b.source(s))
	}
	b.write = func(t *testing.T, w *wire.Writer) {
		for _, s := range all {
			recordRows(t, w, s, row)
		}
	}
	return b
}

// enumOf returns an enum with n values.
func enumOf(n int) *event.Enum {
	e := &event.Enum{Name: "e"}
	for i := range n {
		e.Values = append(e.Values, event.EnumValue{Name: fmt.Sprint("V", i), Value: uint64(i)})
	}
	return e
}

// enumBomb has a schema whose fields are all of the same enum: or, if enriched is set, of types that gizmo gives a meaning.
func enumBomb(fields, enum int, types ...string) bomb {
	s := schemaOf(true, 8, event.Uint, 4, namesOf(fields, 8)...)
	for i := range s.Fields {
		s.Fields[i].Types = types
		if enum > 0 {
			s.Fields[i].Enum = enumOf(enum)
		}
	}
	return rowBomb(s, 1000, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// simple has a small schema, and what write writes.
func simple(write func(t *testing.T, w *wire.Writer, s *event.Schema)) bomb {
	s := schemaOf(true, 8, event.Uint, 8, "n")
	var b bomb
	b.source(s)
	b.write = func(t *testing.T, w *wire.Writer) {
		write(t, w, s)
		recordRows(t, w, s, make([]byte, 8))
	}
	return b
}

// manyLosses writes batches of losses, all of other CPUs and causes.
func manyLosses(t *testing.T, w *wire.Writer, s *event.Schema) {
	for i := range 40 {
		b := event.Batch{Schema: s}
		for cpu := range 1 << 16 {
			b.Lost = append(b.Lost, event.Loss{CPU: cpu, Cause: event.Cause(i), Count: 1})
		}
		if err := w.Write(&b); err != nil {
			t.Fatal(err)
		}
	}
}

// manyFacts writes the largest facts, of as many names as there may be, again and again.
func manyFacts(t *testing.T, w *wire.Writer, _ *event.Schema) {
	names := []string{"users", "groups"}
	for i := len(names); i < 16; i++ {
		names = append(names, fmt.Sprint("fact", i))
	}
	for round := range 3 {
		for _, name := range names {
			if err := w.SetFact(name, usersOf(round*50_000, 50_000)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// usersOf returns a JSON object with the names of n users.
func usersOf(first, n int) json.RawMessage {
	users := make(map[string]string, n)
	for i := range n {
		users[fmt.Sprint(first+i)] = "u"
	}
	text, _ := json.Marshal(users)
	return text
}

func manySteps(t *testing.T, w *wire.Writer, _ *event.Schema) {
	for i := range 100_000 {
		if err := w.AddStep(clock.Step{Boot: uint64(i + 1), Offset: int64(i)}); err != nil {
			t.Fatal(err)
		}
	}
}

// headerBomb has a header as large as it may be.
func headerBomb(fill func(h *wire.Header)) bomb {
	b := simple(func(*testing.T, *wire.Writer, *event.Schema) {})
	fill(&b.header)
	return b
}

func (b bomb) with(flags ...string) bomb { b.flags = append(slices.Clone(b.flags), flags...); return b }

func (b bomb) refusedWith(text string) bomb { b.wantRefusal = text; return b }

func (b bomb) json() bomb { b.once = true; return b }

// bombs are all of them. Whoever adds something to the format that a file can make large adds a bomb.
func bombs() map[string]bomb {
	zeros := make([]byte, 1<<20)
	controls := bytes.Repeat([]byte{1}, maxRow) // which take six characters each in JSON
	all := map[string]bomb{
		// Many rows, and long names in each.
		"narrow rows":            rowBomb(schemaOf(true, 8, event.Uint, 8, "n"), 1<<20, zeros[:8]),
		"an array of narrow":     rowBomb(schemaOf(false, 8, event.Uint, 8, "n"), 1<<20, zeros[:8]),
		"a large frame":          rowBomb(schemaOf(true, 40, event.Uint, 8, "n"), 1<<20, bytes.Repeat([]byte{7}, 40)),
		"a large frame, array":   rowBomb(schemaOf(false, 40, event.Uint, 8, "n"), 1<<20, bytes.Repeat([]byte{7}, 40)),
		"long names":             rowBomb(schemaOf(true, 8, event.Uint, 8, namesOf(10, 1000)...), 50_000, zeros[:8]),
		"an array of long names": rowBomb(schemaOf(false, 8, event.Uint, 8, namesOf(10, 1000)...), 50_000, zeros[:8]),
		// Wide rows and values.
		"wide rows":           rowBomb(schemaOf(true, maxRow, event.Uint, 8, namesOf(4, 8)...), 3, zeros[:8]),
		"an array of wide":    rowBomb(schemaOf(false, 1<<20, event.Uint, 8, namesOf(4, 8)...), 48, zeros[:8]),
		"wide bytes":          rowBomb(schemaOf(true, 1<<20, event.Bytes, 1<<20, "f"), 40, zeros),
		"the longest bytes":   rowBomb(schemaOf(true, maxRow, event.Bytes, maxRow, "f"), 2, controls),
		"the longest text":    rowBomb(schemaOf(true, maxRow, event.String, maxRow, "f"), 2, controls),
		"text of an array":    rowBomb(schemaOf(false, maxRow, event.String, maxRow, "f"), 2, controls),
		"the longest array":   rowBomb(elements(maxRow), 2, controls),
		"trailing data":       restBomb(0xff),
		"fields that overlap": rowBomb(schemaOf(true, 1<<20, event.Bytes, 1<<20, namesOf(4000, 8)...), 2, zeros).refusedWith("of text"),
		// Many fields, data sources, schemas.
		"many fields":        rowBomb(schemaOf(true, 8, event.Uint, 8, namesOf(4000, 400)...), 500, zeros[:8]).json(),
		"wide columns":       widestBomb(2000, 100).json(),
		"enriched fields":    enumBomb(2000, 0, "gadget_errno", "__u32"),
		"flags":              enumBomb(2000, 0, "gadget_file_mode", "__u32"),
		"a large enum":       rowBomb(enumSchema(40_000), 1000, zeros[:8]),
		"an enum of many":    enumBomb(400, 100, "gadget_enum", "enum e"),
		"many sources":       sourcesBomb(1024, zeros[:8], func(int) *event.Schema { return schemaOf(true, 8, event.Uint, 8, namesOf(5, 8)...) }).json(),
		"many schemas":       sourcesBomb(1024, zeros[:8], func(i int) *event.Schema { return schemaOf(true, 8, event.Uint, 8, namesOf(3+i%7, 8)...) }).json(),
		"sources of arrays":  sourcesBomb(1024, zeros[:8], func(int) *event.Schema { return schemaOf(false, 8, event.Uint, 8, namesOf(5, 8)...) }).json(),
		"sources and fields": sourcesBomb(1024, zeros[:8], func(int) *event.Schema { return schemaOf(true, 8, event.Uint, 8, namesOf(128, 8)...) }).refusedWith("would need some"),
		// The rest of the header.
		"users":            headerBomb(func(h *wire.Header) { h.Machine.Users = usersMap(100_000) }).json(),
		"metadata":         headerBomb(func(h *wire.Header) { h.Gadgets = []wire.Gadget{{Metadata: usersOf(0, 90_000)}} }).json(),
		"annotations":      headerBomb(func(h *wire.Header) { h.DataSources[0].Annotations = annotationsOf(14_000) }).refusedWith("unknown field"),
		"long annotations": headerBomb(func(h *wire.Header) { h.DataSources[0].Annotations = annotationsOf(60_000) }).refusedWith("the annotations of"),
		// What comes beside rows.
		"losses":        simple(manyLosses).json(),
		"facts":         simple(manyFacts).json(),
		"steps":         simple(manySteps).json(),
		"long values":   valueBomb(event.String, longValues, 40, 60).json(),
		"raw values":    valueBomb(event.Bytes, longValues, 4, 60).json(),
		"short values":  valueBomb(event.String, shortValues, 3, 1<<20).json(),
		"number values": valueBomb(event.Uint, shortValues, 2, 1<<20).json(),
		"many columns":  columnsBomb(),
	}
	for name, b := range filterBombs(all) {
		all[name] = b.json()
	}
	return all
}

// filterBombs are bombs that are filtered or sorted.
func filterBombs(all map[string]bomb) map[string]bomb {
	return map[string]bomb{
		"filtered rows":       all["a large frame"].with("--filter-expr", "n > 0"),
		"filtered text":       all["the longest text"].with("--filter-expr", `f contains "\x01\x01" && f matches "^\x01+$"`),
		"filtered bytes":      all["the longest bytes"].with("--filter-expr", `f contains "0101" && f matches "^(01)+$"`),
		"filtered trailing":   all["trailing data"].with("--filter", "rest~^(ff)+$"),
		"filtered values":     all["long values"].with("--filter-expr", `value != ""`),
		"filtered short":      all["short values"].with("--filter-expr", `value matches "^[0-9]"`),
		"sorted rows":         all["a large frame"].with("--sort", "n"),
		"sorted wide rows":    all["wide rows"].with("--sort", "f0000xxx"),
		"sorted text":         all["the longest text"].with("--sort", "f"),
		"sorted bytes":        all["wide bytes"].with("--sort", "-f"),
		"sorted values":       all["long values"].with("--sort", "n"),
		"sorted short values": all["short values"].with("--sort", "n"),
		"sorted array":        all["an array of narrow"].with("--sort", "n").refusedWith("too large to be sorted"),
		"sorted wide array":   all["an array of wide"].with("--sort", "f0000xxx").refusedWith("too large to be sorted"),
		"sorted sources":      manyWideSources(true).with("--sort", "f0000xxx"),
		"sorted arrays":       manyWideSources(false).with("--sort", "f0000xxx"),
	}
}

// manyWideSources has many data sources with rows of 1 MiB.
func manyWideSources(single bool) bomb {
	return sourcesBomb(200, make([]byte, 1<<20), func(int) *event.Schema { return schemaOf(single, 1<<20, event.Uint, 8, namesOf(1, 8)...) })
}

// elements returns a schema with an array of n bytes.
func elements(n int) *event.Schema {
	s := schemaOf(true, n, event.Uint, n, "f")
	s.Fields[0].Count = uint32(n)
	return s
}

// enumSchema returns a schema with a field of an enum of n values.
func enumSchema(n int) *event.Schema {
	s := schemaOf(true, 8, event.Uint, 4, "e_raw", "set_raw")
	s.Fields[0].Types, s.Fields[0].Enum = []string{"gadget_enum", "enum e"}, enumOf(n)
	return s
}

// widestBomb has n columns of the greatest width.
func widestBomb(n, rows int) bomb {
	b := rowBomb(schemaOf(true, 8, event.Uint, 8, namesOf(n, 8)...), rows, make([]byte, 8))
	fields := make(map[string]annotation.Set)
	for _, name := range namesOf(n, 8) {
		fields[name] = annotation.Set{"columns.width": "4096"}
	}
	b.header.DataSources[0].Annotations, _ = json.Marshal(annotation.Spec{Fields: fields})
	return b
}

// annotationsOf returns the annotations of n fields that there are not.
func annotationsOf(n int) json.RawMessage {
	fields := make(map[string]annotation.Set)
	for i := range n {
		fields[fmt.Sprint("f", i)] = annotation.Set{"columns.width": "9"}
	}
	text, _ := json.Marshal(annotation.Spec{Fields: fields})
	return text
}

func usersMap(n int) map[uint32]string {
	users := make(map[uint32]string, n)
	for i := range n {
		users[uint32(i)] = "u"
	}
	return users
}
