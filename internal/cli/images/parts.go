// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"encoding/json"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gizmo-ebpf/gizmo/oci"
)

// parts are the parts of a description that --extra-info names, by the keys that Inspektor Gadget has for them. A part is a text or a value for JSON; nil: the
// gadget has none.
func parts() map[string]func(*Description) any {
	return map[string]func(*Description) any{
		"ebpf.flowchart": func(d *Description) any {
			if len(d.Programs) == 0 {
				return nil
			}
			return d.flowchart()
		},
		"ebpf.maps":      func(d *Description) any { return listOrNil(d.Maps) },
		"ebpf.programs":  func(d *Description) any { return listOrNil(d.Programs) },
		"ebpf.sections":  func(d *Description) any { return listOrNil(d.sections()) },
		"ebpf.variables": func(d *Description) any { return listOrNil(d.Params) },
		"oci.created":    func(d *Description) any { return orNil(d.Annotations[ocispec.AnnotationCreated]) },
		"oci.digest":     ofImage(func(img *oci.Image) any { return img.Config.Digest.String() }), // Description.Digest is that of the image
		"oci.manifest":   ofImage(func(img *oci.Image) any { return json.RawMessage(img.Manifest) }),
		"oci.metadata":   ofImage(func(img *oci.Image) any { return orNil(string(img.Metadata)) }),
		"oci.repository": func(d *Description) any { return orNil(strings.Trim(d.seal.Name.Path(), "/")) },
		"oci.tag":        func(d *Description) any { return orNil(d.seal.Name.Tag) },
		"wasm.upcalls": func(d *Description) any {
			if d.Wasm == nil {
				return nil
			}
			return listOrNil(d.Wasm.Imports)
		},
	}
}

func ofImage(part func(*oci.Image) any) func(*Description) any {
	return func(d *Description) any {
		if d.packed == nil {
			return nil
		}
		return part(d.packed)
	}
}

func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func listOrNil[T any](list []T) any {
	if len(list) == 0 {
		return nil
	}
	return list
}

// sections are those of the object that have programs, in the order of these.
func (d *Description) sections() (names []string) {
	for _, p := range d.Programs {
		names = append(names, p.Section)
	}
	return names
}
