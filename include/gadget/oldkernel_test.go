// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0

package gadget_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// lacking returns the types of this kernel without the named helper and those after it,
// as CO-RE sees them on an older kernel.
func lacking(t *testing.T, helper string) *btf.Spec {
	t.Helper()
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var helpers *btf.Enum
	if err := kernel.TypeByName("bpf_func_id", &helpers); err != nil {
		t.Fatal(err)
	}
	end := slices.IndexFunc(helpers.Values, func(v btf.EnumValue) bool { return v.Name == helper })
	if end < 0 {
		t.Fatal("this kernel doesn't know", helper)
	}
	helpers.Values = helpers.Values[:end] // of a description that is only ours
	return kernel
}

// loadFor loads a program of testdata/types.bpf.c for a described kernel.
func loadFor(t *testing.T, name string, kernel *btf.Spec, change func(*ebpf.CollectionSpec)) *ebpf.Collection {
	t.Helper()
	spec := onlySpec(t, name)
	change(spec)
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{KernelTypes: kernel},
	})
	if err != nil {
		t.Fatal("loading: ", verbose(err))
	}
	t.Cleanup(coll.Close)
	return coll
}

// On a kernel without ring buffers a gadget takes the perf buffer by itself.
// Were the other path alive, the verifier would refuse it: the map isn't a ring.
func TestBeforeRingBuffers(t *testing.T) {
	requireKernel(t)
	coll := loadFor(t, "on_raw_tp", lacking(t, "BPF_FUNC_ringbuf_output"), func(spec *ebpf.CollectionSpec) {
		m := spec.Maps["events"]
		m.Type, m.KeySize, m.ValueSize, m.MaxEntries = ebpf.PerfEventArray, 4, 4, 0
	})
	drain := openPerf(t, coll.Maps["events"])
	onOwnThread(func() { checkOneEvent(t, coll, drain) })
}

// On a kernel without bpf_get_current_task_btf() the old helpers do it.
func TestBeforeTaskBTF(t *testing.T) {
	requireKernel(t)
	coll := loadFor(t, "on_raw_tp", lacking(t, "BPF_FUNC_get_current_task_btf"), func(*ebpf.CollectionSpec) {})
	drain := openRing(t, coll.Maps["events"])
	onOwnThread(func() { checkOneEvent(t, coll, drain) })

	info, err := coll.Programs["on_raw_tp"].Info()
	if err != nil {
		t.Fatal(err)
	}
	insns, err := info.Instructions()
	if err != nil {
		t.Fatal(err)
	}
	if calls := countCalls(insns); calls < 10 {
		t.Errorf("%d calls: not the old path", calls)
	}
}

// checkOneEvent runs the program once, for system call 0 as only_nr says.
func checkOneEvent(t *testing.T, coll *ebpf.Collection, drain func() [][]byte) {
	t.Helper()
	const comm = "old-kernel"
	setComm(t, comm)
	run(t, coll.Programs["on_raw_tp"])

	records := drain()
	if len(records) != 1 {
		t.Fatalf("%d events, want 1", len(records))
	}
	var got process
	if _, err := binary.Decode(records[0], binary.LittleEndian, &got); err != nil {
		t.Fatal(err)
	}
	if want := self(t, comm, got); got != want {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}
