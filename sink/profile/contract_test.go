// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"cmp"
	"slices"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// apart is a sink with one sink for each data source.
type apart map[event.SourceID]*Sink

func (a apart) Bind(s *event.Schema) (event.FieldSet, error) { return a[s.ID()].Bind(s) }
func (a apart) Write(b *event.Batch) error                   { return a[b.Schema.ID()].Write(b) }

// markStacks are the stacks of the handles of a mark: one function, with the text of the mark as its name.
type markStacks struct{ event.Table }

func (m markStacks) Stack(h event.Handle) *symbol.Stack { return stackOf(nil, string(m.Bytes(h))) }

func TestContract(t *testing.T) {
	pipelinetest.Sink(t, pipelinetest.SinkCase{New: func(_ testing.TB, schemas []*event.Schema) (pipeline.Sink, func() []pipelinetest.Delivered) {
		sinks := make(apart)
		for _, s := range schemas {
			for i := range s.Fields {
				f := &s.Fields[i]
				switch f.Name {
				case "mark":
					f.Table = markStacks{f.Table}
				case "serial", "text":
					f.Ann.Profile = &event.InProfile{Attribute: true}
				}
			}
			sinks[s.ID()] = New(annotation.Profile{}, 0)
		}
		return sinks, func() (all []pipelinetest.Delivered) {
			for id, sink := range sinks {
				all = append(all, delivered(id, sink.Profile())...)
			}
			return all
		}
	}})
}

// delivered returns the events of a profile whose labels tell events apart, in the order of their serials.
func delivered(id event.SourceID, p *Profile) []pipelinetest.Delivered {
	var all []pipelinetest.Delivered
	for _, s := range p.Samples {
		d := pipelinetest.Delivered{Source: id, Mark: s.Stack[0].Name()}
		for _, l := range s.Labels {
			if l.Key == "text" {
				d.Text = l.Text
			} else {
				d.Serial = uint64(l.Number)
			}
		}
		for range s.Values[0] {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b pipelinetest.Delivered) int { return cmp.Compare(a.Serial, b.Serial) })
	return all
}
