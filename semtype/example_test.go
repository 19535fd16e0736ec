// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype_test

import (
	"fmt"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/semtype"
)

// noAnnotations is for gadgets whose author said nothing about their fields.
type noAnnotations struct{}

func (noAnnotations) Annotate(*event.Field, string) error { return nil }

func ExampleApply() {
	s := &event.Schema{Name: "open", Single: true, Size: 4, Fields: []event.Field{{
		Name: "error_raw", Kind: event.Uint, Types: []string{"gadget_errno", "__u32"}, Size: 4, Parent: event.NoParent,
	}}}
	if err := semtype.Apply(s, semtype.Types(), &semtype.Env{Arch: "amd64"}, noAnnotations{}); err != nil {
		fmt.Println(err)
		return
	}
	b := &event.Batch{Schema: s, Rows: [][]byte{{2, 0, 0, 0}, {13, 0, 0, 0}}}
	i, _ := s.Lookup("error")
	for row := range b.Rows {
		fmt.Printf("%s\n", s.Fields[i].Text(nil, b, row))
	}
	// Output:
	// ENOENT
	// EACCES
}
