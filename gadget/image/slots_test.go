// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/build/buildtest"
)

// histogram is a gadget that counts in slots; SLOT is where a value belongs.
const histogram = `#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <gadget/bits.bpf.h>
#include <gadget/macros.h>
#include <gadget/maps.bpf.h>
#include <gadget/types.h>

struct hist_key {
	__u8 unused;
};

struct hist_value {
	gadget_histogram_slot__u32 latency[27];
	__u64 plain[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, struct hist_key);
	__type(value, struct hist_value);
} hists SEC(".maps");

GADGET_MAPITER(latencies, hists);

SEC("raw_tp/sys_enter")
int count(void *ctx)
{
	struct hist_key key = {};
	struct hist_value *hist = bpf_map_lookup_elem(&hists, &key);
	__u64 slot;

	if (!hist)
		return 0;
	slot = SLOT;
	if (slot < 27)
		__sync_fetch_and_add(&hist->latency[slot], 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
`

// Which function counts is read from the lines of source in the object, unless gadget.yaml says it.
func TestSlots(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ slot, yaml, want string }{
		{"get_slot_idx(bpf_ktime_get_ns())", "", ""},
		{"log2l(bpf_ktime_get_ns())", "", "log2l"},
		{"log2((__u32)bpf_ktime_get_ns())", "", "log2l"},
		{"log2l(bpf_ktime_get_ns()) + 1", "", ""},
		{"bpf_ktime_get_ns() % 27", "", ""},
		{"log2l(bpf_ktime_get_ns())", "datasources: {latencies: {fields: {latency: {annotations: {metrics.slots: get_slot_idx, metrics.unit: ns}}}}}", "get_slot_idx"},
		{"bpf_ktime_get_ns() % 27", "datasources: {latencies: {fields: {latency: {annotations: {metrics.slots: log2l}}}}}", "log2l"},
	} {
		dir := t.TempDir()
		source := []byte(strings.ReplaceAll(histogram, "SLOT", tt.slot))
		if err := os.WriteFile(filepath.Join(dir, "program.bpf.c"), source, 0o600); err != nil {
			t.Fatal(err)
		}
		img, err := parseObject(buildtest.Compile(t, dir).Object, tt.yaml)
		if err != nil {
			t.Fatalf("%s: %v", tt.slot, err)
		}
		got := ""
		if spec := img.DataSources[0].Annotations; spec != nil {
			got = spec.Fields["latency"][annotation.SlotsKey]
			if len(spec.Fields) > 1 {
				t.Errorf("%s: annotations %+v", tt.slot, spec)
			}
		}
		if got != tt.want {
			t.Errorf("%s with %q: got %q, want %q", tt.slot, tt.yaml, got, tt.want)
		}
	}
}
