// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"fmt"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/semtype"
)

// Compose completes s in this order: the fields for trailing data that its annotations name, the annotations of the fields, and the fields of
// enriched types and stages.
func Compose(s *event.Schema, spec *annotation.Spec, env *semtype.Env, stages []pipeline.Stage) error {
	if err := compose(s, spec, env, stages); err != nil {
		return fmt.Errorf("data source %q: %w", s.ID(), err)
	}
	return nil
}

func compose(s *event.Schema, spec *annotation.Spec, env *semtype.Env, stages []pipeline.Stage) error {
	if spec == nil {
		spec = &annotation.Spec{}
	}
	settings, err := spec.ParseSource()
	if err != nil {
		return err
	}
	if err := settings.AddTrailing(s); err != nil {
		return err
	}
	if err := settings.AddTrailingText(s); err != nil {
		return err
	}
	if err := semtype.Apply(s, semtype.Types(), env, spec); err != nil {
		return err
	}
	own := len(s.Fields)
	for _, stage := range stages {
		if err := stage.Extend(s); err != nil {
			return err
		}
	}
	for i := own; i < len(s.Fields); i++ {
		if err := spec.Annotate(&s.Fields[i], ""); err != nil {
			return err
		}
	}
	return spec.Check(s)
}
