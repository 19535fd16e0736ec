// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
	"github.com/gizmo-ebpf/gizmo/wire/wiretest"
)

// nodesHeader is that of a cluster's nodes, whose data sources are all alike.
func nodesHeader(nodes int) (h wire.Header) {
	for i := range nodes {
		name := fmt.Sprint("node-", i)
		s, _ := columnsSchema()
		s.Gadget = name
		h.Gadgets = append(h.Gadgets, wire.Gadget{Name: name})
		h.DataSources = append(h.DataSources, wire.DataSource{Schema: s, Annotations: json.RawMessage(`{"a":"some annotation"}`)})
	}
	return h
}

// Equal schemas are in the header once, and data sources that share one have nothing else in common.
func TestEqualSchemasAreWrittenOnce(t *testing.T) {
	t.Parallel()
	one, two, many := wiretest.RecordBatches(t, nodesHeader(1)), wiretest.RecordBatches(t, nodesHeader(2)), wiretest.RecordBatches(t, nodesHeader(50))
	if n := bytes.Count(many, []byte(`"k8s.pod.name"`)); n != 1 {
		t.Errorf("the schema is there %d times", n)
	}
	if more := len(two) - len(one); more > 80 {
		t.Errorf("one more node takes %d bytes", more)
	}
	r := wiretest.Reader(t, many)
	schemas := r.Schemas()
	for i, ds := range r.Header().DataSources {
		if want := (event.SourceID{Gadget: fmt.Sprint("node-", i), Name: "opens"}); ds.Schema.ID() != want || string(ds.Annotations) != `{"a":"some annotation"}` {
			t.Errorf("data source %d is %v with the annotations %s", i, ds.Schema.ID(), ds.Annotations)
		}
		if !ds.Schema.SameLayout(schemas[0]) {
			t.Errorf("data source %d has another layout", i)
		}
	}
	schemas[0].Add(event.Field{Name: "more", Kind: event.String})
	schemas[0].Fields[0].Ann.Description = "changed"
	if len(schemas[0].Fields) == len(schemas[1].Fields) || schemas[1].Fields[0].Ann.Description != "" {
		t.Error("a change of one data source's schema changes another's")
	}
}

// The same handles in columns of different data sources have the values of their own column.
func TestSharedSchemasHaveTheirOwnValues(t *testing.T) {
	t.Parallel()
	h := nodesHeader(2)
	var batches []*event.Batch
	for i := range 2 {
		s, values := columnsSchema()
		s.Gadget = h.DataSources[i].Schema.Gadget
		values.set(7, s.Gadget, 5)
		h.DataSources[i].Schema = s
		b := &event.Batch{Schema: s, Rows: [][]byte{{1, 2, 3, 4}}}
		setHandles(b, 0, 7)
		batches = append(batches, b)
	}
	got, err := wiretest.ReadAll(wiretest.Reader(t, wiretest.RecordBatches(t, h, append(batches, batches...)...)))
	check(t, err)
	for i := range got {
		if text := mustReader(t, got[i].Schema, "c.string").String(&got[i], 0); text != fmt.Sprint("node-", i%2) {
			t.Errorf("batch %d has %q", i, text)
		}
	}
}

func TestHeaderRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(h *wire.Header)
		want   string
	}{
		{"a gadget twice", func(h *wire.Header) { h.Gadgets[1].Name = h.Gadgets[0].Name }, `gadget "node-0" appears twice`},
		{"an unknown gadget", func(h *wire.Header) { h.DataSources[1].Schema.Gadget = "moon" }, `data source "moon/opens": its gadget is not in the list`},
		{"a data source twice", func(h *wire.Header) { h.DataSources[1] = h.DataSources[0] }, `data source "node-0/opens" appears twice`},
		{"metadata", func(h *wire.Header) { h.Gadgets[0].Metadata = json.RawMessage("{") }, `gadget "node-0": its metadata is not JSON`},
		{"gadgets", func(h *wire.Header) { h.Gadgets = make([]wire.Gadget, 1025) }, "1025 gadgets"},
	} {
		h := nodesHeader(2)
		c.change(&h)
		_, err := wire.NewWriter(io.Discard, h)
		wantError(t, err, c.want)
	}
}
