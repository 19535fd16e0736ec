// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/build/buildtest"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

// The fields that the programs of these tests read without params.
var ownersFields = []string{"ambiguous", "ipv6only", "pid_tgid", "ppid", "task"}

func socketImage(t *testing.T, dir string, disabled ...string) *image.Image {
	t.Helper()
	meta, err := metadata.Parse("gadget.yaml", []byte(disabling(disabled...)))
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Parse(bytes.NewReader(buildtest.Compile(t, dir).Object), meta)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestSocketFields(t *testing.T) {
	t.Parallel()
	img := socketImage(t, filepath.Join("..", "socket", "testdata", "tap"))
	for name, c := range map[string]struct {
		options *LoadOptions
		want    []string
	}{
		"code that a param switches off": {nil, ownersFields},
		"the same, by a param":           {&LoadOptions{Params: map[string]image.Value{"paths": {0}}}, ownersFields},
		"code that a param switches on":  {&LoadOptions{Params: map[string]image.Value{"paths": {1}}}, append(slices.Clone(ownersFields), "cwd", "exepath")},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := SocketFields(img, c.options)
			slices.Sort(got)
			want := slices.Sorted(slices.Values(c.want))
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%q, %v, want %q", got, err, want)
			}
		})
	}
	if _, err := SocketFields(img, &LoadOptions{Params: map[string]image.Value{"pahts": {1}}}); err == nil || !strings.Contains(err.Error(), "pahts") {
		t.Errorf("an unknown param: %v", err)
	}
}

// Programs that are disabled read nothing, and neither do gadgets without owners.
func TestSocketFieldsOfNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "socket", "testdata", "socks")
	for name, img := range map[string]*image.Image{
		"disabled":       socketImage(t, dir, "on_queued", "on_received"),
		"without owners": parse(t, "taps"),
	} {
		if got, err := SocketFields(img, nil); err != nil || len(got) > 0 {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	got, err := SocketFields(socketImage(t, dir, "on_queued"), nil)
	slices.Sort(got)
	if want := slices.DeleteFunc(slices.Clone(ownersFields), func(f string) bool { return f == "ipv6only" }); err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

// The members have their names from the gadget, which may declare the struct in its own way.
func TestSocketFieldsOfOtherStructs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := `// SPDX-License-Identifier: GPL-2.0
#include <vmlinux.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
struct sockets_key { __u32 netns; __u16 family; __u8 proto; __u8 pad; __u16 port; __u16 pad2; };
struct sockets_value { char exepath[512]; __u64 pid_tgid; char cwd[8]; } __attribute__((preserve_access_index));
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 16384); __type(key, struct sockets_key); __type(value, struct sockets_value); } gadget_sockets SEC(".maps");
SEC("socket1") int on_packet(struct __sk_buff *skb)
{
	struct sockets_key key = {};
	struct sockets_value *value = bpf_map_lookup_elem(&gadget_sockets, &key);
	struct task_struct *task = (void *)bpf_get_current_task();
	return value ? (int)value->pid_tgid + value->cwd[0] + BPF_CORE_READ(task, pid) : 0;
}
char LICENSE[] SEC("license") = "GPL";
`
	if err := os.WriteFile(filepath.Join(dir, "program.bpf.c"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := SocketFields(socketImage(t, dir), nil)
	slices.Sort(got)
	if want := []string{"cwd", "pid_tgid"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
