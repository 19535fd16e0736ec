// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// imageWith returns an image with a data source whose fields have these types.
func imageWith(types ...string) *image.Image {
	s := &event.Schema{Name: "calls"}
	for i, typ := range types {
		s.Fields = append(s.Fields, event.Field{Name: fmt.Sprint("f", i), Kind: event.Uint, Size: 8, Types: []string{typ}})
	}
	return &image.Image{Metadata: &metadata.Metadata{Name: "one"}, DataSources: []image.DataSource{{Schema: s}}}
}

// An event that could belong to two containers is an error that names the fields.
func TestCheckContainers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		types []string
		want  string
	}{
		{nil, ""},
		{[]string{"gadget_mntns_id", "gadget_netns_id"}, ""},
		{
			[]string{"gadget_mntns_id", "gadget_pid", "gadget_mntns_id", "gadget_mntns_id"},
			`gadget one: data source "calls": the fields "f0", "f2", "f3" have the type gadget_mntns_id, but an event belongs to one container: `,
		},
		{
			[]string{"gadget_netns_id", "gadget_netns_id"},
			`gadget one: data source "calls": the fields "f0", "f1" have the type gadget_netns_id, but an event belongs to one container: `,
		},
	} {
		err := Check(imageWith(c.types...))
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %s", c.types, err, c.want)
		}
	}
}
