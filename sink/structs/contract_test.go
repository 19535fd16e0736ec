// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package structs_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
	"github.com/gizmo-ebpf/gizmo/sink/structs"
)

// apart is a sink with one sink for each data source, because a struct does not say where its event comes from.
type apart map[event.SourceID]pipeline.Sink

func (a apart) Bind(s *event.Schema) (event.FieldSet, error) { return a[s.ID()].Bind(s) }
func (a apart) Write(b *event.Batch) error                   { return a[b.Schema.ID()].Write(b) }

func TestContract(t *testing.T) {
	type values struct {
		Serial uint64 `event:"serial"`
		Text   string `event:"text"`
		Mark   string `event:"mark"`
	}
	pipelinetest.Sink(t, pipelinetest.SinkCase{New: func(_ testing.TB, schemas []*event.Schema) (pipeline.Sink, func() []pipelinetest.Delivered) {
		var mu sync.Mutex
		var all []pipelinetest.Delivered
		sinks := make(apart)
		for _, s := range schemas {
			id := s.ID()
			sinks[id] = structs.Each(func(v *values) error {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, pipelinetest.Delivered{Source: id, Serial: v.Serial, Text: v.Text, Mark: v.Mark})
				return nil
			})
		}
		return sinks, func() []pipelinetest.Delivered { return slices.Clone(all) }
	}})
}
