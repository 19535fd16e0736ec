// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// imageWith returns an image with a data source whose fields have these types.
func imageWith(types ...string) *image.Image {
	s := &event.Schema{Name: "calls"}
	for _, typ := range types {
		s.Fields = append(s.Fields, event.Field{Name: "a_" + typ, Kind: event.Uint, Size: 8, Types: []string{typ}})
	}
	return &image.Image{Metadata: &metadata.Metadata{}, DataSources: []image.DataSource{{Schema: s}}}
}

// The check reports an event that could belong to two containers: as a warning, or, if it is strict, as an error.
func TestCheckContainers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		types []string
		bad   string
	}{
		{nil, ""},
		{[]string{"gadget_mntns_id", "gadget_netns_id"}, ""},
		{[]string{"gadget_mntns_id", "gadget_pid", "gadget_mntns_id"}, "gadget_mntns_id"},
		{[]string{"gadget_netns_id", "gadget_netns_id"}, "gadget_netns_id"},
	} {
		img := imageWith(c.types...)
		for _, err := range []error{Check(img), fitStrict(img)} {
			if (err == nil) != (c.bad == "") || err != nil && !strings.Contains(err.Error(), "have the type "+c.bad+", but an event belongs to one container") {
				t.Errorf("%v: got %v", c.types, err)
			}
		}
		var warnings []error
		got, err := fit(img, func(err error) { warnings = append(warnings, err) })
		if err != nil || got != img || len(warnings) > 1 || (len(warnings) == 1) != (c.bad != "") {
			t.Errorf("%v: not strict: %v, %v", c.types, warnings, err)
		}
	}
}

func fitStrict(img *image.Image) error {
	_, err := fit(img, nil)
	return err
}
