// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/builtin"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// BuiltInSource describes a built-in data source.
type BuiltInSource struct {
	Kind builtin.Kind
	// GadgetsOnly leaves out BPF programs that are not of a gadget.
	GadgetsOnly bool

	fetch       Fetch
	annotations *annotation.Spec
}

// ErrNothing says that a gadget has neither programs nor built-in data sources.
var ErrNothing = errors.New("it has no program.bpf.c, and its gadget.yaml switches on no built-in data source (operator.ebpf, operator.process " +
	"or operator.cgroup with emitstats: true)")

// withoutObject returns the image of a gadget without programs.
func withoutObject(meta *metadata.Metadata) (*Image, error) {
	if meta == nil {
		return nil, ErrNothing
	}
	img, err := analyse(&Image{Metadata: meta, spec: &ebpf.CollectionSpec{}})
	if err == nil && len(img.DataSources) == 0 {
		return nil, ErrNothing
	}
	return img, err
}

// keyOf returns the key of a built-in data source in gadget.yaml.
func keyOf(k builtin.Kind) string {
	switch k {
	case builtin.Programs:
		return metadata.BuiltInPrograms
	case builtin.Processes:
		return metadata.BuiltInProcesses
	default:
		return metadata.BuiltInCgroups
	}
}

// addBuiltIns adds the built-in data sources that the metadata switches on.
func (img *Image) addBuiltIns() error {
	for _, kind := range builtin.Kinds() {
		key := keyOf(kind)
		settings, err := img.Metadata.BuiltIn(key)
		if err != nil {
			return err
		}
		if !settings.EmitStats {
			continue
		}
		src := builtin.Of(kind)
		if _, ok := img.DataSource(src.Name); ok {
			err := fmt.Errorf("this switches on the built-in data source %q, and the object has one of that name", src.Name)
			return img.Metadata.Locate(err, "operator", key, "emitstats")
		}
		fetch := Fetch{Interval: cmp.Or(settings.Interval, src.Interval), First: settings.FirstInterval, Count: settings.Count}
		img.DataSources = append(img.DataSources, DataSource{
			Kind: BuiltIn, Schema: src.Schema(settings.Fields),
			BuiltIn: BuiltInSource{Kind: kind, GadgetsOnly: settings.GadgetsOnly, fetch: fetch, annotations: src.Annotations(settings.Fields)},
		})
	}
	return nil
}

// BuiltInFields lists the names that may be chosen in gadget.yaml as the only fields of the data source of processes.
func BuiltInFields() []string { return builtin.Of(builtin.Processes).FieldNames() }
