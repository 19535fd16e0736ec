// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"fmt"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// applyMetadata overrides properties of the object by those of the metadata. metadata.Validate finds names
// that the object does not have.
func (img *Image) applyMetadata() error {
	var errs []error
	for i := range img.DataSources {
		d := &img.DataSources[i]
		d.Annotations = img.Metadata.Source(d.Schema.Name)
		if slots := img.slotAnnotations(d.Schema); slots != nil {
			d.Annotations = annotation.Merge(slots, d.Annotations)
		}
		if d.Kind == BuiltIn {
			d.Annotations = annotation.Merge(d.BuiltIn.annotations, d.Annotations)
		}
		if err := errors.Join(d.applySettings(), img.checkOnlyIf(d), img.checkUnits(d)); err != nil {
			errs = append(errs, fmt.Errorf("gadget.yaml: data source %q: %w", d.Schema.Name, err))
		}
	}
	for i := range img.Params {
		p := &img.Params[i]
		if m, ok := img.Metadata.Params.EBPF[p.Var]; ok {
			if err := p.applyMetadata(&m); err != nil {
				errs = append(errs, fmt.Errorf("gadget.yaml: params.ebpf.%s: %w", p.Var, err))
			}
		}
	}
	for i := range img.Programs {
		if err := img.overrideSockMap(&img.Programs[i]); err != nil {
			errs = append(errs, fmt.Errorf("gadget.yaml: programs.%s.attach_to: %w", img.Programs[i].Name, err))
		}
	}
	return errors.Join(append(errs, img.checkKeys())...)
}

// checkKeys fails if two params have the same key.
func (img *Image) checkKeys() error {
	vars := make(map[string]string)
	for i := range img.Params {
		p := &img.Params[i]
		if other, ok := vars[p.Key]; ok {
			return fmt.Errorf("the params %s and %s both have the key %q; give one of them another in gadget.yaml", other, p.Var, p.Key)
		}
		vars[p.Key] = p.Var
	}
	return nil
}

func (d *DataSource) applySettings() error {
	var err error
	if d.Settings, err = d.Annotations.ParseSource(); err != nil {
		return err
	}
	return d.Settings.AddTrailing(d.Schema)
}

func (p *Param) applyMetadata(m *metadata.Param) error {
	if m.Key != "" {
		p.Key = m.Key
	}
	if m.Description != "" {
		p.Description = m.Description
	}
	for _, text := range m.PossibleValues {
		if _, err := p.parse(text); err != nil {
			return fmt.Errorf("possibleValues: %w", err)
		}
	}
	p.OneOf = m.PossibleValues
	p.Mandatory = m.IsMandatory
	if m.DefaultValue == nil {
		return nil
	}
	switch {
	case *m.DefaultValue != "":
		v, err := p.parse(*m.DefaultValue)
		if err != nil {
			return fmt.Errorf("defaultValue: %w", err)
		}
		p.initial = v
	case p.field.Kind == event.String:
		p.initial = make(Value, p.field.Size) // empty, whatever the variable's initial value is
	}
	p.Default = *m.DefaultValue
	return nil
}
