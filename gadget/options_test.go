// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

const filterMap = "gadget_mntns_filter_map"

// newFilter makes a map like that of <gadget/mntns_filter.h>, with changes.
func newFilter(t *testing.T, change func(*ebpf.MapSpec)) *ebpf.Map {
	t.Helper()
	kerneltest.RequireRoot(t)
	if err := PrepareProcess(); err != nil {
		t.Fatal(err)
	}
	spec := &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 4, MaxEntries: 7}
	if change != nil {
		change(spec)
	}
	m, err := ebpf.NewMap(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// Two gadgets share a map, which the caller changes while they run and keeps when they end.
func TestSharedMap(t *testing.T) {
	filter := newFilter(t, nil)
	o := LoadOptions{
		Maps:      map[string]*ebpf.Map{filterMap: filter},
		Constants: map[string]image.Value{"gadget_filter_by_mntns": {1}},
	}
	first, second := start(t, parse(t, "shared"), o), start(t, parse(t, "shared"), LoadOptions{Maps: o.Maps, Constants: o.Constants})
	events := func() string {
		first.call(1)
		second.call(2)
		return fmt.Sprint(len(drain(t, first.source(t)).rows), len(drain(t, second.source(t)).rows))
	}
	if got := events(); got != "0 0" {
		t.Errorf("%s events with no mount namespace in the map", got)
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/mnt", &st); err != nil {
		t.Fatal(err)
	}
	if err := filter.Put(st.Ino, uint32(0)); err != nil {
		t.Fatal(err)
	}
	if got := events(); got != "1 1" {
		t.Errorf("%s events with the own mount namespace in the map", got)
	}
	if m, ok := first.Map(filterMap); !ok || m.MaxEntries() != 7 {
		t.Errorf("the gadget has the map %v, %v", m, ok)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	first.Gadget = start(t, parse(t, "hooks"), LoadOptions{}).Gadget // for the clean-up to close
	var value uint32
	if err := filter.Lookup(st.Ino, &value); err != nil {
		t.Errorf("closing a gadget has closed the caller's map: %v", err)
	}
}

func TestSharedMapsThatDoNotFit(t *testing.T) {
	for want, maps := range map[string]map[string]*ebpf.Map{
		`shared map "gadget_mntns_filter_mapp": the gadget has no map of this name; did you mean "gadget_mntns_filter_map"?`: {filterMap + "p": newFilter(t, nil)},
		`shared map "gadget_mntns_filter_map": it has the type LRUHash, and the gadget wants Hash`:                           {filterMap: newFilter(t, func(s *ebpf.MapSpec) { s.Type = ebpf.LRUHash })},
		`shared map "gadget_mntns_filter_map": its keys have 4 bytes, and the gadget wants 8`:                                {filterMap: newFilter(t, func(s *ebpf.MapSpec) { s.KeySize = 4 })},
		`shared map "gadget_mntns_filter_map": its values have 16 bytes, and the gadget wants 4`:                             {filterMap: newFilter(t, func(s *ebpf.MapSpec) { s.ValueSize = 16 })},
		`shared map "gadget_mntns_filter_map": it is nil`:                                                                    {filterMap: nil},
		`shared map "events": it belongs to the buffer of data source "calls", which has one reader`: {"events": newFilter(t, func(s *ebpf.MapSpec) {
			s.Type, s.KeySize, s.ValueSize, s.MaxEntries = ebpf.RingBuf, 0, 0, 4096
		})},
		`shared map ".rodata": the gadget has no map of this name`: {".rodata": newFilter(t, nil)},
	} {
		img := parse(t, "shared")
		if _, err := Load(img, &LoadOptions{Maps: maps, Params: busy(t, img)}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestConstantsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	img := parse(t, "shared")
	for want, values := range map[string]map[string]image.Value{
		`the gadget has no constant "gadget_filter_by_mnt" (a "const volatile" global); did you mean "gadget_filter_by_mntns"?`: {"gadget_filter_by_mnt": {1}},
		`constant "gadget_filter_by_mntns" has 1 bytes, but its new value has 4`:                                                {"gadget_filter_by_mntns": {1, 0, 0, 0}},
		`constant "magic" is a param of the gadget: set it as a param`:                                                          {"magic": {1, 2, 3, 4}},
	} {
		if _, err := img.Spec(nil, values); fmt.Sprint(err) != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	err := (&LoadOptions{Constants: map[string]image.Value{"gadget_wakeup_bytes": make(image.Value, 8)}}).check(img)
	if want := `constant "gadget_wakeup_bytes": gizmo sets it when it loads the gadget`; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Whether a program is loaded may depend on a constant that is no param.
func TestConstantsAreConditions(t *testing.T) {
	t.Parallel()
	o := &LoadOptions{Constants: map[string]image.Value{"hidden": {1}}}
	with, err := o.withParams(parse(t, "conditions"))
	if err != nil {
		t.Fatal(err)
	}
	without, err := (&LoadOptions{}).withParams(parse(t, "conditions"))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := loadedNames(with), loadedNames(without); a == b {
		t.Errorf("%s are loaded with the constant and without", a)
	}
}

func loadedNames(img *image.Image) string {
	var names []string
	for _, p := range img.Programs {
		if !p.Disabled {
			names = append(names, p.Name)
		}
	}
	return strings.Join(names, " ")
}

// A gadget without a data source runs, and its map can be read.
func TestGadgetWithoutDataSource(t *testing.T) {
	g := start(t, parse(t, "collector"), LoadOptions{})
	if len(g.Sources()) != 0 {
		t.Errorf("%d sources", len(g.Sources()))
	}
	for range 3 {
		g.call(0)
	}
	m, ok := g.Map("calls")
	if !ok {
		t.Fatal("there is no map")
	}
	var n uint64
	if err := m.Lookup(uint32(0), &n); err != nil || n != 3 {
		t.Errorf("%d calls, %v; want 3", n, err)
	}
	if _, ok := g.Map("call"); ok {
		t.Error("a map that is not there")
	}
}

// Messages go to the caller's logger, and AfterPrograms is called after the programs are attached and
// before the sources are opened.
func TestLoggerAndAfterPrograms(t *testing.T) {
	kerneltest.RequireRoot(t)
	var log bytes.Buffer
	called := 0
	o := LoadOptions{
		Logger:        slog.New(slog.NewTextHandler(&log, nil)),
		AfterPrograms: func() { called++ },
	}
	load(t, parse(t, "minimal"), o)
	if called != 1 || !strings.Contains(log.String(), "the gadget does not count the events") {
		t.Errorf("called %d times; the log is %q", called, log.String())
	}
	if _, err := Load(parse(t, "rejected"), &o); err == nil || called != 1 {
		t.Errorf("called %d times, also where programs do not load: %v", called, err)
	}
}

// Types that the kernel lacks can be given for relocations: a struct of the object itself, here.
func TestExtraTypes(t *testing.T) {
	kerneltest.RequireRoot(t)
	img := parse(t, "extra_types")
	if _, err := Load(img, nil); err == nil {
		t.Fatal("the kernel has the struct; the test needs one that it lacks")
	}
	var b btf.Builder
	long := &btf.Int{Name: "long unsigned int", Size: 8}
	if _, err := b.Add(&btf.Struct{Name: "gizmo_no_such_struct", Size: 24, Members: []btf.Member{
		{Name: "first", Type: long}, {Name: "second", Type: long, Offset: 128},
	}}); err != nil {
		t.Fatal(err)
	}
	raw, err := b.Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	g := start(t, img, LoadOptions{ExtraTypes: []*btf.Spec{spec}})
	g.call(0)
	m, _ := g.Map("offset")
	var off uint64
	if err := m.Lookup(uint32(0), &off); err != nil || off != 16 {
		t.Errorf("the program sees the offset %d, %v; want 16", off, err)
	}
}
