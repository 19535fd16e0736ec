// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/source"
	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/metadata"
	"github.com/gizmo-ebpf/gizmo/semtype"
	stage "github.com/gizmo-ebpf/gizmo/stage/container"
	"github.com/gizmo-ebpf/gizmo/stage/stack"
)

// Parse analyses an object that the caller has, with the text of its gadget.yaml, which may be empty. The gadget is
// called name unless the text gives another.
func Parse(name string, object io.ReaderAt, yaml []byte) (*image.Image, error) {
	return parse(name, object, yaml, nil)
}

// Check holds an image's metadata against its object: everything that gadget.yaml names must be
// there. Fields that enriched types and containers add count. An event must not have two fields that identify its container.
func Check(img *image.Image) error {
	known, err := knownOf(img)
	if err != nil {
		return err
	}
	if err := img.Metadata.Validate(known); err != nil {
		return fmt.Errorf("gadget %s: %w", img.Metadata.Name, err)
	}
	if err := checkContainers(img); err != nil {
		return fmt.Errorf("gadget %s: %w", img.Metadata.Name, err)
	}
	return nil
}

// knownOf lists the names in an image that metadata can refer to.
func knownOf(img *image.Image) (metadata.Known, error) {
	known := metadata.Known{
		OutputModes:   encode.Names(),
		BuiltInFields: image.BuiltInFields(),
		DataSources:   make(map[string][]string),
	}
	env := semtype.Env{Arch: runtime.GOARCH}
	for i := range img.DataSources {
		d := &img.DataSources[i]
		s := d.Schema.Clone()
		if err := d.Settings.AddTrailingText(s); err != nil {
			return known, locate(img, s.Name, err)
		}
		if err := semtype.Apply(s, semtype.Types(), &env, d.Annotations); err != nil {
			return known, locate(img, s.Name, err)
		}
		for _, f := range s.Fields {
			known.DataSources[s.Name] = append(known.DataSources[s.Name], f.Name)
		}
		known.DataSources[s.Name] = append(known.DataSources[s.Name], stack.FieldNames(s)...)
		if stage.FindsContainers(s) {
			for _, f := range container.Fields() {
				known.DataSources[s.Name] = append(known.DataSources[s.Name], f.Name)
			}
		}
	}
	if wants, err := img.Metadata.WantsContainers(); err != nil {
		return known, fmt.Errorf("gadget %s: %w", img.Metadata.Name, err)
	} else if wants {
		for _, f := range source.Schema().Fields {
			known.DataSources[source.Name] = append(known.DataSources[source.Name], f.Name)
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

// locate adds the place in gadget.yaml to an error about the fields of a data source.
func locate(img *image.Image, source string, err error) error {
	path := []string{"datasources", source}
	if about := (*semtype.FieldError)(nil); errors.As(err, &about) {
		path = append(path, "fields", about.Field)
	}
	return fmt.Errorf("gadget %s: %w", img.Metadata.Name, img.Metadata.Locate(fmt.Errorf("data source %q: %w", source, err), path...))
}
