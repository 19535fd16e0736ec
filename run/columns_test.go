// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/host"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// namer is a source and a stage at once for a test: it makes three events, and knows names for two of them.
type namer struct {
	schema *event.Schema
	names  event.Texts
	column event.Column
	done   bool
}

func (n *namer) Schemas() []*event.Schema { return []*event.Schema{n.schema} }
func (n *namer) Close() error             { return nil }

func (n *namer) Next(_ context.Context, b *event.Batch) error {
	b.Reset(n.schema)
	if n.done {
		return io.EOF
	}
	n.done = true
	b.Rows = append(b.Rows, []byte{1}, []byte{2}, []byte{3})
	handles := n.column.Fill(b)
	handles[0], handles[1] = n.names.Handle("web-1"), n.names.Handle("db")
	return nil
}

// A recording holds the results of stages: a replay elsewhere shows the same names, and filters by them.
func TestRecordingHoldsColumns(t *testing.T) {
	path := t.TempDir() + "/recording"
	src := &namer{schema: &event.Schema{Name: "ds", Single: true, Size: 1, Fields: []event.Field{{Name: "n", Kind: event.Uint, Size: 1, Parent: event.NoParent}}}}
	src.column = src.schema.AddColumn(event.Field{Name: "pod", Kind: event.String, Parent: event.NoParent, Table: &src.names})
	r := &Run{host: host.New(), sources: []pipeline.Source{src}}
	rec, err := openRecording(t.Context(), &Recording{Path: path}, &Plan{}, r)
	if err != nil {
		t.Fatal(err)
	}
	runner := pipeline.Runner{
		Sources: []pipeline.Source{src}, Stages: []pipeline.Stage{rec}, Ledger: &pipeline.Ledger{},
		Start: func() error { return rec.begin(r.host) },
	}
	if err := errors.Join(runner.Run(t.Context()), rec.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for filter, want := range map[string]string{
		"": "{\"n\":1,\"pod\":\"web-1\"}\n{\"n\":2,\"pod\":\"db\"}\n{\"n\":3,\"pod\":\"\"}\n", "pod==db": "{\"n\":2,\"pod\":\"db\"}\n",
	} {
		recording, err := wire.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		o := Options{Text: &Text{W: &out, Modes: "json", Block: true}}
		if filter != "" {
			o.Events.Filters = map[string]string{"": filter}
		}
		replay, err := Replay(recording, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(replay.Run(t.Context()), replay.Close()); err != nil || out.String() != want {
			t.Errorf("%q: %v\n%swant\n%s", filter, err, out.String(), want)
		}
	}
}
