// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// The metadata can describe the field with the trailing data as text.
func TestCheckTrailingText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, field, want string }{
		{"text", "text", ""},
		{"text", "txt", `unknown field "txt"`},
		{"f0", "f0", `ebpf.rest.text: there is a field "f0" already`},
	} {
		yaml := fmt.Sprintf("name: one\ndatasources:\n  calls:\n    fields:\n      %s:\n        annotations:\n          columns.width: 9\n", c.field)
		meta, err := metadata.Parse("gadget.yaml", []byte(yaml))
		if err != nil {
			t.Fatal(err)
		}
		img := imageWith("__u64")
		img.Metadata = meta
		d := &img.DataSources[0]
		d.Settings = annotation.Source{RestName: "data", RestText: c.text}
		d.Schema.Fields = append(d.Schema.Fields, event.Field{Name: "data", Rest: true, Parent: event.NoParent})
		err = Check(img)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v", c, err)
		}
		if len(d.Schema.Fields) != 2 {
			t.Errorf("%+v: Check has changed the schema", c)
		}
	}
}
