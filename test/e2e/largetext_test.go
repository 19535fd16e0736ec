// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// A recording whose frames, rows and values are as large as they may be replays to the same text as an encoder makes of each batch at once, from a
// file and from a pipe.
func TestReplayOfLargeRecordings(t *testing.T) {
	frames, array := schemaOfMany(true), schemaOfMany(false)
	large := map[string][]*event.Batch{
		"rows":   {longRows()},
		"array":  {manyRows(array), manyRows(array)},
		"frames": {manyRows(frames), manyRows(frames)},
	}
	for name, batches := range large {
		t.Run(name, func(t *testing.T) {
			s := batches[0].Schema
			b := bomb{write: func(t *testing.T, w *wire.Writer) {
				for _, batch := range batches {
					if err := w.Write(batch); err != nil {
						t.Fatal(err)
					}
				}
			}}
			b.source(s)
			path := makeBomb(t, &b)
			if info, err := os.Stat(path); err != nil || info.Size() < 4<<20 {
				t.Fatalf("the recording is small: %v, %v", info.Size(), err)
			}
			for _, mode := range []string{"json", "columns", "yaml", "jsonpretty"} {
				want := wholeText(t, s, batches, mode)
				for _, from := range []string{path, "-"} {
					got := replayText(t, path, from, mode)
					if !bytes.Equal(got, want) {
						t.Errorf("%s from %q: %d bytes, want %d, which differ", mode, from, len(got), len(want))
					}
				}
			}
		})
	}
}

// wholeText returns the text of batches, each made at once.
func wholeText(t *testing.T, s *event.Schema, batches []*event.Batch, mode string) []byte {
	t.Helper()
	format, err := encode.Lookup(mode)
	if err != nil {
		t.Fatal(err)
	}
	e, err := format.Bind(s, encode.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for i, b := range batches {
		if i == 0 || !s.Single {
			text = e.Head(text)
		}
		text = e.Append(text, b)
	}
	return text
}

// replayText returns what a replay writes to a file. If from is -, the recording comes through a pipe.
func replayText(t *testing.T, path, from, mode string) []byte {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "text"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s := setup{out: out}
	if from == "-" {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s.in = bytes.NewReader(data) // which os/exec writes to a pipe
	}
	run(t, s, "replay", from, "-o", mode).wantExit(t, 0)
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// longRows returns rows of the greatest length, of plain text, text that needs escapes, and bytes, with long values in a column.
func longRows() *event.Batch {
	const half = maxRow / 2
	s := &event.Schema{Name: "bomb", Single: true, Size: maxRow}
	s.Fields = []event.Field{
		{Name: "text", Kind: event.String, Types: []string{"t"}, Size: half, Parent: event.NoParent},
		{Name: "raw", Kind: event.Bytes, Types: []string{"t"}, Off: half, Size: half - 8, Parent: event.NoParent},
		{Name: "n", Kind: event.Uint, Types: []string{"t"}, Off: maxRow - 8, Size: 8, Parent: event.NoParent},
	}
	column := s.AddColumn(event.Field{Name: "value", Kind: event.String, Parent: event.NoParent, Table: values(longValues)})
	r := rand.New(rand.NewPCG(1, 2))
	b := &event.Batch{Schema: s}
	for range 2 {
		row := make([]byte, maxRow)
		for i := range row {
			row[i] = byte(' ' + r.UintN(0x5f))
			if r.UintN(50) == 0 {
				row[i] = byte(1 + r.UintN(255))
			}
		}
		b.Rows = append(b.Rows, row)
	}
	copy(column.Fill(b), []event.Handle{7, 0})
	return b
}

// manyRows returns a batch that takes a frame of more than 4 MiB, with handles of two columns in runs.
func manyRows(s *event.Schema) *event.Batch {
	r := rand.New(rand.NewPCG(3, 4))
	b := &event.Batch{Schema: s}
	for range 100_000 {
		row := make([]byte, 40)
		for i := range row[:1+r.IntN(len(row))] {
			row[i] = byte(r.Uint32())
		}
		b.Rows = append(b.Rows, row)
	}
	for i, c := range s.Columns() {
		for row, handles := 0, c.Fill(b); row < len(handles); row++ {
			handles[row] = event.Handle(row >> (4 * i) % 5000)
		}
	}
	return b
}

// schemaOfMany returns the schema of manyRows.
func schemaOfMany(single bool) *event.Schema {
	s := schemaOf(single, 40, event.Uint, 8, "n")
	s.Fields = append(s.Fields, event.Field{Name: "text", Kind: event.String, Types: []string{"t"}, Off: 8, Size: 32, Parent: event.NoParent})
	s.AddColumn(event.Field{Name: "short", Kind: event.String, Parent: event.NoParent, Table: values(shortValues)})
	s.AddColumn(event.Field{Name: "number", Kind: event.Uint, Parent: event.NoParent, Table: values(shortValues)})
	return s
}
