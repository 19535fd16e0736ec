// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// Custom are the flags for the custom params of a gadget's metadata.
type Custom struct {
	params []metadata.CustomFlag
	texts  []string
}

// RegisterCustom adds a flag for each custom param of the image.
func RegisterCustom(fs *pflag.FlagSet, img *image.Image) (*Custom, error) {
	f := &Custom{params: img.Metadata.CustomParams()}
	f.texts = make([]string, len(f.params))
	for i := range f.params {
		p := &f.params[i]
		if err := checkFlagName(fs, "custom param", p.Key); err != nil {
			return nil, err
		}
		usage := p.Description
		if len(p.Values) > 0 {
			usage += " (" + strings.Join(p.Values, ", ") + ")"
		}
		fs.StringVar(&f.texts[i], p.Key, p.Default, plain.Line(usage))
		if p.Switch {
			fs.Lookup(p.Key).NoOptDefVal = "true"
		}
	}
	return f, nil
}

// Apply returns the gadget with its metadata changed by the values.
func (f *Custom) Apply(g *catalog.Gadget) (*catalog.Gadget, error) {
	if len(f.params) == 0 {
		return g, nil
	}
	values := make(map[string]string)
	for i, text := range f.texts {
		if text != "" {
			values[f.params[i].Name] = text
		}
	}
	return g.WithCustom(values)
}
