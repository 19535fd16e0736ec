// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package networkpolicy

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"strconv"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
)

// Each event of the suite is a connection of a pod of its own, whose labels say which event it is.
func TestContract(t *testing.T) {
	pipelinetest.Sink(t, pipelinetest.SinkCase{New: func(t testing.TB, schemas []*event.Schema) (pipeline.Sink, func() []pipelinetest.Delivered) {
		for _, s := range schemas {
			addConnection(t, s)
		}
		sink, err := New(DefaultFormat)
		if err != nil {
			t.Fatal(err)
		}
		return sink, func() []pipelinetest.Delivered {
			text, err := sink.Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			return deliveredIn(t, text)
		}
	}})
}

// addConnection adds the fields of a connection to a schema of the suite.
func addConnection(t testing.TB, s *event.Schema) {
	var parts []event.Reader
	for _, name := range []string{"serial", "text", "mark"} {
		r, err := s.ReaderOf(name)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, r)
	}
	labels := func(dst []byte, b *event.Batch, row int) []byte {
		for i, key := range []string{"serial=", ",text=", ",mark="} {
			dst = parts[i].Append(append(dst, key...), b, row)
		}
		return dst
	}
	constant := func(text string) event.TextFunc {
		return func(dst []byte, _ *event.Batch, _ int) []byte { return append(dst, text...) }
	}
	for name, text := range map[string]event.TextFunc{
		"endpoint.addr": constant("192.0.2.1"), "endpoint.port": constant("80"), "endpoint.proto": constant("6"), "egress": constant("1"),
		"k8s.namespace": constant(s.ID().String()), "k8s.podName": constant("pod"), "k8s.podLabels": labels,
		"k8s.owner.name": constant(""), "runtime.containerName": constant(""),
	} {
		s.Add(event.Field{Name: name, Kind: event.Uint, Parent: event.NoParent, Added: true, Text: text})
	}
}

// deliveredIn returns the events that policies are about.
func deliveredIn(t testing.TB, text []byte) (all []pipelinetest.Delivered) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var p k8sPolicy
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		labels := p.Spec.PodSelector.MatchLabels
		serial, numberErr := strconv.ParseUint(labels["serial"], 10, 64)
		if err := errors.Join(err, numberErr); err != nil {
			t.Fatal(err)
		}
		all = append(all, pipelinetest.Delivered{
			Source: event.SourceID{Name: p.Metadata.Namespace}, Serial: serial, Text: labels["text"], Mark: labels["mark"],
		})
	}
	slices.SortFunc(all, func(a, b pipelinetest.Delivered) int {
		return cmp.Or(cmp.Compare(a.Source.Name, b.Source.Name), cmp.Compare(a.Serial, b.Serial))
	})
	return all
}
