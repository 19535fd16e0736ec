// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pipeline_test

import (
	"context"
	"fmt"
	"io"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// words is a source: its rows are texts of four bytes.
type words struct {
	schema *event.Schema
	rows   [][]byte
}

func (w *words) Schemas() []*event.Schema { return []*event.Schema{w.schema} }
func (w *words) Close() error             { return nil }
func (w *words) Next(_ context.Context, b *event.Batch) error {
	b.Reset(w.schema)
	if len(w.rows) == 0 {
		return io.EOF
	}
	b.Rows, w.rows = append(b.Rows, w.rows...), nil
	return nil
}

// counter is a stage that counts the rows that pass.
type counter struct{ rows int }

func (*counter) Extend(*event.Schema) error                                  { return nil }
func (*counter) Reads(*event.Schema) (none event.FieldSet, _ error)          { return none, nil }
func (c *counter) Bind(*event.Schema, event.FieldSet) (pipeline.Func, error) { return c.count, nil }
func (c *counter) count(b *event.Batch) error                                { c.rows += len(b.Rows); return nil }
func (*counter) Close() error                                                { return nil }

// printer is a sink that prints rows.
type printer struct{}

func (printer) Bind(*event.Schema) (none event.FieldSet, _ error) { return none, nil }
func (printer) Write(b *event.Batch) error                        { _, err := fmt.Printf("%s\n", b.Rows); return err }

func Example() {
	source, count := &words{&event.Schema{Name: "words", Single: true, Size: 4}, [][]byte{[]byte("ring"), []byte("maps")}}, &counter{}
	run := pipeline.Runner{
		Sources: []pipeline.Source{source}, Stages: []pipeline.Stage{count},
		Sinks: []pipeline.NamedSink{{Sink: printer{}}}, Ledger: &pipeline.Ledger{},
	}
	err := run.Run(context.Background())
	fmt.Println(count.rows, "rows, error:", err)
	// Output:
	// [ring maps]
	// 2 rows, error: <nil>
}
