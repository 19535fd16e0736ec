// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/fixture"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/usdt"
)

// Objects with <bpf/usdt.bpf.h> are read: its maps are weak, its functions hidden, and it asks for a
// constant that only libbpf knows.
func TestUSDTHeader(t *testing.T) {
	t.Parallel()
	img := parse(t, "user")
	for _, name := range []string{usdt.SpecMap, usdt.IPMap, cookieFlagMap} {
		if img.spec.Maps[name] == nil {
			t.Errorf("there is no map %s", name)
		}
	}
	if _, err := usdt.LayoutOf(img.spec.Maps[usdt.SpecMap].Value); err != nil {
		t.Error(err)
	}
	// bpf_usdt_arg_cnt and bpf_usdt_arg ask for the constant, each once.
	loads, hidden := 0, 0
	for i := range img.spec.Programs["on_probe"].Instructions {
		ins := &img.spec.Programs["on_probe"].Instructions[i]
		if ins.Reference() == cookieFlagMap {
			loads++
		}
		if f := btf.FuncMetadata(ins); f != nil && f.Name != "on_probe" {
			hidden++
			if f.Linkage != btf.StaticFunc {
				t.Errorf("function %s is %s", f.Name, f.Linkage)
			}
		}
	}
	if loads != 2 || hidden != 2 {
		t.Errorf("%d loads of the constant, %d hidden functions, want 2 of each", loads, hidden)
	}
	if f := btf.FuncMetadata(&img.spec.Programs["on_probe"].Instructions[0]); f == nil || f.Linkage != btf.GlobalFunc {
		t.Errorf("the program itself: %+v", f)
	}
	if parse(t, "minimal").spec.Maps[cookieFlagMap] != nil {
		t.Error("an object that does not ask for the constant has it")
	}
}

func TestCookieFlag(t *testing.T) {
	t.Parallel()
	spec := &ebpf.CollectionSpec{Maps: map[string]*ebpf.MapSpec{cookieFlagMap: {}}}
	for _, cookies := range []bool{false, true} {
		SetCookieFlag(spec, func() bool { return cookies })
		if value, ok := spec.Maps[cookieFlagMap].Contents[0].Value.([]byte); !ok || (value[0] == 1) != cookies {
			t.Errorf("%v: %v", cookies, spec.Maps[cookieFlagMap].Contents)
		}
	}
	SetCookieFlag(&ebpf.CollectionSpec{}, func() bool { t.Error("asked for nothing"); return false })
}

// The object belongs to the caller.
func TestStrengthenMaps(t *testing.T) {
	t.Parallel()
	object := fixture.Compile(t, "user").Object
	before := bytes.Clone(object)
	changed, err := strengthenMaps(object)
	if err != nil || !bytes.Equal(object, before) || bytes.Equal(changed, object) {
		t.Errorf("changed in place: %v, not changed: %v, %v", !bytes.Equal(object, before), bytes.Equal(changed, object), err)
	}
	again, err := strengthenMaps(changed)
	if err != nil || &again[0] != &changed[0] {
		t.Errorf("copied without need, %v", err)
	}
}
