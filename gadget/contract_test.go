// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/pipeline/pipelinetest"
)

// owned is a source that takes its gadget with it when it is closed.
type owned struct {
	pipeline.Source
	g *Gadget
}

func (o owned) Close() error { return o.g.Close() }

// The sources of buffers keep the contract of all sources.
func TestSourceContract(t *testing.T) {
	kerneltest.RequireRoot(t)
	const calls = 700 // more than a batch
	for name, o := range map[string]LoadOptions{
		"ring": {}, "shards": {Shards: 2}, "each event at once": {Latency: AtOnce},
	} {
		t.Run(name, func(t *testing.T) {
			pipelinetest.Source(t, pipelinetest.SourceCase{Rows: calls, Live: true, New: func(t testing.TB) pipeline.Source {
				g := start(t, parse(t, "times"), o)
				for i := range calls {
					g.call(uint16(i))
				}
				if err := g.Detach(); err != nil {
					t.Fatalf("detaching: %v", err)
				}
				return owned{g.source(t), g.Gadget}
			}})
		})
	}
}
