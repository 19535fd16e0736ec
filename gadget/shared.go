// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// share readies the spec for the maps that the caller has: they must fit, and are taken as large as they
// are.
func share(spec *ebpf.CollectionSpec, img *image.Image, shared map[string]*ebpf.Map) error {
	for _, name := range slices.Sorted(maps.Keys(shared)) {
		declared, m := spec.Maps[name], shared[name]
		switch {
		case declared == nil || strings.HasPrefix(name, "."):
			return fmt.Errorf("shared map %q: the gadget has no map of this name%s", name, nearest.Hint(name, mapNames(spec)))
		case m == nil:
			return fmt.Errorf("shared map %q: it is nil", name)
		case declared.Type != m.Type():
			return fmt.Errorf("shared map %q: it has the type %s, and the gadget wants %s", name, m.Type(), declared.Type)
		case declared.KeySize != m.KeySize():
			return fmt.Errorf("shared map %q: its keys have %d bytes, and the gadget wants %d", name, m.KeySize(), declared.KeySize)
		case declared.ValueSize != m.ValueSize():
			return fmt.Errorf("shared map %q: its values have %d bytes, and the gadget wants %d", name, m.ValueSize(), declared.ValueSize)
		}
		if buffer := bufferWith(img, name); buffer != nil {
			return fmt.Errorf("shared map %q: it belongs to the buffer of data source %q, which has one reader", name, buffer.Schema.Name)
		}
		declared.MaxEntries, declared.Flags = m.MaxEntries(), m.Flags()
		declared.Pinning, declared.Contents = ebpf.PinNone, nil // both are the caller's business
	}
	return nil
}

// mapNames lists the maps of the gadget's author.
func mapNames(spec *ebpf.CollectionSpec) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(spec.Maps)), func(name string) bool { return strings.HasPrefix(name, ".") })
}

// bufferWith returns the data source whose buffer a map belongs to, or nil.
func bufferWith(img *image.Image, name string) *image.DataSource {
	for i := range img.DataSources {
		d := &img.DataSources[i]
		if d.Kind == image.Tracer && (name == d.Map || strings.HasPrefix(name, d.Map+"_shard") || name == d.Map+image.LostSuffix) {
			return d
		}
	}
	return nil
}
