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

// clockSource makes the host check its clock for each received batch, so that the host knows all steps of the clock before events of the
// batch: a sort, a recording or a sink that reads their times next gets the right ones.
type clockSource struct {
	pipeline.Source
	check func()
}

// followClock wraps a source whose events have times. It returns any other source unchanged.
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
