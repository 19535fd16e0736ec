// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/host/bpfprogs"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

const bothBuiltIn = "operator: {ebpf: {emitstats: true, interval: 1ms}, process: {emitstats: true, interval: 1ms}}"

func builtInMetadata(t *testing.T) *metadata.Metadata {
	t.Helper()
	meta, err := metadata.Parse("gadget.yaml", []byte(bothBuiltIn))
	if err != nil {
		t.Fatal(err)
	}
	return meta
}

// A gadget without programs puts nothing into the kernel, and is used like any other.
func TestLoadWithoutPrograms(t *testing.T) {
	kerneltest.RequireRoot(t)
	img, err := image.Parse(nil, builtInMetadata(t))
	if err != nil {
		t.Fatal(err)
	}
	g := load(t, img, LoadOptions{})
	if err := g.Attach(); err != nil {
		t.Fatal(err)
	}
	if programs, maps := kernelIDs(t, g.Gadget); len(programs)+len(maps) > 0 {
		t.Errorf("programs %v, maps %v", programs, maps)
	}
	if n := len(next(t, t.Context(), g.Sources()[1]).rows); n == 0 {
		t.Error("there are no processes")
	}
	if stats, err := g.Stats(); err != nil || len(stats) > 0 || len(g.Programs()) > 0 {
		t.Errorf("%v, %v", stats, err)
	}
	if g.HasFileProbes() || g.HasPackets() || g.FollowsInterfaces() || g.DetachChangesInterfaces() || g.ShowsNetworks() || g.DetachWritesFiles() {
		t.Error("it needs what only programs need")
	}
	if err := g.Detach(); err != nil {
		t.Error(err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if err := Try(img, nil); err != nil {
		t.Error(err)
	}
}

// What nobody reads is not found out, and takes no privileges.
func TestAsk(t *testing.T) {
	kerneltest.RequireRoot(t)
	img, err := image.Parse(nil, builtInMetadata(t))
	if err != nil {
		t.Fatal(err)
	}
	g := load(t, img, LoadOptions{})
	if n := g.Needs(); n != (Needs{OtherProcesses: true, OpenFiles: true, Programs: true}) {
		t.Errorf("needs %+v", n)
	}
	for _, src := range g.Sources() {
		s := src.Schemas()[0]
		var need event.FieldSet
		for _, name := range []string{"progID", "pid"} {
			if i, ok := s.Lookup(name); ok {
				need.Add(i)
			}
		}
		g.Ask(s, need)
	}
	if n := g.Needs(); n != (Needs{OtherProcesses: true, Programs: true}) { // processes may be hidden
		t.Errorf("needs %+v", n)
	}
	src := g.Sources()[1]
	r, err := src.Schemas()[0].ReaderOf("mountnsid")
	if err != nil {
		t.Fatal(err)
	}
	var b event.Batch
	if err := src.Next(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	for row := range b.Rows {
		if v, _ := r.Uint(&b, row); v != 0 {
			t.Fatal("nobody reads the mount namespace")
		}
	}
}

// A gadget with programs may have built-in data sources, too; its programs carry its name.
func TestProgramsAndBuiltIn(t *testing.T) {
	img, err := parse(t, "hooks").WithMetadata(builtInMetadata(t))
	if err != nil {
		t.Fatal(err)
	}
	img.Metadata.Name = "both"
	g := load(t, img, LoadOptions{Reference: "./both"})
	if len(g.Sources()) != len(img.DataSources) {
		t.Errorf("%d sources for %d data sources", len(g.Sources()), len(img.DataSources))
	}
	r, err := bpfprogs.Open()
	if err != nil {
		t.Fatal(err)
	}
	r.Want(bpfprogs.Wanted{Gadget: true})
	all, err := r.Read(nil)
	if err != nil {
		t.Fatal(err)
	}
	ids, _ := kernelIDs(t, g.Gadget)
	found := 0
	for _, p := range all {
		if !slices.Contains(ids, ebpf.ProgramID(p.ID)) {
			continue
		}
		found++
		if p.Gadget.Name != "both" || p.Gadget.Reference != "./both" || len(p.Gadget.ID) != 32 {
			t.Errorf("%+v", p)
		}
	}
	if found != len(ids) || found == 0 {
		t.Errorf("%d programs of %d", found, len(ids))
	}
}
