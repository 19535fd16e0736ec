// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

package gadget_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// Gadgets as authors elsewhere write them must not only compile: the verifier takes every program.
func TestWildProgramsLoad(t *testing.T) {
	requireKernel(t)
	for _, path := range glob(t, "testdata/wild/*.bpf.c") {
		object := strings.TrimSuffix(path[len("testdata/"):], ".bpf.c")
		if object == "wild/usdt" {
			continue // the library alone can't load what <bpf/usdt.bpf.h> declares: see gadget/image/libbpf.go
		}
		for name := range parse(t, object).Programs {
			t.Run(filepath.Base(object)+"/"+name, func(t *testing.T) { loadWild(t, object, name) })
		}
	}
}

func loadWild(t *testing.T, object, name string) {
	spec := parse(t, object)
	spec.Programs = map[string]*ebpf.ProgramSpec{name: spec.Programs[name]}
	options := makeReady(t, spec)
	coll, err := ebpf.NewCollectionWithOptions(spec, options)
	switch {
	case errors.Is(err, unix.EPERM):
		refusedAltogether(t, spec.Programs[name])
	case err != nil:
		t.Fatal("loading: ", verbose(err))
	default:
		coll.Close()
	}
}

// makeReady does what otherwise the loader does: it inserts the map of sockets, and sets the params.
func makeReady(t *testing.T, spec *ebpf.CollectionSpec) (o ebpf.CollectionOptions) {
	t.Helper()
	if sockets := spec.Maps["gadget_sockets"]; sockets != nil {
		types, size := optional{cwd: 256, exepath: 256}.valueType(t)
		sockets.ValueSize, sockets.MaxEntries, sockets.Value = size, 16, nil
		o.Programs.ExtraRelocationTargets = []*btf.Spec{types}
	}
	for _, name := range []string{"collect_ustack", "collect_build_id", "paths", "gadget_filter_by_mntns"} {
		if v := spec.Variables[name]; v != nil {
			if err := v.Set(true); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, m := range spec.Maps {
		m.Pinning = ebpf.PinNone
	}
	for _, m := range []string{"ig_build_id", "ig_ustack", "ig_kstack"} {
		if stacks := spec.Maps[m]; stacks != nil {
			stacks.MaxEntries = 16
		}
	}
	return o
}

// Each form of the header gives a gadget the flag once, and it is off by default.
func TestStackParams(t *testing.T) {
	for _, object := range []string{"wild/calls", "wild/profile"} {
		spec := parse(t, object)
		for _, name := range []string{"collect_ustack", "collect_build_id"} {
			var value bool
			if err := spec.Variables[name].Get(&value); err != nil || value || !spec.Variables[name].Constant() {
				t.Errorf("%s: %s is %v, %v", object, name, value, err)
			}
			if vars(t, spec)["gadget_param_"+name] == nil {
				t.Errorf("%s: %s is no param", object, name)
			}
		}
	}
}
