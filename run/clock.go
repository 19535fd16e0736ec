// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"slices"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/host"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/semtype"
)

// clockSource has the host look at its clock for each batch that came, so that all steps of the clock are known that events of the
// batch may follow: whatever reads their times next, a sort, a recording or a sink, gets the right ones.
type clockSource struct {
	pipeline.Source
	check func()
}

// followClock wraps a source whose events have times. Any other stays as it is.
func followClock(src pipeline.Source, h *host.Host) pipeline.Source {
	if !slices.ContainsFunc(src.Schemas(), semtype.HasTimes) {
		return src
	}
	return &clockSource{src, h.CheckClock}
}

// Next implements pipeline.Source.
func (s *clockSource) Next(ctx context.Context, b *event.Batch) error {
	err := s.Source.Next(ctx, b)
	if len(b.Rows) > 0 {
		s.check()
	}
	return err
}
