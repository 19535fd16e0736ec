// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// Unknown names are left out of a copy, and reported.
func TestFit(t *testing.T) {
	t.Parallel()
	m, err := metadata.Parse("gadget.yaml", []byte(someFile))
	if err != nil {
		t.Fatal(err)
	}
	before, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.Fit(someKnown())
	if fmt.Sprint(err) != fmt.Sprint(m.Validate(someKnown())) || len(metadata.Problems(err)) != 7 {
		t.Errorf("got %v, want what Validate says", err)
	}
	if err := out.Validate(someKnown()); err != nil {
		t.Errorf("it does not fit: %v", err)
	}
	want := map[string]annotation.Set{"runtime.containerName": {"columns.replace": "comm"}, "comm": {}}
	if got := out.Source("open").Fields; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("fields: got %v, want %v", got, want)
	}
	_, program := out.Programs["sys_exit"]
	_, param := out.Params.EBPF["targ_pid"]
	if len(out.DataSources) != 1 || len(out.Programs) != 1 || !program || len(out.Params.EBPF) != 1 || !param || len(out.Params.Custom) != 1 || out.Name != "trace open" {
		t.Errorf("got %+v", out)
	}
	if after, err := m.Encode(); err != nil || !slices.Equal(after, before) {
		t.Errorf("the metadata itself has changed, %v:\n%s", err, after)
	}
	if pos, ok := out.Position("programs", "sys_exit", "attach_to"); !ok || pos.Line != 3 {
		t.Errorf("the place of what stayed: %v, %v", pos, ok)
	}
}

func TestFitOfNothing(t *testing.T) {
	t.Parallel()
	out, err := new(metadata.Metadata).Fit(someKnown())
	if out == nil || err != nil {
		t.Errorf("got %v, %v", out, err)
	}
}
