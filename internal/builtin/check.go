// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package builtin

import (
	"fmt"
	"runtime"

	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/metadata"
	"github.com/gizmo-ebpf/gizmo/semtype"
)

// Check holds an image's metadata against its object: everything that gadget.yaml names must be
// there. Fields that enriched types add count.
func Check(img *gadget.Image) error {
	known, err := knownOf(img)
	if err != nil {
		return err
	}
	if err := img.Metadata.Validate(known); err != nil {
		return fmt.Errorf("gadget %s: %w", img.Metadata.Name, err)
	}
	return checkContainers(img)
}

// knownOf lists what there is in an image to be named.
func knownOf(img *gadget.Image) (metadata.Known, error) {
	known := metadata.Known{DataSources: make(map[string][]string)}
	env := semtype.Env{Arch: runtime.GOARCH, BootOffset: func() int64 { return 0 }}
	for i := range img.DataSources {
		d := &img.DataSources[i]
		s := d.Schema.Clone()
		if err := semtype.Apply(s, semtype.Types(), &env, d.Annotations); err != nil {
			return known, err
		}
		for _, f := range s.Fields {
			known.DataSources[s.Name] = append(known.DataSources[s.Name], f.Name)
		}
	}
	for _, p := range img.Params {
		known.Params = append(known.Params, p.Var)
	}
	for _, p := range img.Programs {
		known.Programs = append(known.Programs, p.Keys()...)
	}
	return known, nil
}
