// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"bytes"
	"slices"
	"testing"

	"github.com/gizmo-ebpf/gizmo/build/buildtest"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// A run tells which of its gadgets has lost stacks. One that has lost none is not mentioned, nor is one that takes none.
func TestStackLosses(t *testing.T) {
	kerneltest.RequireRoot(t)
	img, err := image.Parse(bytes.NewReader(buildtest.Compile(t, "../gadget/testdata/stacks").Object), nil)
	if err != nil {
		t.Fatal(err)
	}
	off := map[string]image.Value{"magic": {1, 0, 0, 0}}
	on := map[string]image.Value{"magic": {1, 0, 0, 0}, "collect_ustack": {1}}
	r := &Run{names: []string{"a", "b", "c"}}
	for _, params := range []map[string]image.Value{on, off, on} {
		g, err := gadget.Load(img, &gadget.LoadOptions{Params: params})
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		r.gadgets = append(r.gadgets, g)
	}
	if lost, err := r.StackLosses(); err != nil || len(lost) > 0 {
		t.Errorf("lost %+v, %v", lost, err)
	}
	r.gadgets[2].Stacks().Append(nil, 1) // as if the stack were forgotten
	want := []StackLoss{{"c", gadget.LostStacks{Forgotten: 1}}}
	if lost, err := r.StackLosses(); err != nil || !slices.Equal(lost, want) {
		t.Errorf("lost %+v, %v, want %+v", lost, err, want)
	}
}
