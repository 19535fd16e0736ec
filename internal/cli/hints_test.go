// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// Errors name the flags that help, and still wrap their cause.
func TestWithFlags(t *testing.T) {
	t.Parallel()
	other := errors.New("another")
	for want, err := range map[string]error{
		"another": other,
		"nothing to do: the gadget needs one or more of its flags --a, --b":                              &image.NothingToDoError{Params: []string{"a", "b"}},
		"nothing to do: the gadget needs one or more of its flags --a, --b, --c and 2 more (see --help)": &image.NothingToDoError{Params: []string{"a", "b", "c", "d", "e"}},
		"attach: " + gadget.ErrNoInterface.Error() + " (--iface NAME)":                                   fmt.Errorf("attach: %w", gadget.ErrNoInterface),
		"too much (--buffer-size sets the size of a buffer)":                                             &gadget.MemoryError{Cause: errors.New("too much")},
	} {
		if got := withFlags(err); got.Error() != want || !errors.Is(got, err) {
			t.Errorf("got  %v\nwant %s", got, want)
		}
	}
	if withFlags(nil) != nil {
		t.Error("an error of nothing")
	}
}

// A gadget that only fills a map for others is read and built like any other, but cannot be run alone: that error
// comes before the check for privileges.
func TestRunWithoutDataSource(t *testing.T) {
	dir := gadgetDir(t, "")
	writeTest(t, filepath.Join(dir, "program.bpf.c"), collectorProgram)
	if got := imageBuild(t, dir); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	got := invoke("", "run", dir)
	if want := "gizmo: gadget my_gadget has no data source: nothing to show\n"; got.code != 1 || got.out != "" || got.err != want {
		t.Errorf("got %+v, want %s", got, want)
	}
}

const collectorProgram = `#include <vmlinux.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} calls SEC(".maps");

SEC("raw_tp/sys_enter")
int count(void *ctx)
{
	__u32 key = 0;
	__u64 *n = bpf_map_lookup_elem(&calls, &key);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
`
